"""Small secret files: mode 0600, whole or not there, durable before they are used, owned by whom their directory belongs to."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """The text of `path`; where there is none yet, what `make` gives becomes it, exactly once however many processes ask."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        staged = _staged(path, make())
        try:
            os.link(staged, path)
        except FileExistsError:
            pass  # another process was first: its text is the text
        finally:
            staged.unlink()
        _sync_directory(path.parent)
    return path.read_text(encoding="utf-8")


def replace(path: Path, text: str) -> None:
    """Put `text` in the place of what `path` held, in one step. Whoever reads first has to hold `locked` until this is done."""
    _staged(path, text).replace(path)
    _sync_directory(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else who asks for it changes `path` meanwhile, in this process or another. Not to be taken twice by one thread."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path.with_name(f"{path.name}.lock"), flags, 0o600)
    try:
        _give_to_owner(descriptor, path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _staged(path: Path, text: str) -> Path:
    staged = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        _give_to_owner(descriptor, path.parent)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return staged


def _give_to_owner(descriptor: int, directory: Path) -> None:
    """What root writes by a command, the service must be able to read."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
