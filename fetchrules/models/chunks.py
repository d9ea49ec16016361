"""Rows by the handful: what one statement may name is limited."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

_CHUNK = 500
_T = TypeVar("_T")


def chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """`items` in their order, a few hundred at a time."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
