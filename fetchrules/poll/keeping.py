"""The sign of life of all polls of this process: one thread renews their leases for as long as there are any.

So a lease outlasts whatever a poll waits for (a silent server, a slow disk, a slow mail server) and ends soon after the process
does. A database that is away is asked again every second; a poll that was taken for dead meanwhile finds out by itself.

The same thread learns, for all of them at once, which were asked to stop or have lost their rule, and lets them know: a poll that
waits for its server asks the database nothing.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import monotonic, sleep

from django.db import Error, close_old_connections, connections
from django.utils import timezone

from fetchrules.ledger import leases

EVERY_SECONDS = 10.0
AGAIN_SECONDS = 1.0
"""After a renewal that failed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A run that is kept: since when, and what tells it to look at its claim."""

    since: float = field(default_factory=monotonic)
    disturbed: Event = field(default_factory=Event)


class Keeper:
    """Renews the leases of the runs that are entered, every so many seconds. For all threads of a process."""

    def __init__(self, every: float = EVERY_SECONDS) -> None:
        self._every = every
        self._lock = Lock()
        self._runs: dict[int, _Kept] = {}
        self._thread: Thread | None = None

    @contextmanager
    def keep(self, run_id: int) -> Iterator[Event]:
        """Renew the lease of this run, which has just begun, until the block ends.

        The event is set, soon after it happened, when the run is to look whether it may go on (`leases.disturbed`).
        """
        kept = _Kept()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._renew_all, name="leases", daemon=True)
                self._thread.start()
            self._runs[run_id] = kept
        try:
            yield kept.disturbed
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
            return [run_id for run_id, kept in self._runs.items() if monotonic() - kept.since > self._every / 2]

    def _renew(self, ids: list[int]) -> bool:
        try:
            close_old_connections()
            leases.keep(ids, timezone.now())
            self._tell(leases.disturbed(ids))
        except Error as error:
            log.warning("the leases of %d polls were not renewed: %s", len(ids), error)
            return False
        return True

    def _tell(self, disturbed: set[int]) -> None:
        with self._lock:
            for run_id in disturbed & self._runs.keys():
                self._runs[run_id].disturbed.set()


KEEPER = Keeper()
