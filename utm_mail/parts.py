"""The parts of `up`: web panel, worker and scheduler, each in a thread of one process.

A part that ends unasked is started again while the others go on, so that the panel stays and reports it. If one part ends too
often, all are stopped and the process ends with an error, for its supervisor to start anew.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from types import FrameType
from typing import Any, Protocol

from celery import signals
from celery.beat import Service
from celery.worker import state

from utm_mail.celery import QUIET, app

GRACE_SECONDS = 27
"""How long the parts may take to end after `stop`."""
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before a part is started again after it ended unasked the first time, the second, and so on. Then all parts end."""
FORGIVEN_AFTER = 600.0
"""An end that was so many seconds ago counts no more."""


class Part(Protocol):
    """Something that runs until it is told to stop."""

    name: str

    def run(self) -> None:
        """Work until `stop`. Returns or raises early if it fails; it may then be run again."""

    def stop(self) -> None:
        """Ask `run` to return soon, from another thread. Does not wait."""


class Worker:
    """Celery's worker with a pool of threads."""

    name = "worker"
    _controller: Any = None

    def run(self) -> None:
        """Run tasks. On a failure, Celery logs it, and this returns after its polls have ended."""
        self._controller = app.WorkController(pool="threads", **QUIET)
        self._controller.start()
        self._controller.stop()

    def stop(self) -> None:
        """A warm shutdown, as on SIGTERM: running tasks finish, waiting ones are dropped."""
        signals.worker_shutting_down.send(sender=self.name, sig="SIGTERM", how="Warm", exitcode=0)
        state.should_stop = 0  # checked while it waits for a broker
        if self._controller is not None:
            self._controller.signal_consumer_close()  # and this ends its wait for tasks


class Beat:
    name = "beat"
    _service: Any = None

    def run(self) -> None:
        self._service = Service(app, scheduler_cls=app.conf.beat_scheduler)
        self._service.start()

    def stop(self) -> None:
        """Takes up to `beat_max_loop_interval` seconds."""
        if self._service is not None:
            self._service.stop()


@dataclass(frozen=True, slots=True)
class Shutdown:
    """`fallen` is the part that ended unasked once too often, if one did. `stuck` are the parts that did not end in time."""

    fallen: str | None
    stuck: tuple[str, ...]


def run_together(
    parts: Sequence[Part],
    when_told: Callable[[], None],
    when_fallen: Callable[[str], None],
    grace: float = GRACE_SECONDS,
    pauses: Sequence[float] = PAUSES,
) -> Shutdown:
    """Run all parts until SIGINT or SIGTERM, or until one ends too often. Then stop them all, within `grace` seconds.

    A part that ends by itself is started again after the next of `pauses`, and `when_fallen` is called with its name. `when_told`
    is called when the shutdown begins. A second signal ends the process at once.
    """
    ends: SimpleQueue[Part | None] = SimpleQueue()
    told = Event()
    threads: dict[str, Thread] = {}
    fell_at: dict[str, list[float]] = {part.name: [] for part in parts}

    def start(part: Part, pause: float) -> None:
        threads[part.name] = Thread(target=_run, args=(part, pause, told, ends), name=part.name, daemon=True)
        threads[part.name].start()

    with _on_signal(lambda: ends.put(None)):
        for part in parts:
            start(part, 0)
        while (fallen := _next(ends)) is not None:
            now = monotonic()
            lately = [at for at in fell_at[fallen.name] if now - at < FORGIVEN_AFTER]
            if len(lately) >= len(pauses):
                break
            fell_at[fallen.name] = [*lately, now]
            when_fallen(fallen.name)
            start(fallen, pauses[len(lately)])
        told.set()
        when_told()
        for part in reversed(parts):
            part.stop()
        deadline = monotonic() + grace
        for thread in threads.values():
            thread.join(max(0.0, deadline - monotonic()))
    stuck = tuple(thread.name for thread in threads.values() if thread.is_alive())
    return Shutdown(fallen.name if fallen else None, stuck)


def _next(ends: "SimpleQueue[Part | None]") -> Part | None:
    """The next part that ended, or None after a signal. The waits are short: a signal just before one does not interrupt it."""
    while True:
        with suppress(Empty):
            return ends.get(timeout=1)


def _run(part: Part, pause: float, told: Event, ends: "SimpleQueue[Part | None]") -> None:
    if not told.wait(pause):
        try:
            part.run()
        finally:  # the thread prints the exception
            ends.put(part)


@contextmanager
def _on_signal(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` at the first SIGINT or SIGTERM. The next one has its default effect."""
    both = (signal.SIGINT, signal.SIGTERM)

    def first(_number: int, _frame: FrameType | None) -> None:
        for number in both:
            signal.signal(number, signal.SIG_DFL)
        tell()

    before = {number: signal.signal(number, first) for number in both}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
