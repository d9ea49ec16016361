"""Celery's tasks: ids in, a call or two each. A queue that loses them delays a poll by one tick, no more."""

import logging
from collections.abc import Iterable

from celery import shared_task
from django.db import DatabaseError, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from fetchrules.errors import TimedOut
from fetchrules.ledger import leases, runs
from fetchrules.ledger.turns import mend_schedule
from fetchrules.notices import incidents
from fetchrules.poll import STOPPING
from fetchrules.poll.run import poll
from fetchrules.upkeep.housekeeping import tidy

log = logging.getLogger(__name__)

RUNS_PER_TICK = 500


@shared_task
def dispatch() -> None:
    """One tick: take dead runs off the board, claim what is due, and enqueue it."""
    now = timezone.now()
    _enqueue(leases.abandon_overdue(now))
    _enqueue(runs.claim_due(now, RUNS_PER_TICK))


@shared_task
def poll_run(run_id: int) -> None:
    """Do one claimed poll, and let the next one at the same server follow it; where it timed out, others get the slot."""
    result = poll(run_id)
    if result and not (isinstance(result.error, TimedOut) or STOPPING.is_set()):
        _enqueue(runs.claim_next(result.host, timezone.now()))


@shared_task
def housekeeping() -> None:
    """Remove what is past its time."""
    tidy(timezone.now())


@shared_task
def mend() -> None:
    """Put rules back into the schedule that a wrong clock has put out of it."""
    mended = mend_schedule(timezone.now())
    if mended:
        log.warning("%d rules were neither running nor scheduled in good time, and are again", mended)


@shared_task
def watch() -> None:
    """Tell people of incidents that began or ended."""
    incidents.watch(timezone.now())


def wake() -> None:
    """After the current transaction, dispatch what is due now instead of at the next tick. A dead broker is only logged."""
    transaction.on_commit(_wake)


def _wake() -> None:
    try:
        dispatch.apply_async(expires=30)
    except (OperationalError, DatabaseError) as error:
        log.warning("broker unreachable, the next tick will do it: %s", error)


def _enqueue(run_ids: Iterable[int]) -> None:
    """What a broker does not take is enqueued again when its lease has run out."""
    try:
        for run_id in run_ids:
            poll_run.delay(run_id)
    except OperationalError as error:
        log.warning("broker unreachable, claimed polls wait: %s", error)
