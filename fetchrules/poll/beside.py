"""One piece of work at a time in a thread beside the poll's own, with the poll's database connection."""

from collections.abc import Callable
from contextlib import suppress
from threading import Thread, current_thread

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper


class Beside:
    """Only one of the two threads may use the database at a time: whoever began the work waits before it does."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    def begin(self, work: Callable[[], None]) -> None:
        """Begin `work` when the former is done. Raises what that raised, and then begins nothing."""
        self.wait()
        connections[DEFAULT_DB_ALIAS].inc_thread_sharing()
        self._thread = Thread(target=self._run, args=(work, connections[DEFAULT_DB_ALIAS]), name="beside", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the work is done; raises what it raised, once. Within the work itself there is nothing to wait for."""
        if self._thread is None or self._thread is current_thread():
            return
        self._thread.join()
        self._thread = None
        connections[DEFAULT_DB_ALIAS].dec_thread_sharing()
        error, self._error = self._error, None
        if error is not None:
            raise error

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def leave(self) -> None:
        """As `wait`, after a failure that is worse than that of the work."""
        with suppress(Exception):
            self.wait()

    def _run(self, work: Callable[[], None], connection: BaseDatabaseWrapper) -> None:
        connections[DEFAULT_DB_ALIAS] = connection
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- the other thread raises it
            self._error = error
