"""Work on many rows in chunks, because SQLite and PostgreSQL limit the parameters of one statement."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from django.db.models import QuerySet

_CHUNK = 500
AT_MOST = 50_000
"""How many rows one call of `remove` deletes, so that others do not wait long for the database."""

_T = TypeVar("_T")


def chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """`items` in their order, a few hundred at a time."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def remove(rows: QuerySet[Any]) -> int:
    """Delete up to AT_MOST of `rows`, in chunks. Returns how many."""
    ids = list(rows.order_by().values_list("pk", flat=True)[:AT_MOST])
    for chunk in chunks(ids):
        rows.filter(pk__in=chunk).delete()
    return len(ids)
