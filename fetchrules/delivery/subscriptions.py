"""The list of subscribed folders in a Maildir++ mailbox, as Dovecot keeps it (its file `subscriptions`).

Names are those of the directories without the first dot; the file's second version has tabs between levels. Whoever changes it
writes `subscriptions.lock`, which nobody else can make meanwhile, and renames it.
"""

import os
import time
from contextlib import suppress

from fetchrules.delivery.disk import OpenDirectory

_NAME, _LOCK = "subscriptions", "subscriptions.lock"
_VERSION_2 = b"V\t2\n\n"
_LARGEST = 1024 * 1024
_WAIT_SECONDS = 2.0
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def subscribe(mailbox: OpenDirectory, directory: str) -> bool:
    """Subscribe to the folder in `directory` of an open mailbox; False if the list is being changed for long. Raises OSError."""
    lock = _lock(mailbox)
    if lock is None:
        return False
    try:
        with os.fdopen(lock, "wb") as file:
            file.write(_with(_read(mailbox), directory))
            file.flush()
            os.fsync(file.fileno())
        os.rename(_LOCK, _NAME, src_dir_fd=mailbox.fd, dst_dir_fd=mailbox.fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(_LOCK, dir_fd=mailbox.fd)
        raise
    return True


def _lock(mailbox: OpenDirectory) -> int | None:
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return os.open(_LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=mailbox.fd)
        except FileExistsError:
            if time.monotonic() > until:
                return None
            time.sleep(0.05)


def _read(mailbox: OpenDirectory) -> bytes:
    try:
        fd = os.open(_NAME, os.O_RDONLY | _FLAGS, dir_fd=mailbox.fd)
    except FileNotFoundError:
        return b""
    with os.fdopen(fd, "rb") as file:
        return file.read(_LARGEST)


def _with(known: bytes, directory: str) -> bytes:
    name = directory.removeprefix(".").encode()
    if known.startswith(_VERSION_2):
        name = name.replace(b".", b"\t")
    if name in known.split(b"\n"):
        return known
    return known + (b"" if not known or known.endswith(b"\n") else b"\n") + name + b"\n"
