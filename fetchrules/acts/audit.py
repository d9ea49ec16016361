"""Who changed what: the one writer of the audit."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from fetchrules.models import AuditEntry

COMMAND_LINE = "manage.py"
"""The author of a change that was made from the command line."""

Detail = str | int | bool | Sequence[object]
"""A value, or a list of fields with their values before and after. Never a secret."""


def record(by: User | None, what: str, about: object = "", **detail: Detail) -> None:
    """Note a change. `by` None: the command line. `what` is a key of `words.events.EVENTS`."""
    _entry(name_of(by), what, about, timezone.now(), detail).save()


def record_each(by: User | None, what: str, about: Iterable[object]) -> None:
    who, now = name_of(by), timezone.now()
    AuditEntry.objects.bulk_create((_entry(who, what, each, now, {}) for each in about), batch_size=1000)


def record_stranger(who: str, what: str, about: str, at: datetime) -> None:
    """Note an event at the login. `who` is the name that somebody typed, which no account may have."""
    _entry(who, what, about, at, {}).save()


def name_of(by: User | None) -> str:
    return COMMAND_LINE if by is None else by.get_username()


def _entry(who: str, what: str, about: object, at: datetime, detail: dict[str, Detail]) -> AuditEntry:
    return AuditEntry(who=who, what=what, about=str(about)[:400], at=at, detail=detail)
