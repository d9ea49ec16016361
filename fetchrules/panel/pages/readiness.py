"""Whether the installation can do its work: the checks behind /readyz."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext as _

from fetchrules.panel.pages.service import Service
from fetchrules.secrets.sealed import rules_without_key
from fetchrules.secrets.sealing import key_ring

Check = Callable[[datetime], Iterable[str]]
"""Yields, in words, each reason why not. Raises DatabaseError."""


def migrations(now: datetime) -> Iterable[str]:  # noqa: ARG001 -- a Check
    missing = _of_this_version() - set(MigrationRecorder(connection).applied_migrations())
    if missing:
        yield _(
            "The database is older than the program; migrations are missing: %(names)s. To start them: migrate."
        ) % {"names": ", ".join(sorted(f"{app}.{name}" for app, name in missing))}


def keys(now: datetime) -> Iterable[str]:  # noqa: ARG001 -- a Check
    """Passwords need their keys. Without passwords there need be no key: the first one is made when it is needed."""
    try:
        if missing := rules_without_key(key_ring()):
            yield _("The passwords of %(count)s rules have no key at hand.") % {"count": missing}
    except (ValueError, OSError) as error:
        yield _("The password keys cannot be read: %(reason)s.") % {"reason": error}


def service(now: datetime) -> Iterable[str]:
    """The same as the panel's service strip."""
    return Service.read(now).reasons


CHECKS: tuple[Check, ...] = (migrations, keys, service)


def reasons(now: datetime) -> list[str]:
    """All reasons why not. Without the right tables, no further check runs."""
    found: list[str] = []
    for check in CHECKS:
        found += check(now)
        if found and check is migrations:
            break
    return found


@cache
def _of_this_version() -> set[tuple[str, str]]:
    return set(MigrationLoader(None).disk_migrations)
