"""Delivery into a Maildir, exactly once: a letter is staged beside the mailbox, and renamed into new/ when it is safe.

Letters wait in tmp/utm-mail/, a directory of ours, and not in tmp/ itself: Dovecot, Courier and others remove from
there what is older than 36 hours, and a letter missed after a long outage would pass for one that was delivered.

Everything is made 0700 and 0600: the worker runs as the user who owns the mailboxes.
"""

import os
import socket
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fetchrules.delivery.disk import Directory, failure, open_place, translated
from fetchrules.delivery.folder import folder_directory
from fetchrules.delivery.local import Draft, Staged
from fetchrules.delivery.marker import make_marker, read_marker
from fetchrules.delivery.staging import Staging, checked, file_name
from fetchrules.delivery.target import Place
from fetchrules.errors import DeliveryFailed, DiskFull, LocalProtocolError, MaildirReplaced

STAGING = "utm-mail"
"""Our directory in tmp/."""
RESERVE = 64 * 1024 * 1024
"""Octets that a delivery leaves free for everybody else."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """The two directories between which letters move."""

    new: Directory
    staging: Directory

    def close(self) -> None:
        self.new.close()
        self.staging.close()


class Maildir:
    """The Maildir at `place`, or its Maildir++ folder `folder`. One poll's object, not for several threads.

    `marker` is the id that this Maildir was known by at its last delivery, None before the first one: then it is made
    or adopted, and the id to record is in `marker` when `prepare` returns.
    """

    exactly_once = True

    def __init__(
        self, place: Place, marker: str | None = None, *, folder: str = "", reserve: int = RESERVE, host: str = ""
    ) -> None:
        """Touches nothing yet. `reserve` is in octets; `host` (this machine's name if empty) stands in file names."""
        self.marker = marker
        self._place = place.below(folder_directory(folder)) if folder else place
        self._is_folder = bool(folder)
        self._reserve = reserve
        self._host = host or socket.gethostname()
        self._held: _Opened | None = None

    def prepare(self, octets: int) -> None:
        """Open the Maildir, or look that it is still the same one, and that `octets` have room in it.

        Raises MaildirReplaced, DiskFull, MailboxUnwritable, DeliveryFailed.
        """
        with translated(str(self._place.path)):
            if self._held is None:
                self._held = self._open()
            if self.marker is None:
                self.marker = make_marker(self._held.staging, file_name("marker", self._host, int(time.time())))
            self._verify(self._held)
            self._check_room(self._held, octets)

    def stage(self, key: str) -> Draft:
        """Begin a letter. Raises DeliveryFailed."""
        return self._waiting.begin(key)

    def sync(self, staged: Sequence[Staged]) -> None:
        """Make staged letters durable. Raises DeliveryFailed; the letters are then gone."""
        self._waiting.sync([letter.name for letter in staged])

    def commit(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Move staged letters into new/, durably; the ones that could not be moved, with the reason. May be repeated.

        A name that is gone was delivered before: that is why the directories must be the known ones before and after. Raises
        MaildirReplaced if that is in doubt, DeliveryFailed if new/ cannot be made durable: nothing may then be
        concluded.
        """
        held = self._opened
        failures: dict[str, DeliveryFailed] = {}
        with translated(str(self._place.path)):
            self._verify(held)
            for name in names:
                try:
                    os.rename(checked(name), name, src_dir_fd=held.staging.fd, dst_dir_fd=held.new.fd)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    failures[name] = failure(error, name)
            self._verify(held)
            held.new.sync()
        return failures

    def discard(self, names: Sequence[str]) -> None:
        """Remove staged letters that will not be delivered. Never raises."""
        self._waiting.remove(names)

    def sweep(self, spared: Collection[str]) -> int:
        """Remove staged letters older than 24 hours that are not in `spared`; how many. Raises DeliveryFailed."""
        return self._waiting.sweep(spared)

    def close(self) -> None:
        """Let go of the directories; may be called twice."""
        if self._held is not None:
            self._held.close()
            self._held = None

    @property
    def _opened(self) -> _Opened:
        if self._held is None:
            raise LocalProtocolError("a Maildir is prepared before anything else")
        return self._held

    @property
    def _waiting(self) -> Staging:
        return Staging(self._opened.staging, self._host)

    def _open(self) -> _Opened:
        """The directories that the path leads to now; with no marker known, what is missing is made."""
        make = self.marker is None
        try:
            with open_place(self._place, make=make) as home:
                if make:
                    self._furnish(home)
                with home.step("tmp") as tmp:
                    staging = tmp.enter(STAGING, make=make)
                try:
                    return _Opened(home.enter("new"), staging)
                except OSError:
                    staging.close()
                    raise
        except FileNotFoundError as error:
            raise MaildirReplaced(f"{self._place.path}: a directory is missing") from error

    def _furnish(self, home: Directory) -> None:
        if self._is_folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open("maildirfolder", flags, 0o600, dir_fd=home.fd))
        for name in ("tmp", "new", "cur"):
            home.step(name, make=True).close()

    def _verify(self, held: _Opened) -> None:
        """Raises MaildirReplaced unless the path leads to the directories held, and the marker is the known one."""
        now = self._open()
        try:
            if not (now.new.is_now(held.new) and now.staging.is_now(held.staging)):
                raise MaildirReplaced(f"{self._place.path}: another directory is there now")
        finally:
            now.close()
        if read_marker(held.staging) != self.marker:
            raise MaildirReplaced(f"{self._place.path}: not the Maildir that was delivered to before")

    def _check_room(self, held: _Opened, octets: int) -> None:
        disk = os.fstatvfs(held.staging.fd)
        if disk.f_bavail * disk.f_frsize < octets + self._reserve or (disk.f_files and not disk.f_favail):
            raise DiskFull(f"{self._place.path}: {disk.f_bavail * disk.f_frsize} octets free")
