"""Housekeeping: remove old rows, let paused rules go on whose failure is over, finish deliveries that a crash interrupted.

Every step runs even if another fails, and does a bounded part of its work in one round. Rows are removed for their age only while
the clock is trusted, because a clock that leaps ahead would make everything old.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from django.contrib.sessions.models import Session
from django.db.models import Model

from fetchrules.ledger import departures, runs
from fetchrules.ledger.letters import unattended
from fetchrules.models import Attempt, AuditEntry, Heartbeat, HourlyStat, Incident, ServiceSettings
from fetchrules.models.chunks import remove
from fetchrules.poll.recovery import finish_all
from fetchrules.poll.reexamination import reexamine

log = logging.getLogger(__name__)

STATISTICS = timedelta(days=400)
AUDIT = timedelta(days=400)
ATTEMPTS = timedelta(days=1)
SILENT = timedelta(days=1)
KEPT_FOR: tuple[tuple[type[Model], str, timedelta], ...] = (
    (HourlyStat, "hour", STATISTICS),
    (AuditEntry, "at", AUDIT),
    (Incident, "closed_at", AUDIT),
    (Attempt, "at", ATTEMPTS),
    (Heartbeat, "seen_at", SILENT),
    (Session, "expire_date", timedelta(0)),
)
"""How long rows are kept after the time in this column."""

TRUSTED_AFTER = timedelta(hours=24)
"""The clock is trusted after rounds have followed each other regularly for so long."""
LONGEST_GAP = timedelta(hours=25)
"""The longest regular gap between two rounds: a machine may be off overnight."""
TOLERANCE = timedelta(minutes=5)
"""How much the clocks of two schedulers may differ."""


def tidy(now: datetime) -> None:
    for name, step in _steps(now):
        try:
            step()
        except Exception:
            log.exception("housekeeping: %s failed", name)


def _steps(now: datetime) -> Iterator[tuple[str, Callable[[], object]]]:
    if _trusts_clock(now):
        yield "removal of runs", lambda: runs.purge(now - timedelta(days=ServiceSettings.current().journal_days))
        yield "removal of letters", lambda: departures.purge(now)
        for model, column, age in KEPT_FOR:
            old = model._default_manager.filter(**{f"{column}__lt": now - age})
            yield f"removal of {model.__name__}", partial(remove, old)
    yield "release of paused rules", lambda: _let_go_on(now)
    yield "delivery of recorded letters", _finish_unattended


def _trusts_clock(now: datetime) -> bool:
    """Whether the clock is trusted. A leap ahead or back shows as an irregular gap between two rounds. Records this round."""
    service = ServiceSettings.current()
    since = service.clock_since
    if service.tidied_at is None or since is None or not -TOLERANCE <= now - service.tidied_at <= LONGEST_GAP:
        since = now
    ServiceSettings.objects.filter(id=1).update(tidied_at=now, clock_since=since)
    return now - since >= TRUSTED_AFTER


def _let_go_on(now: datetime) -> None:
    if released := reexamine(now):
        log.info("%d rules go on: what had paused them is over", released)


def _finish_unattended() -> None:
    """Deliver what a crash left between record and delivery, in mailboxes that no rule may read any more."""
    for error in set(finish_all(unattended()).values()):
        log.warning("a recorded letter could not be delivered: %s", error)
