"""Maildirs, into which letters get exactly once: staged beside the mailbox, then renamed into new/, or into cur/ with their flags.

A letter's flags are in the name under which it is staged and recorded, so it gets to the same place whoever renames it.

Letters wait in tmp/utm-mail/ and not in tmp/ itself, from which Dovecot, Courier and others remove files older than 36 hours:
after a long outage such a letter would count as delivered.

The root, the fixed part of UTM_MAIL_DELIVERY, has a marker too, which tells the volume from the directory it is mounted on.
Everything is made 0700 and 0600, because the worker runs as the user who owns the mailboxes.
"""

import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from fetchrules.delivery.disk import OpenDirectory, check_unchanged, failure, open_place, translated
from fetchrules.delivery.marker import make_marker, read_marker
from fetchrules.delivery.recipients import MAX_NAME, PathTemplate, RootedPath
from fetchrules.delivery.staging import INFO, RESERVE, Staging, checked
from fetchrules.delivery.subscriptions import subscribe
from fetchrules.errors import DeliveryFailed, LocalProtocolError, MaildirReplaced, RecipientInvalid
from fetchrules.rule import INBOX
from fetchrules.utf7 import encode_folder

log = logging.getLogger(__name__)

SCHEME = "maildir:"
STAGING = "utm-mail"
"""Our directory in tmp/."""
VOLUME_DIRECTORY = ".utm-mail"
"""Our directory in the root of the volume."""


@dataclass(frozen=True, slots=True)
class MaildirLayout:
    """Where each recipient's Maildir is. Letters go into its Maildir++ folder `folder`, or its INBOX if that is empty."""

    template: PathTemplate
    folder: str = ""
    utf8: bool = False
    """Names of folders are UTF-8 on the disk, as Dovecot's with mailbox_list_utf8; else modified UTF-7."""

    @classmethod
    def parse(cls, value: str, *, utf8: bool = False) -> "MaildirLayout":
        """`maildir:/path/{domain}/{local}[?folder=NAME]`, the name's levels parted by `/` or `.`. Raises ValueError."""
        path, has_options, query = value.removeprefix(SCHEME).partition("?")
        options = parse_qs(query, keep_blank_values=True, strict_parsing=bool(has_options))
        if options.keys() - {"folder"} or any(len(values) > 1 for values in options.values()):
            raise ValueError("the only option is folder=NAME, given once")
        folder = options.get("folder", [""])[0]
        if has_options:
            try:
                folder_directory(folder, utf8=utf8)
            except RecipientInvalid as error:
                raise ValueError(str(error)) from error
        return cls(PathTemplate(path), folder, utf8)

    def into(self, folder: str) -> str:
        """The folder for letters that a rule wants in `folder`, or does not say where; empty: INBOX."""
        wanted = folder or self.folder
        return "" if wanted.upper() == INBOX else wanted

    def maildir(self, place: RootedPath, folder: str = "") -> RootedPath:
        """The Maildir of such letters in the mailbox at `place`, whose marker is recorded."""
        wanted = self.into(folder)
        return place.below(folder_directory(wanted, utf8=self.utf8)) if wanted else place


