"""The parts of a running installation, each in a thread of one process: they start together and end together."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from types import FrameType
from typing import Protocol
from wsgiref import simple_server

from celery import signals
from celery.beat import Service
from celery.worker import state
from django.core.servers.basehttp import ServerHandler, ThreadedWSGIServer, WSGIRequestHandler

from utm_mail.celery import app
from utm_mail.wsgi import application

GRACE_SECONDS = 27
"""How long the parts may take to end after they were asked to."""
CLIENT_SECONDS = 60
"""How long a browser's connection may be silent."""

DRAINED = 128 * 1024 * 1024
"""Octets of a refused body that are still taken off the connection, so that the client can read why."""
_PIECE = 64 * 1024
_LONGEST_LINE = 64 * 1024


class Part(Protocol):
    """Something that runs until it is told to stop."""

    name: str

    def run(self) -> None:
        """Work; returns after `stop`, or raises."""
        ...

    def stop(self) -> None:
        """Ask `run` to return soon. Called from another thread; does not wait."""
        ...


class Web:
    """The web panel on a socket of its own. Making one takes the port: raises OSError."""

    name = "web"

    def __init__(self, host: str, port: int) -> None:
        self._server = _Server((host, port), _RequestHandler, ipv6=":" in host)
        self._server.set_app(application)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def run(self) -> None:
        """Answer requests."""
        with self._server:
            self._server.serve_forever()

    def stop(self) -> None:
        """Requests in hand are still answered while the other parts end."""
        Thread(target=self._server.shutdown, daemon=True).start()


class Worker:
    """Celery's worker with a pool of threads."""

    name = "worker"

    def __init__(self) -> None:
        self._controller = app.WorkController(
            pool="threads", without_gossip=True, without_mingle=True, without_heartbeat=True
        )

    def run(self) -> None:
        """Take tasks from the queue and run them. A failure is logged by Celery; then this returns unasked."""
        self._controller.start()
        self._controller.stop()

    def stop(self) -> None:
        """A warm shutdown, as on SIGTERM: tasks that run come to their end, those that wait are dropped."""
        signals.worker_shutting_down.send(sender=self._controller.hostname, sig="SIGTERM", how="Warm", exitcode=0)
        state.should_stop = 0  # is looked at where it waits for a broker
        self._controller.signal_consumer_close()  # and this where it waits for tasks


class Beat:
    """Celery's clock."""

    name = "beat"

    def __init__(self) -> None:
        self._service = Service(app, scheduler_cls=app.conf.beat_scheduler)

    def run(self) -> None:
        """Put on the queue what the schedule says."""
        self._service.start()

    def stop(self) -> None:
        """It ends after its present nap, which is at most `beat_max_loop_interval` long."""
        self._service.stop()


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended: the part that ended unasked, if one did, and those that did not end although they were asked to."""

    fallen: str | None
    stuck: tuple[str, ...]


def run_together(parts: Sequence[Part], when_told: Callable[[], None], grace: float = GRACE_SECONDS) -> Ending:
    """Run all parts until SIGINT or SIGTERM, or until one of them ends by itself; then end them all, within `grace` seconds.

    `when_told` is called when the end begins. A second signal does what it does to any process: it ends at once.
    """
    ends: SimpleQueue[str | None] = SimpleQueue()
    threads = [Thread(target=_run, args=(part, ends), name=part.name, daemon=True) for part in parts]
    with _on_signal(lambda: ends.put(None)):
        for thread in threads:
            thread.start()
        fallen = ends.get()
        when_told()
        for part in reversed(parts):
            part.stop()
        deadline = monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))
    return Ending(fallen, tuple(thread.name for thread in threads if thread.is_alive()))


def _run(part: Part, ends: "SimpleQueue[str | None]") -> None:
    try:
        part.run()
    finally:  # an exception goes on to the thread's top, which prints it
        ends.put(part.name)


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


class _Server(ThreadedWSGIServer):
    request_queue_size = 128


ServerHandler.server_software = "utm-mail"  # no versions for those who look for old ones


class _Handler(ServerHandler):
    """Django's takes what a request has left unread off the connection in one piece, however large."""

    request_handler: "_RequestHandler"

    def close(self) -> None:
        """Take off the beginning, for the client to read the answer; of a body that does not end there the connection is closed."""
        unread = self.get_stdin()
        for _ in range(DRAINED // _PIECE):
            if not unread.read(_PIECE):
                break
        else:
            self.request_handler.close_connection = True
        simple_server.ServerHandler.close(self)


class _RequestHandler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS
    server_version, sys_version = "utm-mail", ""

    def handle_one_request(self) -> None:
        """One request; a client that falls silent is hung up on."""
        try:
            self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
            if len(self.raw_requestline) > _LONGEST_LINE:
                self.requestline = self.request_version = self.command = ""
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            elif self.parse_request():
                handler = _Handler(self.rfile, self.wfile, self.get_stderr(), self.get_environ())
                handler.request_handler = self
                handler.run(application)
        except TimeoutError:
            self.close_connection = True
