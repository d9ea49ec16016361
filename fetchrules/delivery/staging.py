"""The directory in which letters wait for delivery: they are written, made durable and removed by name."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from typing import TypeVar

from fetchrules.delivery.disk import OpenDirectory, check_unchanged, open_place, translated
from fetchrules.delivery.fingerprint import Fingerprint
from fetchrules.delivery.from_line import FromLine
from fetchrules.delivery.letterhead import arrival
from fetchrules.delivery.marker import is_sealed, make_marker, read_marker, seal
from fetchrules.delivery.recipients import RootedPath
from fetchrules.errors import DeliveryFailed, DiskFull, LocalProtocolError, MaildirReplaced

MAX_NAME = 120
"""Octets of a file's name."""

INFO = ":2,"
"""Between a file's name and the letters of its flags, in cur/ of a Maildir. No host has it, so a name has it once at most."""

_NAME = re.compile(r"([0-9]{1,20})\.(Q[0-9a-f]{16}K([0-9a-f]{16}))\.[^/\0]+")
_FORBIDDEN = re.compile(r"[^!-~]|[/:,]")


@dataclass(frozen=True, slots=True)
class StagedName:
    """The parts of a staged letter's file name; `seconds` is Unix time."""

    seconds: int
    unique: str
    key_hash: str

    @classmethod
    def parse(cls, name: str) -> "StagedName":
        """Raises LocalProtocolError for a name that is not ours: with such a bug any file could be reached."""
        found = _NAME.fullmatch(name)
        if found is None:
            raise LocalProtocolError(f"not a staged letter's name: {name!r}")
        return cls(int(found[1]), found[2], found[3])


def staged_name(key: str, host: str, seconds: int, flags: str = "") -> str:
    """`<secs>.Q<random>K<hash of the key>.<host>`: unique, as the Maildir convention wants it; with its info, if there are `flags`.

    In the host, `/`, `:`, the comma (which begins the fields of Dovecot and Courier) and invisible characters are escaped.
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    visible = _FORBIDDEN.sub(lambda c: "".join(f"\\{octet:03o}" for octet in c[0].encode()), host)
    info = INFO + flags if flags else ""
    return f"{seconds}.Q{secrets.token_hex(8)}K{digest[:16]}.{visible or 'localhost'}"[: MAX_NAME - len(info)] + info


def checked(name: str) -> str:
    """`name`. Raises LocalProtocolError if it is not ours."""
    StagedName.parse(name)
    return name


ABANDONED_AFTER = 24 * 3600
"""Seconds after which a staged file without a row is removed."""
RESERVE = 64 * 1024 * 1024
"""Octets that a delivery leaves free."""

_T = TypeVar("_T")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_RETIRED = ".sent"
_THREADS = 4
"""Measured: four threads save a third of the time of syncing and nearly all of removing; more do not help."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A whole letter, written beside the mailbox but not yet in it.

    `size` is in octets as received; `canonical` counts each line end as two octets. `head` is the first octets of the header (at
    most 16 KiB), for the journal; `header` is the fingerprint of the header alone (`head_print`). `arrived`: at the remote server
    (`letterhead.arrival`).
    """

    name: str
    size: int
    fingerprint: str
    head: bytes
    header: str = ""
    canonical: int = 0
    arrived: datetime | None = None


class StagedFile:
    """A letter that is being written, with CRLF turned into LF and without an mbox line; a lone CR stays.

    Fingerprint and sizes are those of the letter as it was received. `finish` or `discard` ends it.
    """

    def __init__(self, directory: OpenDirectory, name: str) -> None:
        """Create the file (0600). Raises DeliveryFailed."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with translated(name):
            self._fd = os.open(name, flags, 0o600, dir_fd=directory.fd)
        self._directory = directory
        self._name = name
        self._fingerprint = Fingerprint()
        self._from_line = FromLine()
        self._held_cr = b""
        self._size = 0
        self._canonical = 0

    def write(self, data: bytes) -> None:
        """Append octets as the remote server sent them. Raises DeliveryFailed (DiskFull, …)."""
        self._size += len(data)
        text = self._held_cr + data if self._held_cr else data
        self._held_cr = b"\r" if text.endswith(b"\r") else b""
        if self._held_cr:
            text = text[:-1]
        text = text.replace(b"\r\n", b"\n")
        self._canonical += len(text) + text.count(b"\n")
        self._fingerprint.update(text)
        self._append(self._from_line.without(text))

    def finish(self, told: datetime | None = None) -> Staged:
        """The complete letter, not durable before `Staging.sync`. Raises DeliveryFailed; then it can still be discarded.

        `told`: when it arrived at the remote server, if that says so.
        """
        self._append(self._from_line.without(self._held_cr) + self._from_line.rest())
        fd, self._fd = self._fd, -1
        with translated(self._name):
            os.posix_fadvise(
                fd, 0, 0, os.POSIX_FADV_DONTNEED
            )  # Linux begins to write it out, so `sync` has less to wait for
            os.close(fd)
        letter, canonical = self._fingerprint, self._canonical + len(self._held_cr)
        arrived = arrival(told, letter.head, datetime.now(UTC))
        return Staged(self._name, self._size, letter.hexdigest(), letter.head, letter.header, canonical, arrived)

    def discard(self) -> None:
        """Remove the file. Never raises."""
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            os.unlink(self._name, dir_fd=self._directory.fd)
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)

    def _append(self, text: bytes) -> None:
        with translated(self._name):
            rest = memoryview(text)
            while rest:
                rest = rest[os.write(self._fd, rest) :]


