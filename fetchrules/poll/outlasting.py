"""Which errors mean that the database is away, how to wait until it is back, and when to do without it."""

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, InternalError, OperationalError, close_old_connections, connection

from fetchrules.remote.stopping import STOPPING

DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
"""What a database raises that cannot work, whatever the statement. A read-only PostgreSQL raises InternalError."""
FIRST_SECONDS = 0.5
LONGEST_SECONDS = 10.0
"""Between two tries the wait doubles up to this."""

log = logging.getLogger(__name__)
_T = TypeVar("_T")


def rest() -> None:
    """Before this thread waits for a server: give its session with PostgreSQL to the others. Not within a transaction."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()


def outlast(record: Callable[[], _T], patience: float = math.inf) -> _T:
    """What `record` returns, called again while the database is away, for at most `patience` seconds.

    Raises the last error, one of DATABASE_AWAY, if the patience or the process ends before.
    """
    pause, until = FIRST_SECONDS, time.monotonic() + patience
    while True:
        try:
            return record()
        except DATABASE_AWAY as error:
            log.warning("the database does not work, tried again in %g s: %s", pause, error)
            if time.monotonic() + pause > until or STOPPING.wait(pause):
                raise
            close_old_connections()
            pause = min(2 * pause, LONGEST_SECONDS)
