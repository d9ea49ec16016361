"""A letter being written into a file beside its mailbox."""

import os
from contextlib import suppress

from fetchrules.delivery.disk import Directory, translated
from fetchrules.delivery.fingerprint import Fingerprint
from fetchrules.delivery.local import Staged


class StagedFile:
    """The `Draft` of every mailbox on this side. CRLF is turned into LF; a lone CR stays one."""

    __slots__ = ("_canonical", "_directory", "_fd", "_fingerprint", "_held_cr", "_name", "_size")

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
        self._canonical = 0

    def write(self, data: bytes) -> None:
        """Append octets of the letter. Raises DeliveryFailed."""
        self._size += len(data)
        text = self._held_cr + data if self._held_cr else data
        self._held_cr = b"\r" if text.endswith(b"\r") else b""
        if self._held_cr:
            text = text[:-1]
        text = text.replace(b"\r\n", b"\n")
        self._canonical += len(text) + text.count(b"\n")
        self._fingerprint.update(text)
        self._append(text)

    def finish(self) -> Staged:
        """The letter is complete. Raises DeliveryFailed, after which it can still be discarded."""
        self._append(self._held_cr)
        fd, self._fd = self._fd, -1
        with translated(self._name):
            os.close(fd)
        letter, canonical = self._fingerprint, self._canonical + len(self._held_cr)
        return Staged(self._name, self._size, letter.hexdigest(), letter.head, letter.header, canonical)

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
