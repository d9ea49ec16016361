"""The sign of life of all polls of this process: one thread renews their leases for as long as there are any.

So a lease outlasts whatever a poll waits for (a silent server, a slow disk, a slow mail server) and ends soon after the process
does. A database that is away is asked again every second; a poll that was taken for dead meanwhile finds out by itself.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Thread
from time import monotonic, sleep

from django.db import Error, close_old_connections, connections
from django.utils import timezone

from fetchrules.ledger import leases

EVERY_SECONDS = 10.0
AGAIN_SECONDS = 1.0
"""After a renewal that failed."""

log = logging.getLogger(__name__)


class Keeper:
    """Renews the leases of the runs that are entered, every so many seconds. For all threads of a process."""

    def __init__(self, every: float = EVERY_SECONDS) -> None:
        self._every = every
        self._lock = Lock()
        self._runs: dict[int, float] = {}
        self._thread: Thread | None = None

    @contextmanager
    def keep(self, run_id: int) -> Iterator[None]:
        """Renew the lease of this run, which has just begun, until the block ends."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._renew_all, name="leases", daemon=True)
                self._thread.start()
            self._runs[run_id] = monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._runs[run_id]

    def _renew_all(self) -> None:
        pause = self._every
        while (ids := self._old_ones(pause)) is not None:
            pause = self._every if not ids or self._renew(ids) else AGAIN_SECONDS
        connections.close_all()

    def _old_ones(self, pause: float) -> list[int] | None:
        """After a pause, the runs whose lease is no longer new; None where there is no run any more, and then nobody waits."""
        sleep(pause)
        with self._lock:
            if not self._runs:
                self._thread = None
                return None
            return [run_id for run_id, since in self._runs.items() if monotonic() - since > self._every / 2]

    def _renew(self, ids: list[int]) -> bool:
        try:
            close_old_connections()
            leases.keep(ids, timezone.now())
        except Error as error:
            log.warning("the leases of %d polls were not renewed: %s", len(ids), error)
            return False
        return True


KEEPER = Keeper()
