"""Delivery into a Maildir, exactly once: a letter is staged beside the mailbox, and renamed into new/ when it is safe.

Letters wait in tmp/utm-mail/, a directory of ours, and not in tmp/ itself: Dovecot, Courier and others remove from
there what is older than 36 hours, and a letter missed after a long outage would pass for one that was delivered.

Everything is made 0700 and 0600: the worker runs as the user who owns the mailboxes.
"""

import os
import socket
from collections.abc import Collection, Sequence

from fetchrules.delivery.disk import Directory, failure, open_place, translated
from fetchrules.delivery.folder import folder_directory
from fetchrules.delivery.local import Draft, Staged
from fetchrules.delivery.staged_name import checked
from fetchrules.delivery.staging import RESERVE, Staging
from fetchrules.delivery.target import Place
from fetchrules.errors import DeliveryFailed, LocalProtocolError, MaildirReplaced

STAGING = "utm-mail"
"""Our directory in tmp/."""


class Maildir:
    """The Maildir at `place`, or its Maildir++ folder `folder`. One poll's object, not for several threads.

    `marker` is the id that this Maildir was known by at its last delivery, None before the first one: then it is made
    or adopted, along with the directories, and the id to record is in `marker` when `prepare` returns.
    """

    exactly_once = True

    def __init__(
        self, place: Place, marker: str | None = None, *, folder: str = "", reserve: int = RESERVE, host: str = ""
    ) -> None:
        """Touches nothing yet. `reserve` is in octets; `host` (this machine's name if empty) stands in file names."""
        self._place = place.below(folder_directory(folder)) if folder else place
        self._is_folder = bool(folder)
        staging = self._place.below("tmp").below(STAGING)
        self._staging = Staging(staging, marker, host=host or socket.gethostname(), reserve=reserve)
        self._new: Directory | None = None

    @property
    def marker(self) -> str | None:
        """The id of this Maildir, as far as it is known."""
        return self._staging.marker

    def prepare(self, octets: int) -> None:
        """Open the Maildir, or look that it is still the same one, and that `octets` have room in it.

        Raises MaildirReplaced, DiskFull, MailboxUnwritable, DeliveryFailed.
        """
        if self._new is None:
            self._open()
        self._verify()
        self._staging.check_room(octets)

    @property
    def sealed(self) -> bool:
        """As LocalMailbox.sealed. Raises DeliveryFailed."""
        return self._staging.sealed

    def seal(self, waiting: Collection[str]) -> None:
        """As LocalMailbox.seal. Raises MaildirReplaced, DeliveryFailed."""
        self._staging.seal(waiting)

    def stage(self, key: str) -> Draft:
        """Begin a letter. Raises DeliveryFailed."""
        return self._staging.begin(key)

    def sync(self, staged: Sequence[Staged]) -> None:
        """Make staged letters durable. Raises DeliveryFailed; the letters are then gone."""
        self._staging.sync([letter.name for letter in staged])

    def commit(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Move staged letters into new/, durably; the ones that could not be moved, with the reason. May be repeated.

        A name that is gone was delivered before: that is why the directories must be the known ones before and after.
        Raises MaildirReplaced if they are not, DeliveryFailed if new/ cannot be made durable: nothing may then be
        concluded of any letter.
        """
        self._verify()
        failures = self._move(names)
        self._verify()
        with translated(str(self._place.path)):
            self._opened_new.sync()
        return failures

    def in_doubt(self, _names: Sequence[str]) -> Sequence[str]:
        """None: what was delivered is gone from staging."""
        return ()

    def discard(self, names: Sequence[str]) -> None:
        """Remove staged letters that will not be delivered. Never raises."""
        self._staging.remove(names)

    def leftovers(self) -> list[str]:
        """As LocalMailbox.leftovers. Raises DeliveryFailed."""
        return self._staging.leftovers()

    def close(self) -> None:
        """Let go of the directories; may be called twice."""
        self._staging.close()
        if self._new is not None:
            self._new.close()
            self._new = None

    @property
    def _opened_new(self) -> Directory:
        if self._new is None:
            raise LocalProtocolError("a mailbox is prepared before anything else")
        return self._new

    def _open(self) -> None:
        """With no marker known, what is missing is made."""
        make = self.marker is None
        with translated(str(self._place.path), missing=MaildirReplaced), open_place(self._place, make=make) as home:
            if make:
                self._furnish(home)
            self._staging.open()
            self._new = home.enter("new")

    def _furnish(self, home: Directory) -> None:
        if self._is_folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open("maildirfolder", flags, 0o600, dir_fd=home.fd))
        for name in ("tmp", "new", "cur"):
            home.step(name, make=True).close()

    def _verify(self) -> None:
        """Raises MaildirReplaced unless both directories are where the path leads, and the marker is the known one."""
        held = self._opened_new
        self._staging.verify()
        with (
            translated(str(self._place.path), missing=MaildirReplaced),
            open_place(self._place) as home,
            home.step("new") as now,
        ):
            if not now.is_now(held):
                raise MaildirReplaced(f"{self._place.path}: another new/ is there now")

    def _move(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        staging, new = self._staging.directory.fd, self._opened_new.fd
        failures: dict[str, DeliveryFailed] = {}
        for name in names:
            try:
                os.rename(checked(name), name, src_dir_fd=staging, dst_dir_fd=new)
            except FileNotFoundError:
                continue
            except OSError as error:
                failures[name] = failure(error, name)
        return failures
