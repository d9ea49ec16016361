"""From `UTM_MAIL_DATABASE_URL` to Django's DATABASES entry."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from utm_mail.env import BadEnvironment


def database(url: str, data: Path) -> dict[str, Any]:
    """The entry for `url` (postgres://… or sqlite:///path); empty: SQLite in the data directory. Raises BadEnvironment."""
    if not url:
        return _sqlite(data / "utm_mail.sqlite3")
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return _sqlite(Path(unquote(parts.path)))
    if parts.scheme in {"postgres", "postgresql"}:
        options = {"options": "-c synchronous_commit=on", **dict(parse_qsl(parts.query))}
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


def _sqlite(path: Path) -> dict[str, Any]:
    # IMMEDIATE: a transaction that starts as a reader and becomes a writer fails at once under WAL, whatever the timeout.
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        },
        "TEST": {"NAME": None},
    }
