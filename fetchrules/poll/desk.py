"""Where the polls of a process begin and idle ones end: together, so that many share one transaction (ADR 32).

A poll begins only when its start is on record. Nobody waits until the result of an idle poll is on record: it is handed over.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from threading import Lock, Thread
from time import sleep
from typing import Generic, TypeVar

from django.db import DatabaseError, connections
from django.utils import timezone

from fetchrules.ledger import idle, runs
from fetchrules.ledger.idle import Idle
from fetchrules.models import Run
from fetchrules.poll.outlasting import outlast, rest

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.02
"""How long the first of several polls waits for others that begin."""
LINGER_SECONDS = 0.05
"""How long a result waits for others."""

_T = TypeVar("_T")
_R = TypeVar("_R")


class Together(Generic[_T, _R]):
    """Answers many threads by one call: those that ask while a call is at work share the next one. Thread-safe.

    With `gather` seconds a call waits so long for more questions, if its predecessor had more than one.
    """

    def __init__(self, answer: Callable[[Sequence[_T]], Sequence[_R]], gather: float = 0.0) -> None:
        """`answer` gives an answer for each question, in order."""
        self._answer = answer
        self._gather = gather
        self._crowd = False
        self._waiting: list[tuple[_T, Future[_R]]] = []
        self._list, self._turn = Lock(), Lock()

    def ask(self, question: _T) -> _R:
        """Raises what the call raised that this question was part of."""
        answer: Future[_R] = Future()
        with self._list:
            self._waiting.append((question, answer))
        with self._turn:
            if not answer.done():
                self._answer_all()
        return answer.result()

    def _answer_all(self) -> None:
        if self._gather and (self._crowd or len(self._waiting) > 1):
            sleep(self._gather)
        with self._list:
            group, self._waiting = self._waiting, []
        self._crowd = len(group) > 1
        try:
            answers = self._answer([question for question, _ in group])
        except BaseException as error:
            for _, asked in group:
                asked.set_exception(error)
            raise
        for (_, asked), answer in zip(group, answers, strict=True):
            asked.set_result(answer)


class Desk:
    """Begins polls and closes idle ones. Thread-safe.

    Without seconds to `gather` and to `linger` each is begun and closed by itself, at once. `ended` is called, in a thread of the
    desk, with the hosts at which polls have ended.
    """

    def __init__(
        self, gather: float = 0.0, linger: float = 0.0, ended: Callable[[Collection[str]], None] | None = None
    ) -> None:
        self._begun = Together(_begin_all, gather)
        self._linger = linger
        self._ended = ended
        self._waiting: list[Idle] = []
        self._hosts: set[str] = set()
        self._lock = Lock()
        self._thread: Thread | None = None

    def begin(self, run_id: int) -> Run | None:
        """As `runs.start_all`."""
        return self._begun.ask(run_id)

    def close(self, poll: Idle) -> None:
        """Take the result of an idle poll. Without `linger` raises DatabaseError."""
        if not self._linger:
            _close_all([poll])
            return
        with self._lock:
            self._waiting.append(poll)
            self._work_on()

    def leave(self, host: str) -> None:
        """A poll at this host was closed by itself."""
        with self._lock:
            self._hosts.add(host)
            self._work_on()

    def _work_on(self) -> None:
        if not self._is_closing():
            self._thread = Thread(target=self._close_on, name="desk", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Wait until everything that was handed over is on record, or the database is away at the end of the process."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _is_closing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()  # after a fork it is not

    def _close_on(self) -> None:
        """Close what was handed over, until nothing comes any more. After a fault of the program the next result begins anew."""
        while True:
            sleep(self._linger)
            with self._lock:
                polls, self._waiting = self._waiting, []
                hosts, self._hosts = self._hosts, set()
                if not polls and not hosts:
                    self._thread = None
                    break
            self._close_some(polls, hosts)
        connections.close_all()

    def _close_some(self, polls: Sequence[Idle], hosts: set[str]) -> None:
        try:
            if polls:
                outlast(lambda: _close_all(polls))
            if self._ended is not None:
                self._ended(hosts.union(poll.run.source.host for poll in polls))
        except DatabaseError as error:  # their leases end, and the polls are repeated
            log.warning("the results of %d idle polls are lost: %s", len(polls), error)


def _begin_all(ids: Sequence[int]) -> list[Run | None]:
    begun = runs.start_all(ids, timezone.now())
    rest()
    return [begun.pop(run_id, None) for run_id in ids]  # of two equal messages the first begins


def _close_all(polls: Sequence[Idle]) -> None:
    for poll in idle.close_all(polls):
        runs.close(poll.run, poll.ending, poll.after, poll.at)


AT_ONCE = Desk()
