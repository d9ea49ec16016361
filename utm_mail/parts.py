"""The parts of a running installation, each in a thread of one process: they start together and end together.

A part that ends unasked is started again while the others go on, so that the panel stays and says so. One that falls again and
again ends them all, with an error: whoever started the process can see that, and start it anew.
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

from utm_mail.celery import app
from utm_mail.web_server import make_server

GRACE_SECONDS = 27
"""How long the parts may take to end after they were asked to."""
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before a part that ended unasked is started again, the first time, the second, …; then it is not."""
FORGIVEN_AFTER = 600.0
"""Seconds after which a fall counts no more."""


class Part(Protocol):
    """Something that runs until it is told to stop."""

    name: str

    def run(self) -> None:
        """Work; returns after `stop`, or raises. After that it may be run again, as long as it was not told to stop."""
        ...

    def stop(self) -> None:
        """Ask `run` to return soon. Called from another thread; does not wait."""
        ...


class Web:
    """The web panel on a socket of its own. Making one takes the port: raises OSError."""

    name = "web"

    def __init__(self, host: str, port: int) -> None:
        self._server = make_server(host, port)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def run(self) -> None:
        """Answer requests."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Requests in hand are still answered while the other parts end."""
        Thread(target=self._end, daemon=True).start()

    def _end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Worker:
    """Celery's worker with a pool of threads."""

    name = "worker"

    _controller: Any = None

    def run(self) -> None:
        """Take tasks from the queue and run them. A failure is logged by Celery; then this returns unasked, its polls ended."""
        self._controller = app.WorkController(
            pool="threads", without_gossip=True, without_mingle=True, without_heartbeat=True
        )
        self._controller.start()
        self._controller.stop()

    def stop(self) -> None:
        """A warm shutdown, as on SIGTERM: tasks that run come to their end, those that wait are dropped."""
        signals.worker_shutting_down.send(sender=self.name, sig="SIGTERM", how="Warm", exitcode=0)
        state.should_stop = 0  # is looked at where it waits for a broker
        if self._controller is not None:
            self._controller.signal_consumer_close()  # and this where it waits for tasks


class Beat:
    """Celery's clock."""

    name = "beat"
    _service: Any = None

    def run(self) -> None:
        """Put on the queue what the schedule says."""
        self._service = Service(app, scheduler_cls=app.conf.beat_scheduler)
        self._service.start()

    def stop(self) -> None:
        """It ends after its present nap, which is at most `beat_max_loop_interval` long."""
        if self._service is not None:
            self._service.stop()


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended: the part that ended unasked, if one did, and those that did not end although they were asked to."""

    fallen: str | None
    stuck: tuple[str, ...]


class _Falls:
    """How often which part ended unasked, and how long it waits before it is started again."""

    def __init__(self, pauses: Sequence[float]) -> None:
        self._pauses = pauses
        self._at: dict[str, list[float]] = {}

    def pause_after(self, name: str, now: float) -> float | None:
        """Seconds until the part `name`, which has just ended, may be started again; None where it fell too often."""
        lately = [at for at in self._at.get(name, []) if now - at < FORGIVEN_AFTER]
        self._at[name] = [*lately, now]
        return self._pauses[len(lately)] if len(lately) < len(self._pauses) else None


def run_together(
    parts: Sequence[Part],
    when_told: Callable[[], None],
    when_fallen: Callable[[str], None],
    grace: float = GRACE_SECONDS,
    pauses: Sequence[float] = PAUSES,
) -> Ending:
    """Run all parts until SIGINT or SIGTERM, or until one of them falls once too often; then end them all, within `grace` seconds.

    A part that ends by itself is started again after the next of `pauses`, and `when_fallen` called with its name. `when_told` is
    called when the end begins. A second signal does what it does to any process: it ends at once.
    """
    ends: SimpleQueue[Part | None] = SimpleQueue()
    told, falls = Event(), _Falls(pauses)
    threads: dict[str, Thread] = {}

    def start(part: Part, pause: float) -> None:
        threads[part.name] = Thread(target=_run, args=(part, pause, told, ends), name=part.name, daemon=True)
        threads[part.name].start()

    with _on_signal(lambda: ends.put(None)):
        for part in parts:
            start(part, 0)
        while (fallen := _next(ends)) is not None:
            pause = falls.pause_after(fallen.name, monotonic())
            if pause is None:
                break
            when_fallen(fallen.name)
            start(fallen, pause)
        told.set()
        when_told()
        for part in reversed(parts):
            part.stop()
        deadline = monotonic() + grace
        for thread in threads.values():
            thread.join(max(0.0, deadline - monotonic()))
    stuck = tuple(thread.name for thread in threads.values() if thread.is_alive())
    return Ending(fallen.name if fallen else None, stuck)


def _next(ends: "SimpleQueue[Part | None]") -> Part | None:
    """The next part that ended, or None after a signal. A signal just before the wait does not interrupt it, so it is short."""
    while True:
        with suppress(Empty):
            return ends.get(timeout=1)


def _run(part: Part, pause: float, told: Event, ends: "SimpleQueue[Part | None]") -> None:
    if not told.wait(pause):
        try:
            part.run()
        finally:  # an exception goes on to the thread's top, which prints it
            ends.put(part)


@contextmanager
def _on_signal(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` at the first SIGINT or SIGTERM; from then on they do what the system has them do."""
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
