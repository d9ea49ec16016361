"""Signs of life of worker and beat, as rows that the panel reads."""

import logging
import os
import socket

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from fetchrules.models import Heartbeat

log = logging.getLogger(__name__)


def beat(part: str) -> None:
    """Note that `part` (worker, beat) of this process is alive. A database that is away is logged: the silence tells the rest."""
    now = timezone.now()
    try:
        close_old_connections()
        Heartbeat.objects.update_or_create(
            part=part, host=_host(), defaults={"seen_at": now}, create_defaults={"seen_at": now, "started_at": now}
        )
    except DatabaseError as error:
        log.warning("heartbeat of %s not written: %s", part, error)


def leave(part: str) -> None:
    """Note that `part` of this process ends in good order."""
    try:
        Heartbeat.objects.filter(part=part, host=_host()).delete()
    except DatabaseError as error:
        log.warning("farewell of %s not written: %s", part, error)


def _host() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
