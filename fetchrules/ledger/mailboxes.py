"""What polls note of a remote mailbox for the next one: how many letters to ask for at a time, which of them last, and its age.

A clock that jumps ahead, and a service that stood still, must not make letters look old. So by the time that a mailbox has lived
through, and not by the clock alone, letters become old enough to be deleted: the seconds between two looks at it count only if they
are no more than polls at its interval would leave between them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fetchrules.models import SourceMailbox

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
