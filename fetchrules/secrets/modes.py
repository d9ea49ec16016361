"""Who may look at the data: nobody but the service. Mended at each start, for a copy or an older version may have left it open."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

UMASK = 0o077
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SECRETS = ("keys", "secret_key")


def close_to_others(data: Path, database: Path | None) -> None:
    """From now on what this process makes is its user's alone; so is what is there already, as far as it is his to say."""
    os.umask(UMASK)
    for path in open_to_others(data, database):
        if path != data or _is_of_its_own(data):
            with suppress(OSError):  # another's file, a disk that may only be read: a system check says so
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)


def open_to_others(data: Path, database: Path | None) -> Iterator[Path]:
    """What others may look into: the directory `data`, the keys in it, the SQLite file `database` with what it writes beside it."""
    beside = [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")] if database else []
    for path in (data, *(data / name for name in _SECRETS), *beside):
        with suppress(OSError):
            if path.stat().st_mode & _OTHERS:
                yield path


def _is_of_its_own(data: Path) -> bool:
    """Not /tmp or /var/lib, if somebody names such a place: others have their files there, and would be shut out."""
    try:
        with os.scandir(data) as entries:
            owners = {entry.stat(follow_symlinks=False).st_uid for entry in entries}
    except OSError:
        return False
    return not data.stat().st_mode & stat.S_ISVTX and owners <= {data.stat().st_uid}
