"""Django's backend for PostgreSQL, whose sessions are shared by the threads of a process (ADR 31).

`close` gives the session back, for the next thread that needs one. Unlike a pool with threads of its own, a database that is away
is noticed at once, by whoever asks.
"""

import os
from contextlib import suppress
from threading import Condition
from time import monotonic
from typing import Any
from weakref import WeakSet

import psycopg
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

AT_MOST = 8
"""Sessions of one process. A poll needs one for milliseconds and then waits for its server for seconds."""
PATIENCE = 20.0
"""Seconds that a thread waits for a session."""
KEPT = 60.0
"""Seconds after which an idle session is closed."""

_Session = psycopg.Connection[Any]


class Sessions:
    """The sessions of this process by the parameters of their connection. Thread-safe; a child process begins with none."""

    def __init__(self) -> None:
        self._free = Condition()
        self._idle: list[tuple[float, Any, _Session]] = []
        self._used: WeakSet[_Session] = WeakSet()
        self._opening = 0

    def take(self, parameters: Any) -> _Session | None:
        """An idle session that works; None: open a new one, and then call `opened`. Raises psycopg.OperationalError."""
        while (session := self._next(parameters)) is not None:
            with suppress(psycopg.Error):
                session.execute("SELECT 1")
                return session
            self._drop(session)
            with self._free:  # the others have most likely been lost with it
                idle, self._idle = self._idle, []
            for _, _, other in idle:
                other.close()
        return None

    def _next(self, parameters: Any) -> _Session | None:
        with self._free:
            until = monotonic() + PATIENCE
            while len(self._used) + self._opening >= AT_MOST:  # a thread that ends without closing tells nobody
                if monotonic() > until:
                    raise psycopg.OperationalError(f"all {AT_MOST} sessions of this process are in use")
                self._free.wait(min(PATIENCE, 0.5))
            for entry in reversed(self._idle):
                if entry[1] == parameters:
                    self._idle.remove(entry)
                    self._used.add(entry[2])
                    return entry[2]
            self._opening += 1
            return None

    def opened(self, session: _Session | None) -> None:
        """Note the session that was opened; None: that failed."""
        with self._free:
            self._opening -= 1
            if session is not None:
                self._used.add(session)
            self._free.notify()

    def give_back(self, session: _Session, parameters: Any) -> None:
        """Keep it for others, unless it is broken or within a transaction."""
        if session.info.transaction_status is not TransactionStatus.IDLE or not session.autocommit:
            self._drop(session)
            return
        with self._free:
            self._used.discard(session)
            self._idle.append((monotonic(), parameters, session))
            old = [one for since, _, one in self._idle if monotonic() - since > KEPT]
            self._idle = [entry for entry in self._idle if entry[2] not in old]
            self._free.notify()
        for one in old:
            one.close()

    def _drop(self, session: _Session) -> None:
        session.close()
        with self._free:
            self._used.discard(session)
            self._free.notify()


SESSIONS = Sessions()
os.register_at_fork(after_in_child=SESSIONS.__init__)  # type: ignore[misc]


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> _Session:
        session = SESSIONS.take(conn_params)
        if session is None:
            try:
                session = super().get_new_connection(conn_params)
            finally:
                SESSIONS.opened(session)
        return session

    def _close(self) -> None:
        if self.connection is not None:
            with self.wrap_database_errors:
                SESSIONS.give_back(self.connection, self.get_connection_params())
