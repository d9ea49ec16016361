"""Celery's application, the beat schedule, and the heartbeats by which the panel knows who is alive."""

import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Celery, bootsteps, signals
from celery.beat import Scheduler
from celery.schedules import schedule

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "utm_mail.settings")

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10
TICK_SECONDS = 3

_BEGAN = datetime.now(UTC) - timedelta(seconds=time.monotonic())


def _steady_now() -> datetime:
    """The time, by a clock that nobody sets: one that was put back by three hours would keep beat waiting for so long."""
    return _BEGAN + timedelta(seconds=time.monotonic())


def every(seconds: float) -> schedule:
    """So often, however often somebody sets the clock."""
    return schedule(timedelta(seconds=seconds), nowfun=_steady_now)


app = Celery("utm_mail")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["fetchrules"])
app.conf.beat_schedule = {
    "dispatch": {"task": "fetchrules.tasks.dispatch", "schedule": every(TICK_SECONDS), "options": {"expires": 30}},
    "watch": {"task": "fetchrules.tasks.watch", "schedule": every(60), "options": {"expires": 60}},
    "mend": {"task": "fetchrules.tasks.mend", "schedule": every(60), "options": {"expires": 60}},
    "housekeeping": {"task": "fetchrules.tasks.housekeeping", "schedule": every(600), "options": {"expires": 600}},
}


class BeatingScheduler(Scheduler):  # its entries live in memory: the database, not a file of beat's, knows what is due
    """Beat's scheduler that also says that it is alive."""

    beaten_at = float("-inf")

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """One look at the schedule; a heartbeat at most every HEARTBEAT_SECONDS."""
        if time.monotonic() - self.beaten_at >= HEARTBEAT_SECONDS:
            from fetchrules import heartbeat

            heartbeat.beat("beat")
            self.beaten_at = time.monotonic()
        return super().tick(*args, **kwargs)

    def close(self) -> None:
        """Say goodbye, so that the panel need not wait for the silence."""
        from fetchrules import heartbeat

        super().close()
        heartbeat.leave("beat")


class WorkerHeartbeat(bootsteps.StartStopStep):
    """A worker says that it is alive, and how many polls it does at a time, for as long as its timer runs."""

    requires = {"celery.worker.components:Timer", "celery.worker.components:Pool"}  # noqa: RUF012 -- Celery's own spelling

    def start(self, worker: Any) -> None:
        """Begin to beat."""
        from fetchrules import heartbeat

        def beat() -> None:
            heartbeat.beat("worker", worker.pool.num_processes)  # threads too; autoscaling changes it

        beat()
        self.entry = worker.timer.call_repeatedly(HEARTBEAT_SECONDS, beat)

    def stop(self, worker: Any) -> None:  # noqa: ARG002 -- Celery's signature
        """Say goodbye, so that the panel need not wait for the silence."""
        from fetchrules import heartbeat

        self.entry.cancel()
        heartbeat.leave("worker")


app.steps["worker"].add(WorkerHeartbeat)


@signals.worker_ready.connect(weak=False)
def keep_signals_from_stdout(**_kwargs: Any) -> None:
    """Celery's handler of SIGTERM writes to `sys.__stdout__` first: where nobody reads that, it would never do more."""
    sys.__stdout__ = None  # type: ignore[misc]


@signals.worker_shutting_down.connect(weak=False)
def stop_polls(**_kwargs: Any) -> None:
    """Let running polls end after the batch in hand."""
    from fetchrules.poll import STOPPING

    STOPPING.set()
    log.info("the worker ends: polls finish the letters in hand")
