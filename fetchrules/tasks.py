"""Celery's tasks: ids in, a call or two each. A queue that loses them delays a poll by one tick at most."""

import logging
from collections.abc import Collection, Iterable

from celery import current_app, shared_task
from django.db import DatabaseError, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from fetchrules.errors import TimedOut
from fetchrules.ledger import leases, runs
from fetchrules.ledger.turns import mend_schedule
from fetchrules.notices import incidents
from fetchrules.poll.desk import GATHER_SECONDS, LINGER_SECONDS, Desk
from fetchrules.poll.run import poll
from fetchrules.remote.stopping import STOPPING
from fetchrules.upkeep.housekeeping import tidy

log = logging.getLogger(__name__)

PORTION = 500
"""As many runs are claimed before the first of them is enqueued."""


@shared_task
def dispatch() -> None:
    """One tick: abandon dead runs, then claim the due rules and enqueue their runs, a portion at a time, until none is left."""
    _enqueue(leases.abandon_overdue(timezone.now(), _messages_wait))
    while not STOPPING.is_set():
        claimed = runs.claim_due(timezone.now(), PORTION)
        if not (claimed and _enqueue(claimed)):
            return


@shared_task
def poll_run(run_id: int) -> None:
    """Do one claimed poll; then the desk has the next one at the same server enqueued, unless this one timed out."""
    result = poll(run_id, desk=DESK)
    if result and not (result.handed_over or isinstance(result.error, TimedOut)):
        DESK.leave(result.host)


def _go_on(hosts: Collection[str]) -> None:
    """Enqueue the next polls at these servers, where polls have just ended."""
    if not STOPPING.is_set():
        _enqueue(runs.claim_next(hosts, timezone.now()))


DESK = Desk(GATHER_SECONDS, LINGER_SECONDS, _go_on)
"""Where all polls of a worker begin and end."""


@shared_task
def housekeeping() -> None:
    tidy(timezone.now())


@shared_task
def mend() -> None:
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


def _enqueue(run_ids: Iterable[int]) -> bool:
    """False if the broker does not take them. They are enqueued again when their lease ends."""
    try:
        for run_id in run_ids:
            poll_run.delay(run_id)
    except OperationalError as error:
        log.warning("broker unreachable, claimed polls wait: %s", error)
        return False
    return True


def _messages_wait() -> bool:
    """Whether messages wait in the queue. False also if the broker does not say: a run in doubt is rather enqueued twice."""
    with current_app.connection_for_write() as broker:
        try:
            queue = broker.default_channel.queue_declare(current_app.amqp.default_queue.name, passive=True)
        except (OperationalError, *broker.connection_errors, *broker.channel_errors):  # Redis has no empty queues
            return False
    return bool(queue.message_count)
