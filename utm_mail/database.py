"""From `UTM_MAIL_DATABASE_URL` to Django's DATABASES entry."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from utm_mail.env import BadEnvironment

# A firewall that forgets a connection answers nothing: without deadlines a query waits for as long as TCP repeats itself, a quarter
# of an hour. The first are libpq's (tcp_user_timeout in milliseconds, the others in seconds), the second the server's, so that it
# too lets go of the locks of a client that is no more. Migrations take off the deadline of a statement (commands/migrate.py).
_DEADLINES = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_OF_THE_SERVER = {
    "synchronous_commit": "on",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30s",
    "tcp_keepalives_interval": "10s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}


def database(url: str, data: Path) -> dict[str, Any]:
    """The entry for `url` (postgres://… or sqlite:///path); empty: SQLite in the data directory. Raises BadEnvironment.

    What the query of a postgres URL says goes before the defaults of this module; its `options` are added to them.
    """
    if not url:
        return _sqlite(data / "utm_mail.sqlite3")
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return _sqlite(Path(unquote(parts.path)))
    if parts.scheme in {"postgres", "postgresql"}:
        options = {**_DEADLINES, **dict(parse_qsl(parts.query))}
        server = [f"-c {name}={value}" for name, value in _OF_THE_SERVER.items()]
        options["options"] = " ".join([*server, *filter(None, [options.get("options")])])
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or options.pop("host", "")),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": options,
        }
    raise BadEnvironment("UTM_MAIL_DATABASE_URL: expected postgres://user:password@host/name or sqlite:///path")


def database_file(entry: dict[str, Any]) -> Path | None:
    """The file of an entry for SQLite."""
    return entry["NAME"] if entry["ENGINE"].endswith("sqlite3") else None


def _sqlite(path: Path) -> dict[str, Any]:
    # IMMEDIATE: a transaction that starts as a reader and becomes a writer fails at once under WAL, whatever the timeout.
    # mode=rw: a file that is gone is an error, not an empty database with an empty ledger; `migrate` alone makes one.
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "database": f"{path.absolute().as_uri()}?mode=rw",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        },
        "TEST": {"NAME": None},
    }
