"""Which processes are alive, by their heartbeats, and how many polls the workers among them can do at a time."""

import os
import socket
from datetime import datetime, timedelta

from django.db.models import Q, Sum

from fetchrules.models import Heartbeat

SILENT_AFTER = timedelta(seconds=40)
"""A process that has sent no heartbeat for this long counts as dead."""


def this_process() -> str:
    """The name of this process in heartbeats and runs."""
    return f"{socket.gethostname()}:{os.getpid()}"


def alive(now: datetime) -> Q:
    """The heartbeats of living processes. One that a wrong clock has written into the future does not count."""
    return Q(seen_at__gt=now - SILENT_AFTER, seen_at__lt=now + SILENT_AFTER)


def slots(now: datetime) -> int | None:
    """How many polls all living workers together do at a time; None if no worker says so."""
    together: int | None = Heartbeat.objects.filter(alive(now), part="worker").aggregate(slots=Sum("slots"))["slots"]
    return together
