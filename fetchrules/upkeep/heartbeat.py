"""Heartbeats of worker and beat, as rows. The panel reads which parts are alive, the ledger how many polls fit at a time."""

import logging
from collections import Counter, deque
from datetime import datetime, timedelta
from time import monotonic

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from fetchrules.ledger.workers import this_process
from fetchrules.models import Heartbeat
from fetchrules.poll.outlasting import rest

log = logging.getLogger(__name__)

LATELY = timedelta(minutes=10)
"""How long the panel reports a part that fell."""

_falls: deque[tuple[str, datetime]] = deque(maxlen=100)

_began: dict[str, float] = {}
"""When each part of this process began, by the monotonic clock."""


def beat(part: str, slots: int | None = None, dropped: int = 0) -> None:
    """Note that `part` (worker, beat) of this process is alive. `slots` is how many polls it does at a time, if it does any;
    `dropped` is how many foreign messages it has dropped.

    Overwrites the row of a dead process of the same name. If the database is away, the heartbeat is only logged.
    """
    now = timezone.now()
    began = now - timedelta(seconds=monotonic() - _began.setdefault(part, monotonic()))
    sign = {"seen_at": now, "slots": slots, "dropped": dropped, "started_at": began}
    try:
        close_old_connections()
        Heartbeat.objects.update_or_create(part=part, host=this_process(), defaults=sign)
        rest()
    except DatabaseError as error:
        log.warning("heartbeat of %s not written: %s", part, error)


def leave(part: str) -> None:
    """Delete the heartbeat of `part`: it ends in good order, or it is a leftover of a dead process with this one's name."""
    _began.pop(part, None)
    try:
        Heartbeat.objects.filter(part=part, host=this_process()).delete()
    except DatabaseError as error:
        log.warning("end of %s not written: %s", part, error)


def fell(part: str, now: datetime) -> None:
    """Note that `part` ended unasked and is started again."""
    _falls.append((part, now))


def falls(now: datetime) -> Counter[str]:
    """How often each part of this process fell lately, without those that did not."""
    return Counter(part for part, at in _falls if now - at < LATELY)


def forget_all() -> None:
    """Delete all heartbeats, at the start of a process that is the only one."""
    Heartbeat.objects.all().delete()
