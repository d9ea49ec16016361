"""A directory in which whole letters wait: written, made durable, and taken away by name."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from fetchrules.delivery.disk import Directory, translated
from fetchrules.delivery.fingerprint import Fingerprint
from fetchrules.delivery.local import Staged
from fetchrules.errors import DeliveryFailed, LocalProtocolError

MAX_NAME = 120
"""Octets of a staged letter's file name."""
ABANDONED_AFTER = 24 * 3600
"""Seconds after which a staged file that nobody claims is swept away."""

_SYNC_THREADS = 4
"""Measured: of 1, 4, 8 and 16 the first step saves a third of the time, the others nothing more."""

_OURS = re.compile(r"[0-9]{1,20}\.Q[0-9a-f]{16}K[0-9a-f]{16}\.[^/\0]+")
_FORBIDDEN = re.compile(r"[^!-~]|[/:,]")


def file_name(key: str, host: str, seconds: int) -> str:
    """`<secs>.Q<random>K<hash of the key>.<host>`: unique as the Maildir convention wants it, and ours to recognise.

    In the host, `/`, `:` and what is no visible ASCII become octal escapes, as the convention has it; so does the
    comma, which begins the fields that Dovecot and Courier add.
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    visible = _FORBIDDEN.sub(lambda c: "".join(f"\\{octet:03o}" for octet in c[0].encode()), host)
    return f"{seconds}.Q{secrets.token_hex(8)}K{digest[:16]}.{visible or 'localhost'}"[:MAX_NAME]


class StagedFile:
    """A letter being written, CRLF turned into LF (a lone CR stays one). The `Draft` of all mailboxes on this side."""

    __slots__ = ("_directory", "_fd", "_fingerprint", "_held_cr", "_name", "_size")

    def __init__(self, directory: Directory, name: str) -> None:
        """Create the file (0600). Raises DeliveryFailed."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with translated(name):
            self._fd = os.open(name, flags, 0o600, dir_fd=directory.fd)
        self._directory = directory
        self._name = name
        self._fingerprint = Fingerprint()
        self._held_cr = b""
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append octets of the letter. Raises DeliveryFailed."""
        self._size += len(data)
        text = self._held_cr + data if self._held_cr else data
        self._held_cr = b"\r" if text.endswith(b"\r") else b""
        if self._held_cr:
            text = text[:-1]
        text = text.replace(b"\r\n", b"\n")
        self._fingerprint.update(text)
        self._append(text)

    def finish(self) -> Staged:
        """The letter is complete. Raises DeliveryFailed, after which it can still be discarded."""
        self._append(self._held_cr)
        fd, self._fd = self._fd, -1
        with translated(self._name):
            os.close(fd)
        return Staged(self._name, self._size, self._fingerprint.hexdigest(), self._fingerprint.head)

    def discard(self) -> None:
        """Remove what was written. Never raises."""
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
    """The letters waiting in one directory."""

    __slots__ = ("_host", "directory")

    def __init__(self, directory: Directory, host: str) -> None:
        self.directory = directory
        self._host = host

    def begin(self, key: str) -> StagedFile:
        """A new letter. Raises DeliveryFailed."""
        return StagedFile(self.directory, file_name(key, self._host, int(time.time())))

    def sync(self, names: Sequence[str]) -> None:
        """Make these letters and their names durable. Raises DeliveryFailed, and the letters are then gone.

        The files are opened anew: Linux reports to the next opener a write error that nobody has seen yet (4.13 and
        later), and a batch of open letters in each of many threads would need thousands of descriptors. A second fsync
        after one that failed would succeed over lost data; so there is none.
        """
        try:
            with translated("fsync"):
                with ThreadPoolExecutor(min(_SYNC_THREADS, len(names) or 1)) as pool:
                    list(pool.map(self._sync_file, names))
                self.directory.sync()
        except DeliveryFailed:
            self.remove(names)
            raise

    def remove(self, names: Sequence[str]) -> None:
        """Remove these letters. Never raises for what the disk does: what stays is swept away later."""
        for name in names:
            with suppress(OSError):
                os.unlink(checked(name), dir_fd=self.directory.fd)

    def sweep(self, spared: Collection[str]) -> int:
        """Remove letters older than ABANDONED_AFTER that are not in `spared`; how many. Raises DeliveryFailed."""
        deadline = time.time() - ABANDONED_AFTER
        swept = 0
        with translated("sweep"), os.scandir(self.directory.fd) as entries:
            for entry in entries:
                if not _OURS.fullmatch(entry.name) or entry.name in spared:
                    continue
                with suppress(FileNotFoundError):
                    if os.stat(entry.name, dir_fd=self.directory.fd, follow_symlinks=False).st_mtime < deadline:
                        os.unlink(entry.name, dir_fd=self.directory.fd)
                        swept += 1
        return swept

    def _sync_file(self, name: str) -> None:
        fd = os.open(checked(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.directory.fd)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def checked(name: str) -> str:
    """`name`, if it is one that `file_name` gives; another would be a bug, and could reach any file."""
    if not _OURS.fullmatch(name):
        raise LocalProtocolError(f"not a staged letter's name: {name!r}")
    return name
