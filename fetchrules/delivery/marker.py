"""The marker: a file with a random id, by which the directory of staged letters is known again.

Beside the known marker, a missing letter was delivered. Without it the directory was unmounted, restored or emptied, and a
missing letter proves nothing. A copy of the directory has the marker too, but no valid seal: the seal holds the marker's inode
and the time of its last change, which copying does not preserve.
"""

import os
import re
import secrets
from contextlib import suppress

from fetchrules.delivery.disk import OpenDirectory
from fetchrules.errors import MaildirReplaced

FILE_NAME = "marker"
SEAL = "seal"

_MARKER = re.compile(rb"([0-9a-f]{32})\n")
_SEALINGS = 3
"""Two processes may make the marker at once. The loser unlinks its draft, which changes the marker's ctime and breaks the seal."""


def read_marker(directory: OpenDirectory) -> str | None:
    """The id in this directory, None if there is none. Raises MaildirReplaced for a file that holds no id, OSError."""
    content = _read(directory, FILE_NAME)
    if content is None:
        return None
    found = _MARKER.fullmatch(content)
    if found is None:
        raise MaildirReplaced("the marker holds no id")
    return found[1].decode()


def make_marker(directory: OpenDirectory, draft_name: str) -> str:
    """The id in this directory, now durable; a new one, sealed, if there was none.

    It is written as `draft_name` and linked into place, so that one of several makers wins. Raises MaildirReplaced, OSError.
    """
    is_new = read_marker(directory) is None
    if is_new:
        try:
            _write(directory, draft_name, f"{secrets.token_hex(16)}\n".encode())
            with suppress(FileExistsError):
                os.link(draft_name, FILE_NAME, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft_name, dir_fd=directory.fd)
    directory.sync()
    made = read_marker(directory)
    if made is None:
        raise MaildirReplaced("the marker vanished while it was made")
    if is_new:
        seal(directory, draft_name)
    return made


def is_sealed(directory: OpenDirectory) -> bool:
    """Whether the marker is the sealed one, not a copy. Raises OSError, also without a marker."""
    return _read(directory, SEAL) == _identity(os.stat(FILE_NAME, dir_fd=directory.fd, follow_symlinks=False))


def seal(directory: OpenDirectory, draft_name: str) -> None:
    """Seal the present marker, durably. No seal holds on a disk that forgets times or inodes. Raises OSError."""
    for _ in range(_SEALINGS):
        with open(_open(directory, FILE_NAME), "rb") as marker:
            os.fsync(marker)
            identity = _identity(os.fstat(marker.fileno()))
        _write(directory, draft_name, identity)
        os.replace(draft_name, SEAL, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
        directory.sync()
        if is_sealed(directory):
            return


def _identity(marker: os.stat_result) -> bytes:
    return f"{marker.st_ino} {marker.st_ctime_ns}\n".encode()


def _read(directory: OpenDirectory, name: str) -> bytes | None:
    try:
        fd = _open(directory, name)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, 64)
    finally:
        os.close(fd)


def _open(directory: OpenDirectory, name: str) -> int:
    # O_NONBLOCK: where others may write, the name can be a FIFO, whose opening would wait for ever.
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory.fd)


def _write(directory: OpenDirectory, name: str, content: bytes) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory.fd)
    with os.fdopen(fd, "wb") as draft:  # a single os.write may write less than it was given
        draft.write(content)
        draft.flush()
        os.fsync(fd)
