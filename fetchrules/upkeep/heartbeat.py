"""Signs of life of worker and beat, as rows: the panel reads who is alive, the ledger how many polls can be done at a time."""

import logging
from collections import Counter, deque
from datetime import datetime, timedelta
from time import monotonic

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from fetchrules.ledger.workers import this_process
from fetchrules.models import Heartbeat

log = logging.getLogger(__name__)

LATELY = timedelta(minutes=10)
"""So long is told of a part that fell."""

_falls: deque[tuple[str, datetime]] = deque(maxlen=100)

_began: dict[str, float] = {}
"""When each part of this process began, by the clock that nobody sets."""


def beat(part: str, slots: int | None = None, dropped: int = 0) -> None:
    """Note that `part` (worker, beat) of this process is alive, how many polls it does at a time if it does any, and how many
    messages of the queue it has dropped.

    The first beat after another process had the same name, or after `leave`, begins it anew. A database that is away is logged:
    the silence tells the rest.
    """
    now, began = timezone.now(), _began.setdefault(part, monotonic())
    sign = {
        "seen_at": now,
        "slots": slots,
        "dropped": dropped,
        "started_at": now - timedelta(seconds=monotonic() - began),
    }
    try:
        close_old_connections()
        Heartbeat.objects.update_or_create(part=part, host=this_process(), defaults=sign)
    except DatabaseError as error:
        log.warning("heartbeat of %s not written: %s", part, error)


def leave(part: str) -> None:
    """Note that `part` of this process ends in good order, or that this process has none, whatever a dead one of its name said."""
    _began.pop(part, None)
    try:
        Heartbeat.objects.filter(part=part, host=this_process()).delete()
    except DatabaseError as error:
        log.warning("farewell of %s not written: %s", part, error)


def fell(part: str, now: datetime) -> None:
    """Note that `part` of this process ended unasked and is started again."""
    _falls.append((part, now))


def falls(now: datetime) -> Counter[str]:
    """How often each part of this process fell lately, those only that did."""
    return Counter(part for part, at in _falls if now - at < LATELY)


def forget_all() -> None:
    """Forget every sign of life: for a process that knows that it is the only one and has just started."""
    Heartbeat.objects.all().delete()
