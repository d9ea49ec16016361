"""One piece of work at a time in a thread beside the poll's own, with the poll's database connection."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import get_ident

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper


class Beside:
    """Only one of the two threads may use the database at a time: whoever began the work waits before it does.

    `leave` ends the thread.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._work: Future[None] | None = None
        self._ident = 0

    @property
    def busy(self) -> bool:
        return self._work is not None and not self._work.done()

    def begin(self, work: Callable[[], None]) -> None:
        """Begin `work` when the former is done. Raises what that raised, and then begins nothing."""
        self.wait()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "beside")
        mine = connections[DEFAULT_DB_ALIAS]
        mine.inc_thread_sharing()
        self._work = self._thread.submit(self._do, work, mine)

    def wait(self) -> None:
        """Wait until the work is done; raises what it raised, once. Within the work itself there is nothing to wait for."""
        if self._work is not None and self._ident != get_ident():
            error = self._end(self._work)
            if error is not None:
                raise error

    def leave(self) -> None:
        """Wait until the work is done, whatever came of it, and end the thread."""
        if self._work is not None:
            self._end(self._work)
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _end(self, work: "Future[None]") -> BaseException | None:
        error = work.exception()
        self._work = None
        connections[DEFAULT_DB_ALIAS].dec_thread_sharing()
        return error

    def _do(self, work: Callable[[], None], connection: BaseDatabaseWrapper) -> None:
        self._ident = get_ident()
        connections[DEFAULT_DB_ALIAS] = connection
        work()
