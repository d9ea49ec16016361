"""Files that only the service may read: small secret ones of mode 0600, written whole and durably, and the data directory."""

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UMASK = 0o077
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SECRETS = ("keys", "secret_key")


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """The text of `path`. If there is none, write what `make` returns, exactly once however many processes ask."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        staged = _staged(path, make())
        try:
            os.link(staged, path)
        except FileExistsError:
            pass  # another process was first, and its text counts
        finally:
            staged.unlink()
        _sync_directory(path.parent)
    return path.read_text(encoding="utf-8")


def replace(path: Path, text: str) -> None:
    """Replace the content of `path` atomically. A caller that reads it first must hold `locked` until this returns."""
    _staged(path, text).replace(path)
    _sync_directory(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock `path` against other holders of its lock, in this process and in others. Not reentrant."""
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
    """Let the service read what root writes by a command."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def close_to_others(data: Path, database: Path | None) -> None:
    """Close the files of this process's user to others: those it makes from now on, and those that an older version left open."""
    os.umask(UMASK)
    for path in open_to_others(data, database):
        if path != data or _is_of_its_own(data):
            with suppress(OSError):  # another user's file or a read-only disk: a system check reports it
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)


def open_to_others(data: Path, database: Path | None) -> Iterator[Path]:
    """Which of these others may read: the directory `data`, the keys in it, the files of the SQLite `database`."""
    beside = [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")] if database else []
    for path in (data, *(data / name for name in _SECRETS), *beside):
        with suppress(OSError):
            if path.stat().st_mode & _OTHERS:
                yield path


def _is_of_its_own(data: Path) -> bool:
    """False for a directory like /tmp or /var/lib, where others have files too and would be locked out."""
    try:
        with os.scandir(data) as entries:
            owners = {entry.stat(follow_symlinks=False).st_uid for entry in entries}
    except OSError:
        return False
    return not data.stat().st_mode & stat.S_ISVTX and owners <= {data.stat().st_uid}
