"""Signs of life of worker and beat, as rows: the panel reads who is alive, the ledger how many polls can be done at a time."""

import logging
import os
import socket
from datetime import datetime, timedelta

from django.db import DatabaseError, close_old_connections
from django.db.models import Sum
from django.utils import timezone

from fetchrules.models import Heartbeat

log = logging.getLogger(__name__)

SILENT_AFTER = timedelta(seconds=40)
"""A part that was not heard of for so long is taken for dead."""


def beat(part: str, slots: int | None = None) -> None:
    """Note that `part` (worker, beat) of this process is alive, and how many polls it does at a time if it does any.

    A database that is away is logged: the silence tells the rest.
    """
    now = timezone.now()
    sign = {"seen_at": now, "slots": slots}
    try:
        close_old_connections()
        Heartbeat.objects.update_or_create(
            part=part, host=_host(), defaults=sign, create_defaults=sign | {"started_at": now}
        )
    except DatabaseError as error:
        log.warning("heartbeat of %s not written: %s", part, error)


def leave(part: str) -> None:
    """Note that `part` of this process ends in good order."""
    try:
        Heartbeat.objects.filter(part=part, host=_host()).delete()
    except DatabaseError as error:
        log.warning("farewell of %s not written: %s", part, error)


def slots(now: datetime) -> int | None:
    """How many polls all live workers together do at a time; None where none of them says so."""
    live = Heartbeat.objects.filter(part="worker", seen_at__gt=now - SILENT_AFTER)
    together: int | None = live.aggregate(slots=Sum("slots"))["slots"]
    return together


def forget_all() -> None:
    """Forget every sign of life: for a process that knows that it is the only one and has just started."""
    Heartbeat.objects.all().delete()


def _host() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
