"""Leases: how long a claim holds without a sign of life, and the end of abandoned runs.

A process renews the leases of its polls every ten seconds (`poll.keeping`), so a lease can be short. The runs of a worker are also
dead if it is silent, or another bears its name (a container restarts with the same host and process id). Abandoning a live run is
harmless: its poll finds out before it records or deletes anything.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from fetchrules.ledger import workers
from fetchrules.models import FetchRule, Heartbeat, Run
from fetchrules.schedule import NextReason

QUEUE_LEASE = timedelta(minutes=1)
"""A run that no worker has begun by then is put into the queue again if the queue is empty: its message is lost."""
LOST_AFTER = timedelta(minutes=10)
"""While the queue is never empty, a run that waits for so long is put into it again, and once more after as long again."""
RUN_LEASE = timedelta(minutes=1)
"""A running poll whose process has not renewed its lease for so long is taken for dead."""


def keep(ids: Collection[int], now: datetime) -> None:
    """Renew the leases of these polls, as far as they still belong to this process."""
    ours = Run.objects.filter(id__in=ids, state=Run.State.RUNNING, worker=workers.this_process())
    ours.update(deadline=now + RUN_LEASE)


def disturbed(ids: Collection[int]) -> set[int]:
    """Those of these polls that were asked to stop or abandoned, or whose rule was changed, switched off or deleted: they have to
    check whether they may go on (`runs.may_go_on`)."""
    quiet = Run.objects.filter(id__in=ids, state=Run.State.RUNNING, stop_asked=False)
    quiet = quiet.filter(rule__enabled=True, rule__revision=F("revision")).order_by()
    return set(ids) - set(quiet.values_list("id", flat=True))


def _no_message_waits() -> bool:
    return False


def abandon_overdue(now: datetime, messages_wait: Callable[[], bool] = _no_message_waits) -> list[int]:
    """Abandon dead polls, so that their rules are due again; returns ids of queued runs to enqueue again.

    Queued runs for which nobody came keep waiting while `messages_wait` in the queue, theirs probably among them.
    First brings deadlines nearer that a wrong clock has set too far away.
    """
    Run.objects.filter(finished_at__isnull=True, deadline__gt=now + RUN_LEASE).update(deadline=now + RUN_LEASE)
    for run in _dead(now):
        abandon(run, now)
    overdue = Run.objects.filter(finished_at__isnull=True, state=Run.State.QUEUED, deadline__lt=now).order_by()
    waiting = list(overdue.values_list("id", "claimed_at", "deadline"))
    if not waiting:
        return []
    overdue.update(deadline=now + QUEUE_LEASE)
    if messages_wait():
        waiting = [run for run in waiting if _has_waited_long(*run[1:], now)]
    return [run_id for run_id, *_ in waiting]


def _has_waited_long(claimed_at: datetime, deadline: datetime, now: datetime) -> bool:
    """Whether another LOST_AFTER has passed since the lease that ended at `deadline` began."""
    return (now - claimed_at) // LOST_AFTER > (deadline - QUEUE_LEASE - claimed_at) // LOST_AFTER


def abandon_all(now: datetime) -> int:
    """Abandon every open run, when the only worker has just started."""
    return sum(abandon(run, now) for run in Run.objects.filter(finished_at__isnull=True))


def abandon(run: Run, now: datetime, due: datetime | None = None) -> bool:
    """Take the claim from `run`, and make its rule due at once, or at `due`."""
    with transaction.atomic():
        taken = Run.objects.filter(id=run.id, state=run.state, deadline=run.deadline).update(
            state=Run.State.ABANDONED, finished_at=now, error="abandoned"
        )
        if taken:
            make_due_again(run, due or now)
    return bool(taken)


def release(run_id: int, now: datetime, due: datetime | None = None) -> bool:
    """As `abandon`, for a run that this process cannot begin or go on with; False if it is not ours."""
    ours = Q(state=Run.State.QUEUED) | Q(state=Run.State.RUNNING, worker=workers.this_process())
    run = Run.objects.filter(ours, id=run_id).first()
    return run is not None and abandon(run, now, due)


def make_due_again(run: Run, due: datetime) -> None:
    """Poll the run's rule again at `due`, unless it was scheduled since the claim."""
    waiting = FetchRule.objects.filter(runs=run, next_poll_at__isnull=True)
    waiting.update(next_poll_at=due, next_reason=NextReason.OVERTAKEN)


def _dead(now: datetime) -> QuerySet[Run]:
    """Polls without a lease, and those of workers that are silent or have restarted since. This process is not silent.

    Unordered: in the journal's order the database would read all of it at every tick.
    """
    worker = Heartbeat.objects.filter(part="worker", host=OuterRef("worker"))
    silent = Exists(worker.filter(seen_at__lt=now - workers.SILENT_AFTER)) & ~Q(worker=workers.this_process())
    began_since = Exists(worker.filter(started_at__gt=OuterRef("started_at")))
    running = Run.objects.filter(finished_at__isnull=True, state=Run.State.RUNNING).order_by()
    return running.filter(Q(deadline__lt=now) | silent | began_since)
