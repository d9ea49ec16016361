"""From `UTM_MAIL_DATABASE_URL` to Django's DATABASES entry, and the file of a SQLite database, which only `migrate` makes."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from utm_mail.env import BadEnvironment

MADE = "databases"
"""A file in the data directory with the paths of all database files that ever were made, one a line."""

# If a firewall forgets a connection, a query without deadlines waits for a quarter of an hour, as long as TCP repeats itself. libpq
# takes the first (tcp_user_timeout in milliseconds, the others in seconds). The server takes the second, so that it releases the
# locks of a client that is gone. Migrations lift statement_timeout (commands/migrate.py).
_DEADLINES = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_SERVER_DEADLINES = {
    "synchronous_commit": "on",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30s",
    "tcp_keepalives_interval": "10s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}


class DatabaseGone(Exception):
    """The database file was there once and is now missing or empty. The argument is its path."""


def database(url: str, data: Path) -> dict[str, Any]:
    """The entry for `url` (postgres://… or sqlite:///path). An empty one means SQLite in the data directory. Raises BadEnvironment.

    The query of a postgres URL overrides the defaults of this module, except `options`, which are added to them.
    """
    if not url:
        return _sqlite(data / "utm_mail.sqlite3")
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return _sqlite(Path(unquote(parts.path)))
    if parts.scheme in {"postgres", "postgresql"}:
        options = {**_DEADLINES, **dict(parse_qsl(parts.query))}
        server = [f"-c {name}={value}" for name, value in _SERVER_DEADLINES.items()]
        options["options"] = " ".join([*server, *filter(None, [options.get("options")])])
        return {
            "ENGINE": "utm_mail.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or options.pop("host", "")),
            "PORT": str(parts.port or ""),
            "OPTIONS": options,
        }
    raise BadEnvironment("UTM_MAIL_DATABASE_URL: expected postgres://user:password@host/name or sqlite:///path")


def _sqlite(path: Path) -> dict[str, Any]:
    # IMMEDIATE: under WAL, a transaction that starts as a reader and becomes a writer fails at once, whatever the timeout.
    # mode=rw: a missing file is an error, not a new and empty database.
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "database": f"{path.absolute().as_uri()}?mode=rw",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-512;",
        },
        "TEST": {"NAME": None},
    }


def make_file(path: Path, data: Path) -> None:
    """Make an empty file unless the directory `data` remembers a database there. Raises DatabaseGone, OSError.

    An empty database in the place of a lost one would be an empty ledger, and every letter still on a server would come again.
    """
    path = path.absolute()
    if path.exists() and path.stat().st_size:
        return
    if str(path) in _known(data) or path.with_name(f"{path.name}-wal").exists():
        raise DatabaseGone(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def remember(path: Path, data: Path) -> None:
    """Note that `path` holds a database, so that `make_file` never makes it again. Raises OSError."""
    path = path.absolute()
    if str(path) not in _known(data):
        with (data / MADE).open("a", encoding="utf-8") as file:
            file.write(f"{path}\n")


def _known(data: Path) -> list[str]:
    made = data / MADE
    return made.read_text(encoding="utf-8").splitlines() if made.exists() else []
