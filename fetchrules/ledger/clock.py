"""The time that a mailbox has lived through: by it, and not by the clock alone, letters become old enough to be deleted.

A clock that jumps ahead, and a service that stood still, must not make letters look old. So the seconds between two looks at a
mailbox count only if they are no more than polls at its interval would leave between them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fetchrules.models import SourceMailbox

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