class Maildir:
    """The Maildir at `place`, or its Maildir++ folder `folder`, for one poll and one thread.

    `marker` is the id of this Maildir at its last delivery. None before the first one: `prepare` then makes it, with the missing
    directories, and `staging.marker` is the id to record.
    """

    exactly_once = True

    def __init__(
        self,
        place: RootedPath,
        marker: str | None = None,
        *,
        folder: str = "",
        utf8: bool = False,
        reserve: int = RESERVE,
        host: str = "",
    ) -> None:
        """Touches nothing yet. `reserve` is in octets; `host` (this machine's name if empty) stands in file names."""
        self._mailbox = place
        self._folder = folder_directory(folder, utf8=utf8) if folder else ""
        self._place = place.below(self._folder) if folder else place
        staging = self._place.below("tmp").below(STAGING)
        self.staging = Staging(staging, marker, host=host or socket.gethostname(), reserve=reserve)
        self._new: OpenDirectory | None = None
        self._cur: OpenDirectory | None = None

    def prepare(self, octets: int) -> None:
        """Open the Maildir, or check that it is still the same, and that `octets` have room in it.

        Raises MaildirReplaced, DiskFull, MailboxUnwritable, DeliveryFailed.
        """
        if self._new is None:
            self._open()
        self._verify()
        self.staging.check_room(octets)

    def commit(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Move staged letters into new/, those with flags into cur/, durably; the letters that could not be moved, with the reason.
        May be repeated.

        A missing letter counts as delivered, so the directories must be the known ones before and after. Raises MaildirReplaced
        if they are not, DeliveryFailed if they cannot be made durable; both leave the fate of all letters unknown.
        """
        self._verify()
        failures = self._move(names)
        self._verify()
        with translated(str(self._place.path)):
            self._opened_new.sync()
            if any(INFO in name for name in names):
                self._opened_cur.sync()
        return failures

    def in_doubt(self, _names: Sequence[str]) -> Sequence[str]:
        """None: delivered letters are gone from staging."""
        return ()

    def close(self) -> None:
        self.staging.close()
        if self._new is not None:
            self._new.close()
            self._new = None
        if self._cur is not None:
            self._cur.close()
            self._cur = None

    @property
    def _opened_new(self) -> OpenDirectory:
        if self._new is None:
            raise LocalProtocolError("a mailbox is prepared before anything else")
        return self._new

    @property
    def _opened_cur(self) -> OpenDirectory:
        """Opened when the first letter with flags is delivered."""
        if self._cur is None:
            with translated(str(self._place.path), missing=MaildirReplaced), open_place(self._place) as home:
                self._cur = home.step("cur", make=True).readable()
        return self._cur

    def _open(self) -> None:
        make = self.staging.marker is None
        with translated(str(self._place.path), missing=MaildirReplaced), open_place(self._place, make=make) as home:
            if make:
                self._furnish(home)
            self.staging.open()
            self._new = home.step("new").readable()

    def _furnish(self, home: OpenDirectory) -> None:
        if self._folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open("maildirfolder", flags, 0o600, dir_fd=home.fd))
        for name in ("tmp", "new", "cur"):
            home.step(name, make=True).close()
        if self._folder:
            self._subscribe()

    def _subscribe(self) -> None:
        """A list of subscriptions that cannot be changed keeps no letter from its folder."""
        try:
            with open_place(self._mailbox) as mailbox:
                if not subscribe(mailbox, self._folder):
                    log.warning("%s: not subscribed, since the list of subscriptions is locked", self._place.path)
        except OSError as error:
            log.warning("%s: not subscribed: %s", self._place.path, error.strerror)

    def _verify(self) -> None:
        """Raises MaildirReplaced unless the path leads to the open directories and the marker is the known one."""
        self.staging.verify()
        check_unchanged(self._place.below("new"), self._opened_new)
        if self._cur is not None:
            check_unchanged(self._place.below("cur"), self._cur)

    def _move(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        staging = self.staging.directory.fd
        failures: dict[str, DeliveryFailed] = {}
        for name in names:
            into = self._opened_cur if INFO in name else self._opened_new
            try:
                os.rename(checked(name), name, src_dir_fd=staging, dst_dir_fd=into.fd)
            except FileNotFoundError:
                continue
            except OSError as error:
                failures[name] = failure(error, name)
        return failures


def folder_directory(folder: str, *, utf8: bool = False) -> str:
    """The Maildir++ directory of `folder`: `Работа/Счета` or `Работа.Счета` is `.<Работа>.<Счета>`. Raises RecipientInvalid."""
    levels = folder.replace("/", ".").split(".")
    if not folder.isprintable() or not all(levels):
        raise RecipientInvalid(f"no folder can be called {folder}")
    name = "." + ".".join(level if utf8 else encode_folder(level) for level in levels)
    if len(name.encode()) > MAX_NAME:
        raise RecipientInvalid(f"the folder's name is too long: {folder}")
    return name


def volume_marker(root: Path) -> str | None:
    """The id of the volume; None where none can be read."""
    return _marker_in(RootedPath(root, (VOLUME_DIRECTORY,)))


def is_maildir(directory: Path, marker: str) -> bool:
    """Whether the Maildir that `marker` was recorded for is at `directory`."""
    return _marker_in(RootedPath(directory, ("tmp", STAGING))) == marker


def make_volume_marker(root: Path, draft_name: str) -> str | None:
    """The id of the volume, a new one if there was none, now durable; None where we may not write.

    The marker is written as `draft_name` before it is put in place.
    """
    with (
        suppress(OSError, MaildirReplaced),
        open_place(RootedPath(root, (VOLUME_DIRECTORY,)), make=True).readable() as directory,
    ):
        return make_marker(directory, draft_name)
    return None


def _marker_in(place: RootedPath) -> str | None:
    with suppress(OSError, MaildirReplaced), open_place(place) as directory:
        return read_marker(directory)
    return None
