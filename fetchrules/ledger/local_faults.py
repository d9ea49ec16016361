"""Faults of this machine that keep mail from being collected.

Most are read from the rules, which are polled again within two minutes. A database that takes no writes is looked at here.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import connection
from django.db.models import Count, Max, Min

from fetchrules.errors import DatabaseFailed
from fetchrules.ledger.turns import pollable
from fetchrules.status import LOCAL_FAULTS

ROOM = 1024 * 1024
"""Free octets below which SQLite soon cannot write."""


@dataclass(frozen=True, slots=True)
class LocalFault:
    """`rules` fail by `code`, the first of them `since`; `detail` is what the system said of one."""

    code: str
    rules: int
    since: datetime
    detail: str


def local_faults(now: datetime) -> tuple[LocalFault, ...]:
    """The faults at `now`, the one that concerns most rules first, by one or two queries."""
    failing = pollable().filter(last_error__in=LOCAL_FAULTS, failures__gt=0)
    told = failing.order_by().values_list("last_error").annotate(Count("id"), Min("failing_since"), Max("last_detail"))
    faults = [LocalFault(code, rules, since or now, detail) for code, rules, since, detail in told]
    if all(fault.code != DatabaseFailed.code for fault in faults):
        faults += [LocalFault(DatabaseFailed.code, 0, now, reason) for reason in _why_nothing_is_written()]
    return tuple(sorted(faults, key=lambda fault: (-fault.rules, fault.code)))


def _why_nothing_is_written() -> Iterator[str]:
    """Why the database takes no writes, if so. Nothing is written to find out: that would wait for locks."""
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            if cursor.fetchone() == ("on",):
                yield "read-only"
        return
    file = Path(connection.settings_dict["NAME"])
    if not file.is_file():
        return
    disk = os.statvfs(file.parent)
    if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        yield f"{file}: read-only"
    elif disk.f_bavail * disk.f_frsize < ROOM:
        yield f"{file.parent}: no room"
