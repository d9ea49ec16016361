"""What has to be recorded is recorded when the database is back."""

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, InternalError, OperationalError, close_old_connections

from fetchrules.poll import STOPPING

AWAY = (OperationalError, InterfaceError, InternalError)
"""What the database raises when it cannot do its work, and not because of our statement. PostgreSQL that is read-only calls it
internal."""
FIRST_SECONDS = 0.5
LONGEST_SECONDS = 10.0
"""Between two tries the wait doubles up to this."""

log = logging.getLogger(__name__)
_T = TypeVar("_T")


def outlast(record: Callable[[], _T], patience: float = math.inf) -> _T:
    """What `record` returns, called again while the database does not do its work, for at most `patience` seconds.

    Raises one of AWAY where the process, or its patience, ends before that.
    """
    pause, until = FIRST_SECONDS, time.monotonic() + patience
    while True:
        try:
            return record()
        except AWAY as error:
            log.warning("the database does not work, tried again in %g s: %s", pause, error)
            if time.monotonic() + pause > until or STOPPING.wait(pause):
                raise
            close_old_connections()
            pause = min(2 * pause, LONGEST_SECONDS)
