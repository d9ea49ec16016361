"""Many rows removed, a few hundred at a time: flat in memory, and nobody has to wait long for the database."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from fetchrules.models.chunks import chunks

AT_MOST = 50_000
"""Rows that one call removes; what is left waits for the next."""

_M = TypeVar("_M", bound=Model)


def remove(rows: QuerySet[_M]) -> int:
    """Remove `rows`, AT_MOST of them, as many as one statement may name at a time; how many."""
    ids = list(rows.order_by().values_list("pk", flat=True)[:AT_MOST])
    for chunk in chunks(ids):
        rows.filter(pk__in=chunk).delete()
    return len(ids)
