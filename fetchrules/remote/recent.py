"""A table that drops what was used longest ago."""

from collections import OrderedDict
from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


def keep(table: OrderedDict[_K, _V], key: _K, value: _V, limit: int) -> None:
    """Put it at the end of `table`, and drop the entries used longest ago beyond `limit`."""
    table[key] = value
    table.move_to_end(key)
    while len(table) > limit:
        table.popitem(last=False)
