"""What is removed when its time is past, by a clock that is believed; what goes on; and what is finished that a crash left.

Every step is done whatever becomes of the others, and takes a portion of its work at a time: the next round goes on.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib.sessions.models import Session

from fetchrules.ledger import forgetting, runs
from fetchrules.ledger.unattended import unattended
from fetchrules.models import Attempt, AuditEntry, Heartbeat, HourlyStat, Incident, ServiceSettings
from fetchrules.models.portions import remove
from fetchrules.poll.recovery import finish_all
from fetchrules.poll.reexamination import reexamine

log = logging.getLogger(__name__)

STATISTICS = timedelta(days=400)
AUDIT = timedelta(days=400)
ATTEMPTS = timedelta(days=1)
SILENT = timedelta(days=1)

BELIEVED_AFTER = timedelta(hours=24)
"""So long the rounds have to have followed each other as they should, before anything is removed for its age."""
LONGEST_GAP = timedelta(hours=25)
"""Between two rounds: a machine may be off overnight."""
TOLERANCE = timedelta(minutes=5)
"""Two schedulers, or two machines, may differ by so much."""

Step = Callable[[datetime], object]


def tidy(now: datetime) -> None:
    """One round of it."""
    for step in (*(_BY_AGE if _is_believed(now) else ()), _let_go_on, _finish_unattended):
        try:
            step(now)
        except Exception:
            log.exception("housekeeping: %s failed", step.__name__)


def _is_believed(now: datetime) -> bool:
    """Whether the clock is: a leap ahead or back shows as a gap between two rounds that is none of ours. Notes this round."""
    service = ServiceSettings.current()
    since = service.clock_since
    if service.tidied_at is None or since is None or not -TOLERANCE <= now - service.tidied_at <= LONGEST_GAP:
        since = now
    ServiceSettings.objects.filter(id=1).update(tidied_at=now, clock_since=since)
    return now - since >= BELIEVED_AFTER


def _remove_runs(now: datetime) -> None:
    runs.purge(now - timedelta(days=ServiceSettings.current().journal_days))


def _remove_letters(now: datetime) -> None:
    forgetting.purge(now)


def _remove_statistics(now: datetime) -> None:
    remove(HourlyStat.objects.filter(hour__lt=now - STATISTICS))


def _remove_audit(now: datetime) -> None:
    remove(AuditEntry.objects.filter(at__lt=now - AUDIT))


def _remove_incidents(now: datetime) -> None:
    remove(Incident.objects.filter(closed_at__lt=now - AUDIT))


def _remove_attempts(now: datetime) -> None:
    remove(Attempt.objects.filter(at__lt=now - ATTEMPTS))


def _remove_heartbeats(now: datetime) -> None:
    remove(Heartbeat.objects.filter(seen_at__lt=now - SILENT))


def _remove_sessions(now: datetime) -> None:
    remove(Session.objects.filter(expire_date__lt=now))


def _let_go_on(now: datetime) -> None:
    released = reexamine(now)
    if released:
        log.info("%d rules go on: what had paused them is over", released)


def _finish_unattended(now: datetime) -> None:  # noqa: ARG001 -- a Step
    """What a crash left between the record and the delivery: perhaps no rule reads that mailbox any more."""
    for error in set(finish_all(unattended()).values()):
        log.warning("a recorded letter could not be delivered: %s", error)


_BY_AGE: tuple[Step, ...] = (
    _remove_runs,
    _remove_letters,
    _remove_statistics,
    _remove_audit,
    _remove_incidents,
    _remove_attempts,
    _remove_heartbeats,
    _remove_sessions,
)