class Staging:
    """The directory at `place` and its letters. Every method but `close` and `remove` may raise DeliveryFailed.

    `marker` is the id by which the directory is known, None before its first use; `open` then makes or adopts one.
    """

    def __init__(self, place: RootedPath, marker: str | None, *, host: str, reserve: int) -> None:
        """Touches nothing yet. `host` stands in file names; `reserve` is in octets."""
        self.marker = marker
        self._place = place
        self._host = host
        self._reserve = reserve
        self._directory: OpenDirectory | None = None

    def open(self) -> None:
        """Open the directory. Raises MaildirReplaced if it is not the known one."""
        make = self.marker is None
        with translated(str(self._place.path), missing=MaildirReplaced):
            if self._directory is None:
                self._directory = open_place(self._place, make=make).readable()
            if self.marker is None:
                self.marker = make_marker(self._directory, self._draft_name())
        self.verify()

    def verify(self) -> None:
        """Raises MaildirReplaced unless the path leads to the directory that is open, and the marker is the known one."""
        check_unchanged(self._place, self.directory)
        with translated(str(self._place.path), missing=MaildirReplaced):
            if read_marker(self.directory) != self.marker:
                raise MaildirReplaced(f"{self._place.path}: not the directory that was known before")

    @property
    def sealed(self) -> bool:
        """Whether the marker was made in this directory, which is no copy. Only then a missing letter was delivered."""
        with translated(str(self._place.path), missing=MaildirReplaced):
            return is_sealed(self.directory)

    def seal(self, waiting: Collection[str]) -> None:
        """Accept this directory, though it may be a copy.

        Raises MaildirReplaced if one of `waiting` is missing: all recorded letters that are not known to be delivered.
        """
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
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    @property
    def directory(self) -> OpenDirectory:
        if self._directory is None:
            raise LocalProtocolError("a mailbox is prepared before anything else")
        return self._directory

    def begin(self, key: str, flags: str = "") -> StagedFile:
        """A new letter. Its lasting `key` (source, epoch, uid, ord) is hashed into the file name, which has its `flags` too."""
        return StagedFile(self.directory, staged_name(key, self._host, int(time.time()), flags))

    def sync(self, letters: Sequence[Staged]) -> None:
        """Make these letters durable, with their names and the times of their arrival, or remove them.

        The files are opened again, so that a batch needs no thousand descriptors: Linux (4.13 and later) reports an unseen write
        error to the next opener. A failed fsync is never repeated, because the second would succeed over lost data.
        """
        try:
            with translated("fsync"):
                _in_parallel(self._sync_file, letters)
                self.directory.sync()
        except DeliveryFailed:
            self.remove([letter.name for letter in letters])
            raise

    def read(self, name: str) -> FileIO | None:
        """A staged letter; None if it is gone. It is open for writing too, because NFS locks no other files."""
        with translated(name):
            try:
                fd = os.open(checked(name), _READ | os.O_RDWR, dir_fd=self.directory.fd)
            except FileNotFoundError:
                return None
        return FileIO(fd)

    def holds(self, name: str) -> bool:
        with translated(name), suppress(FileNotFoundError):
            os.stat(checked(name), dir_fd=self.directory.fd, follow_symlinks=False)
            return True
        return False

    def remove(self, names: Sequence[str]) -> None:
        """Remove these letters. Never raises; files that cannot be removed become leftovers."""
        _in_parallel(self._unlink, names)

    def retire(self, name: str) -> str:
        """Rename a delivered letter, which is faster than removing it; the new name, under which it is to be removed."""
        retired = name + _RETIRED
        with suppress(OSError):
            os.rename(checked(name), retired, src_dir_fd=self.directory.fd, dst_dir_fd=self.directory.fd)
        return retired

    def leftovers(self) -> list[str]:
        """Our files older than ABANDONED_AFTER. They may belong to an unfinished letter or a running poll."""
        deadline = time.time() - ABANDONED_AFTER
        with translated("looking for leftovers"), os.scandir(self.directory.fd) as entries:
            ours = [name for entry in entries if (name := _NAME.fullmatch(entry.name))]
        return [name[0] for name in ours if int(name[1]) < deadline]

    def _draft_name(self) -> str:
        return staged_name("marker", self._host, int(time.time()))

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(checked(name), dir_fd=self.directory.fd)

    def _sync_file(self, letter: Staged) -> None:
        fd = os.open(checked(letter.name), _READ, dir_fd=self.directory.fd)
        try:
            if letter.arrived is not None:
                _set_time(fd, letter.arrived)
            os.fsync(fd)
        finally:
            os.close(fd)


def _set_time(fd: int, moment: datetime) -> None:
    """Give an open file this time of its last change, which IMAP servers tell as INTERNALDATE.

    Some file systems refuse it, and no letter fails for that; what was written badly, fsync tells.
    """
    seconds = moment.timestamp()
    with suppress(OSError):
        os.utime(fd, (seconds, seconds))


def _in_parallel(work: Callable[[_T], None], letters: Sequence[_T]) -> None:
    """Do `work` for all of them, each thread for a share; then raise the first error of a share, if any."""
    shares = [letters[start::_THREADS] for start in range(min(_THREADS, len(letters)))]

    def work_off(share: Sequence[_T]) -> None:
        for letter in share:
            work(letter)

    if len(shares) == 1:
        work_off(shares[0])
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work_off, shares))
