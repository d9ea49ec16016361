"""One thread renews the leases of all polls of this process, and tells those that were asked to stop or have lost their rule.

So a lease outlasts whatever a poll waits for (a silent server, a slow disk) and ends soon after the process does, and a waiting
poll need not ask the database. A poll that was abandoned while the database was away finds out by itself.
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
from fetchrules.poll.outlasting import rest

EVERY_SECONDS = 10.0
AGAIN_SECONDS = 1.0
"""After a renewal that failed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    since: float = field(default_factory=monotonic)
    disturbed: Event = field(default_factory=Event)


class Keeper:
    """Renews the leases of the kept runs every so many seconds. Thread-safe."""

    def __init__(self, every: float = EVERY_SECONDS) -> None:
        self._every = every
        self._lock = Lock()
        self._runs: dict[int, _Kept] = {}
        self._thread: Thread | None = None

    @contextmanager
    def keep(self, run_id: int) -> Iterator[Event]:
        """Renew the lease of a run that has just begun until the block ends. The event tells it to check its claim
        (`leases.disturbed`)."""
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
        """After a pause, the runs whose lease is no longer new; None if no run is left."""
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
            disturbed = leases.disturbed(ids)
            with self._lock:
                for run_id in disturbed & self._runs.keys():
                    self._runs[run_id].disturbed.set()
        except Error as error:
            log.warning("the leases of %d polls were not renewed: %s", len(ids), error)
            return False
        rest()
        return True


KEEPER = Keeper()
