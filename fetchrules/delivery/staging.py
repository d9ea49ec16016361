"""A directory in which whole letters wait: written, made durable, and taken away by name; known by its marker."""

import os
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import FileIO

from fetchrules.delivery.disk import Directory, open_place, translated
from fetchrules.delivery.draft import StagedFile
from fetchrules.delivery.marker import is_sealed, make_marker, read_marker, seal
from fetchrules.delivery.staged_name import checked, is_ours, staged_name
from fetchrules.delivery.target import Place
from fetchrules.errors import DeliveryFailed, DiskFull, LocalProtocolError, MaildirReplaced

ABANDONED_AFTER = 24 * 3600
"""Seconds after which a staged file that nobody claims is swept away."""
RESERVE = 64 * 1024 * 1024
"""Octets that a delivery leaves free for everybody else."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_RETIRED = ".sent"
_THREADS = 4
"""Measured: four threads save a third of the time of syncing, and nearly all of removing; more save nothing more."""


class Staging:
    """The directory at `place` and its letters. Every method may raise DeliveryFailed, `close` and `remove` excepted.

    `marker` is the id that the directory was known by, None before its first use: `open` then makes or adopts one.
    """

    def __init__(self, place: Place, marker: str | None, *, host: str, reserve: int) -> None:
        """Touches nothing yet. `host` stands in file names; `reserve` is in octets."""
        self.marker = marker
        self._place = place
        self._host = host
        self._reserve = reserve
        self._directory: Directory | None = None

    def open(self) -> None:
        """Open the directory, if it is the known one. Raises MaildirReplaced otherwise."""
        make = self.marker is None
        with translated(str(self._place.path), missing=MaildirReplaced):
            if self._directory is None:
                self._directory = open_place(self._place, make=make).readable()
            if self.marker is None:
                self.marker = make_marker(self._directory, self._draft_name())
        self.verify()

    def verify(self) -> None:
        """Raises MaildirReplaced unless the path leads to the directory that is open, and the marker is the known one."""
        held = self.directory
        with translated(str(self._place.path), missing=MaildirReplaced):
            with open_place(self._place) as now:
                if not now.is_now(held):
                    raise MaildirReplaced(f"{self._place.path}: another directory is there now")
            if read_marker(held) != self.marker:
                raise MaildirReplaced(f"{self._place.path}: not the directory that was known before")

    @property
    def sealed(self) -> bool:
        """Whether this is certainly the directory in which its letters were staged, and no copy of it."""
        with translated(str(self._place.path), missing=MaildirReplaced):
            return is_sealed(self.directory)

    def seal(self, waiting: Collection[str]) -> None:
        """Stand for this directory, copy or not. Raises MaildirReplaced unless `waiting`, all unfinished letters, are in it."""
        missing = sum(not self.holds(name) for name in waiting)
        if missing:
            raise MaildirReplaced(
                f"{self._place.path}: a copy, without {missing} letters that were about to be delivered"
            )
        with translated(str(self._place.path), missing=MaildirReplaced):
            seal(self.directory, self._draft_name())

    def check_room(self, octets: int) -> None:
        """Raises DiskFull unless `octets` and the reserve have room."""
        disk = os.fstatvfs(self.directory.fd)
        free = disk.f_bavail * disk.f_frsize
        if free < octets + self._reserve or (disk.f_files and not disk.f_favail):
            raise DiskFull(f"{self._place.path}: {free} octets free")

    def close(self) -> None:
        """Let go of the directory; may be called twice."""
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    @property
    def directory(self) -> Directory:
        """The directory, which has to be open."""
        if self._directory is None:
            raise LocalProtocolError("a mailbox is prepared before anything else")
        return self._directory

    def begin(self, key: str) -> StagedFile:
        """A new letter."""
        return StagedFile(self.directory, staged_name(key, self._host, int(time.time())))

    def sync(self, names: Sequence[str]) -> None:
        """Make these letters and their names durable; where that fails, they are gone.

        The files are opened anew: Linux reports to the next opener a write error that nobody has seen yet (4.13 and
        later), and a batch of open letters in each of many threads would need thousands of descriptors. A second fsync
        after one that failed would succeed over lost data; so there is none.
        """
        try:
            with translated("fsync"):
                _in_parallel(self._sync_file, names)
                self.directory.sync()
        except DeliveryFailed:
            self.remove(names)
            raise

    def read(self, name: str) -> FileIO | None:
        """A staged letter, from its beginning; None if it is gone. Open for writing too, for NFS locks nothing else."""
        with translated(name):
            try:
                fd = os.open(checked(name), _READ | os.O_RDWR, dir_fd=self.directory.fd)
            except FileNotFoundError:
                return None
        return FileIO(fd)

    def holds(self, name: str) -> bool:
        """Whether this letter is waiting."""
        with translated(name), suppress(FileNotFoundError):
            os.stat(checked(name), dir_fd=self.directory.fd, follow_symlinks=False)
            return True
        return False

    def remove(self, names: Sequence[str]) -> None:
        """Remove these letters. What the disk will not let go is swept away later."""
        _in_parallel(self._unlink, names)

    def retire(self, name: str) -> str:
        """Take a letter out of those that wait, at once; the name under which it is still to be removed.

        Removing a file that is on the disk costs milliseconds, renaming it does not.
        """
        retired = name + _RETIRED
        with suppress(OSError):
            os.rename(checked(name), retired, src_dir_fd=self.directory.fd, dst_dir_fd=self.directory.fd)
        return retired

    def leftovers(self) -> list[str]:
        """Letters older than ABANDONED_AFTER, as far as this clock can tell."""
        deadline = time.time() - ABANDONED_AFTER
        old: list[str] = []
        with translated("looking for leftovers"), os.scandir(self.directory.fd) as entries:
            for name in (entry.name for entry in entries if is_ours(entry.name)):
                with suppress(FileNotFoundError):
                    if os.stat(name, dir_fd=self.directory.fd, follow_symlinks=False).st_mtime < deadline:
                        old.append(name)
        return old

    def _draft_name(self) -> str:
        return staged_name("marker", self._host, int(time.time()))

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(checked(name), dir_fd=self.directory.fd)

    def _sync_file(self, name: str) -> None:
        fd = os.open(checked(name), _READ, dir_fd=self.directory.fd)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _in_parallel(work: Callable[[str], None], names: Sequence[str]) -> None:
    """Do `work` for each name. Raises what the first that failed has raised, when all have ended."""
    with ThreadPoolExecutor(min(_THREADS, len(names) or 1)) as pool:
        list(pool.map(work, names))
