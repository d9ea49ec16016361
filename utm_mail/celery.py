"""Celery's application, the beat schedule, and the heartbeats by which the panel knows who is alive."""

import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

from celery import Celery, bootsteps, signals
from celery.app.amqp import AMQP
from celery.beat import Scheduler, SchedulingError
from celery.schedules import schedule
from django.db import DatabaseError
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.utils.objects import cached_property

from utm_mail.installation import queue_name

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


LONGEST_RETRY = 5
"""Seconds from one try to reach the broker to the next."""

TRANSPORT_ALIASES |= dict.fromkeys(("redis", "rediss"), "utm_mail.redis_queue:Transport")


class PatientConnection(Connection):
    """kombu's, which comes back within seconds when the broker does."""

    def _ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super()._ensure_connection(*args, **{"interval_max": LONGEST_RETRY, **options})


class OneQueue(AMQP):
    """Celery's, with a single queue, named after the installation as soon as the database can be asked."""

    Connection = PatientConnection

    @cached_property
    def queues(self) -> Any:
        """Raises DatabaseError; then it is asked again."""
        self.app.conf.task_default_queue = queue_name()
        return self.Queues(None)


class Application(Celery):
    """Celery's, whose command line starts a worker that keeps to itself."""

    @cached_property
    def Worker(self) -> Any:  # noqa: N802 -- Celery's name
        """What `celery worker` runs."""
        return self.subclass_with_self("utm_mail.quiet_worker:QuietWorker")


app = Application("utm_mail", amqp=OneQueue)
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
    producer = None
    """Each task takes a connection from the pool: one of beat's own would wait for the broker, without a heartbeat."""

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """One look at the schedule; a heartbeat at most every HEARTBEAT_SECONDS."""
        if time.monotonic() - self.beaten_at >= HEARTBEAT_SECONDS:
            from fetchrules.upkeep import heartbeat

            heartbeat.beat("beat")
            self.beaten_at = time.monotonic()
        return super().tick(*args, **kwargs)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Hand out a task; a broker or a database that is away is no surprise that needs a traceback."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            away = isinstance(error.__context__, OperationalError | DatabaseError)
            log.warning("%s", error, exc_info=not away)

    def close(self) -> None:
        """Say goodbye, so that the panel need not wait for the silence."""
        from fetchrules.upkeep import heartbeat

        super().close()
        heartbeat.leave("beat")


class WorkerHeartbeat(bootsteps.StartStopStep):
    """A worker says that it is alive, and how many polls it does at a time: from a thread, which waits for no broker."""

    requires = {"celery.worker.components:Pool"}  # noqa: RUF012 -- Celery's own spelling

    def start(self, worker: Any) -> None:
        """Begin to beat. In `up` another worker may have been here before, and have ended its polls."""
        from fetchrules.poll import STOPPING

        STOPPING.clear()
        self.ended = Event()
        _beat(worker)
        self.thread = Thread(target=self._beat_on, args=(worker,), name="heartbeat", daemon=True)
        self.thread.start()

    def _beat_on(self, worker: Any) -> None:
        from django.db import connections

        while not self.ended.wait(HEARTBEAT_SECONDS):
            _beat(worker)
        connections.close_all()

    def stop(self, worker: Any) -> None:  # noqa: ARG002 -- Celery's signature
        """Say goodbye, so that the panel need not wait for the silence. The pool ends next, and waits for the polls."""
        from fetchrules.poll import STOPPING
        from fetchrules.upkeep import heartbeat

        STOPPING.set()
        self.ended.set()
        self.thread.join(HEARTBEAT_SECONDS)
        heartbeat.leave("worker")


def _beat(worker: Any) -> None:
    from fetchrules.upkeep import heartbeat
    from utm_mail.redis_queue import Dropped

    heartbeat.beat("worker", worker.pool.num_processes, Dropped.count)  # threads too; autoscaling changes it


app.steps["worker"].add(WorkerHeartbeat)


@signals.celeryd_init.connect(weak=False)
def wait_for_database(**_kwargs: Any) -> None:
    """A worker's queue has a name when the database can be asked: one that starts before it waits."""
    while True:
        try:
            queue_name()
        except DatabaseError as error:
            log.warning("waiting for the database: %s", error)
            time.sleep(TICK_SECONDS)
        else:
            return


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
