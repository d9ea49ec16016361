"""The file of a SQLite database: made once, and never anew by itself.

An empty database in the place of one that is gone would be an empty ledger, and everything that still lies on the servers would
come again. So only `migrate` makes the file, and the data directory remembers which it made.
"""

import os
from pathlib import Path

MADE = "databases"
"""In the data directory: the paths of all database files that there were, one a line."""


class DatabaseGone(Exception):
    """The file was there and is not there now, or is empty; the argument is its path."""


def prepare(path: Path, data: Path) -> None:
    """Make an empty file where there never was a database, as far as the directory `data` knows. Raises DatabaseGone, OSError."""
    path = path.absolute()
    if path.exists() and path.stat().st_size:
        return
    if str(path) in _known(data) or path.with_name(f"{path.name}-wal").exists():
        raise DatabaseGone(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def remember(path: Path, data: Path) -> None:
    """There is a database in that file: it is never made anew by itself again. Raises OSError."""
    path = path.absolute()
    if str(path) not in _known(data):
        with (data / MADE).open("a", encoding="utf-8") as file:
            file.write(f"{path}\n")


def _known(data: Path) -> list[str]:
    made = data / MADE
    return made.read_text(encoding="utf-8").splitlines() if made.exists() else []
