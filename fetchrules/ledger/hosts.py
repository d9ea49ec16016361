"""Remote servers: what polls have learnt of each, and what people have said of it. A host is named as `SourceMailbox.host` is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from fetchrules.models import SourceMailbox
from fetchrules.models.rule import RemoteHost


def sizes_are_wrong(host: str) -> bool:
    """Whether somebody declared that the sizes this server lists are not those of its letters."""
    return _row(host).filter(wrong_sizes=True).exists()


def with_wrong_sizes() -> QuerySet[RemoteHost]:
    """The servers that were declared so, by name."""
    return RemoteHost.objects.filter(wrong_sizes=True).order_by("host")


def declare_sizes(host: str, wrong: bool) -> None:
    """Sizes are not compared with what comes from this server from now on; or they are again."""
    RemoteHost.objects.update_or_create(host=host, defaults={"wrong_sizes": wrong})


def list_at_once(host: str) -> int | None:
    """How many letters one command of a listing may name there. None: no listing has broken yet."""
    return _row(host).values_list("list_at_once", flat=True).first()


def note_list_at_once(host: str, letters: int | None) -> None:
    """Remember that number after a listing that broke over more; None forgets it."""
    if letters is None:
        _row(host).update(list_at_once=None)
    else:
        RemoteHost.objects.update_or_create(host=host, defaults={"list_at_once": letters})


def that_shift() -> QuerySet[RemoteHost]:
    """The servers that have given known unique-ids to other letters, by name."""
    return RemoteHost.objects.filter(shifted__gt=0).order_by("host")


def count_shifted(host: str, letters: int, now: datetime) -> None:
    """At `now`, so many known unique-ids of this server turned out to be other letters'."""
    RemoteHost.objects.get_or_create(host=host)
    _row(host).update(shifted=F("shifted") + letters, shifted_at=now)


def _row(host: str) -> QuerySet[RemoteHost]:
    return RemoteHost.objects.filter(host=host)


WITHOUT_HEADS = timedelta(days=1)
PLENTY = 250
"""From so many letters in one command on there is no limit any more."""
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
    """What the mailbox has lived through by `now`, when it is looked at; `interval` is that between its polls. Notes the look."""
    last = source.listed_at
    gap = now - last if last is not None else timedelta(0)
    longest = max(2 * interval, AT_LEAST)
    counted = timedelta(0) <= gap <= longest + TOLERANCE
    lived = source.lived + (int(min(gap, longest).total_seconds()) if counted else 0)
    if last is None or not counted or gap > NOTED_EVERY:
        source.listed_at, source.lived = now, lived
        SourceMailbox.objects.filter(pk=source.pk).update(listed_at=now, lived=lived)
    return Lived(lived, counted)


def fetch_fewer(source: SourceMailbox, letters: int) -> None:
    """A session broke over more letters in one command than these."""
    _note(source, fetch_at_once=max(letters, 1))


def fetched_well(source: SourceMailbox) -> None:
    """A session got an answer for all letters that it asked for: the next one may ask for twice as many at a time."""
    if source.fetch_at_once is not None or source.ask_last:
        more = 2 * (source.fetch_at_once or PLENTY)
        _note(source, fetch_at_once=more if more < PLENTY else None, ask_last="")


def ask_last(source: SourceMailbox, name: str) -> None:
    """The server said that it is over its limits when this letter was asked for: the next poll asks for the others first."""
    _note(source, ask_last=name)


def gives_heads(source: SourceMailbox, now: datetime) -> bool:
    """Whether headers may be asked for alone: not for a day after a session broke over them."""
    return source.heads_broke_at is None or abs(now - source.heads_broke_at) >= WITHOUT_HEADS


def heads_broke(source: SourceMailbox, now: datetime) -> None:
    """A session broke when headers were asked for alone."""
    _note(source, heads_broke_at=now)


def _note(source: SourceMailbox, **columns: int | str | datetime | None) -> None:
    for column, value in columns.items():
        setattr(source, column, value)
    SourceMailbox.objects.filter(pk=source.pk).update(**columns)
