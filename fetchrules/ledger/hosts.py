"""What polls have learnt of remote servers and mailboxes for the next poll, and what people have declared about a server.

Letters expire by the time that their mailbox has lived through, not by the clock alone, so that neither a clock that jumps nor a
service that stood still makes them look old: time between two looks counts only if it is no longer than that between two polls.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from fetchrules.models import SourceMailbox
from fetchrules.models.rule import RemoteHost


def sizes_are_wrong(host: str) -> bool:
    """Whether somebody declared that this server lists sizes that are not those of its letters."""
    return _row(host).filter(wrong_sizes=True).exists()


def with_wrong_sizes() -> QuerySet[RemoteHost]:
    return RemoteHost.objects.filter(wrong_sizes=True).order_by("host")


def declare_sizes(host: str, wrong: bool) -> None:
    """`wrong`: do not compare this server's sizes with its letters from now on."""
    RemoteHost.objects.update_or_create(host=host, defaults={"wrong_sizes": wrong})


def list_at_once(host: str) -> int | None:
    """How many letters one listing command may name there. None: no listing has broken yet."""
    return _row(host).values_list("list_at_once", flat=True).first()


def note_list_at_once(host: str, letters: int) -> None:
    """Note that number after a listing broke over more."""
    RemoteHost.objects.update_or_create(host=host, defaults={"list_at_once": letters})


def that_shift() -> QuerySet[RemoteHost]:
    """The servers that have given known unique-ids to other letters, by name."""
    return RemoteHost.objects.filter(shifted__gt=0).order_by("host")


def count_shifted(host: str, letters: int, now: datetime) -> None:
    """Count known unique-ids of this server that turned out to name other letters."""
    RemoteHost.objects.get_or_create(host=host)
    _row(host).update(shifted=F("shifted") + letters, shifted_at=now)


def _row(host: str) -> QuerySet[RemoteHost]:
    return RemoteHost.objects.filter(host=host)


WITHOUT_HEADS = timedelta(days=1)
NOTED_EVERY = timedelta(hours=1)
AT_LEAST = timedelta(hours=24)
"""A gap of a day counts, however short the interval is."""
TOLERANCE = timedelta(minutes=5)
"""Polls once a day are never exactly a day apart."""


@dataclass(frozen=True, slots=True)
class Lived:
    """`seconds` in all; `counted`: the time since the last look is part of them."""

    seconds: int
    counted: bool


def live(source: SourceMailbox, interval: timedelta, now: datetime) -> Lived:
    """Note a look at the mailbox, which is polled every `interval`; returns what it has lived through by now."""
    last = source.listed_at
    gap = now - last if last is not None else timedelta(0)
    longest = max(2 * interval, AT_LEAST)
    counted = timedelta(0) <= gap <= longest + TOLERANCE
    lived = source.lived + (int(min(gap, longest).total_seconds()) if counted else 0)
    if last is None or not counted or gap > NOTED_EVERY:
        source.listed_at, source.lived = now, lived
        SourceMailbox.objects.filter(pk=source.pk).update(listed_at=now, lived=lived)
    return Lived(lived, counted)


def ask_last(source: SourceMailbox, name: str) -> None:
    """Note the letter at which the server was over its limits ("" if it was not): the next poll asks for the others first."""
    if source.ask_last != name:
        _note(source, ask_last=name)


def gives_heads(source: SourceMailbox, now: datetime) -> bool:
    """Whether headers may be fetched alone: not for a day after a session broke over them."""
    return source.heads_broke_at is None or abs(now - source.heads_broke_at) >= WITHOUT_HEADS


def heads_broke(source: SourceMailbox, now: datetime) -> None:
    _note(source, heads_broke_at=now)


def note_epoch(source: SourceMailbox, epoch: int) -> None:
    """Note the UIDVALIDITY that a look has found."""
    if source.epoch != epoch:
        _note(source, epoch=epoch)


def _note(source: SourceMailbox, **columns: int | str | datetime | None) -> None:
    for column, value in columns.items():
        setattr(source, column, value)
    SourceMailbox.objects.filter(pk=source.pk).update(**columns)
