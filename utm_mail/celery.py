"""Celery's application, the schedule of beat, and the heartbeats of worker and beat."""

import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import cache
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

from fetchrules.remote.stopping import STOPPING

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "utm_mail.settings")

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10
TICK_SECONDS = 3
LONGEST_RETRY = 5
"""Seconds between two attempts to reach the broker."""
QUIET = dict.fromkeys(("without_gossip", "without_mingle", "without_heartbeat"), True)
"""Options of a worker without Celery's own events. On Redis every Celery application shares their channels, and the database
already knows which workers are alive."""

_BEGAN = datetime.now(UTC) - timedelta(seconds=time.monotonic())

TRANSPORT_ALIASES |= dict.fromkeys(("redis", "rediss"), "utm_mail.redis_queue:Transport")


def every(seconds: float) -> schedule:
    """A schedule by the monotonic clock: if somebody set the clock back by three hours, beat would otherwise wait that long."""
    return schedule(timedelta(seconds=seconds), nowfun=lambda: _BEGAN + timedelta(seconds=time.monotonic()))


@cache
def queue_name() -> str:
    """The name of this installation's queue, and the prefix of all its keys in Redis. Raises DatabaseError, which is not cached."""
    from fetchrules.models import ServiceSettings

    return ServiceSettings.current().queue


class PatientConnection(Connection):
    """A connection that comes back within LONGEST_RETRY seconds after the broker does."""

    def _ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super()._ensure_connection(*args, **{"interval_max": LONGEST_RETRY, **options})


class OneQueue(AMQP):
    """A single queue, named after the installation as soon as the database answers."""

    Connection = PatientConnection

    @cached_property
    def queues(self) -> Any:
        """Raises DatabaseError; the next access asks again."""
        self.app.conf.task_default_queue = queue_name()
        return self.Queues(None)


class Application(Celery):
    """Celery's application, with a `celery worker` that is QUIET."""

    def Worker(self, **options: Any) -> Any:  # noqa: N802 -- Celery's name
        return self.subclass_with_self("celery.apps.worker:Worker")(**{**options, **QUIET})


app = Application("utm_mail", amqp=OneQueue)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["fetchrules"])
app.conf.beat_schedule = {
    "dispatch": {"task": "fetchrules.tasks.dispatch", "schedule": every(TICK_SECONDS), "options": {"expires": 30}},
    "watch": {"task": "fetchrules.tasks.watch", "schedule": every(60), "options": {"expires": 60}},
    "mend": {"task": "fetchrules.tasks.mend", "schedule": every(60), "options": {"expires": 60}},
    "housekeeping": {"task": "fetchrules.tasks.housekeeping", "schedule": every(600), "options": {"expires": 600}},
}


class BeatingScheduler(Scheduler):
    """A scheduler that sends heartbeats. Its entries live in memory, because the database knows which rules are due."""

    beaten_at = float("-inf")
    producer = None
    """None makes each task take a connection from the pool. A producer of beat's own would block heartbeats without a broker."""

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() - self.beaten_at >= HEARTBEAT_SECONDS:
            from fetchrules.upkeep import heartbeat

            heartbeat.beat("beat")
            self.beaten_at = time.monotonic()
        return super().tick(*args, **kwargs)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Enqueue a task. The log gets no traceback when broker or database are away."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            away = isinstance(error.__context__, OperationalError | DatabaseError)
            log.warning("%s", error, exc_info=not away)

    def close(self) -> None:
        from fetchrules.upkeep import heartbeat

        super().close()
        heartbeat.leave("beat")


class WorkerHeartbeat(bootsteps.StartStopStep):
    """Sends the worker's heartbeats from a thread of its own, which waits for no broker."""

    requires = {"celery.worker.components:Pool"}  # noqa: RUF012 -- Celery's own spelling

    def start(self, worker: Any) -> None:
        STOPPING.clear()  # `up` may have run another worker in this process, and told its polls to end
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
        """Runs before the pool ends, which waits for the polls."""
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
    """The worker's queue takes its name from the database, so a worker that starts first waits for it."""
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
    """Celery's SIGTERM handler first writes to `sys.__stdout__`, which blocks for ever on a full pipe that nobody reads."""
    sys.__stdout__ = None  # type: ignore[misc]


@signals.worker_shutting_down.connect(weak=False)
def stop_polls(**_kwargs: Any) -> None:
    """Let running polls end after the batch in hand."""
    STOPPING.set()
    log.info("the worker ends: polls finish the letters in hand")


@signals.worker_shutdown.connect(weak=False)
def close_idle_polls(**_kwargs: Any) -> None:
    """Wait until the results that polls have handed over are on record."""
    from fetchrules.tasks import DESK

    DESK.flush()
