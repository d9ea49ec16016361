"""Where rules stand in the text: an order of rules, and the numbers that keep it in the database."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

STEP = 1024
"""Distance of neighbours when they are numbered anew, so that others fit between them."""

Item = TypeVar("Item")


def with_missing(new: Sequence[Item], old: Sequence[Item]) -> list[Item]:
    """`new`, and what only `old` has: each behind the one that it stood behind there."""
    present = set(new)
    behind: dict[Item | None, list[Item]] = {}
    last: Item | None = None
    for item in old:
        if item in present:
            last = item
        else:
            behind.setdefault(last, []).append(item)
    order = list(behind.get(None, []))
    for item in new:
        order += [item, *behind.get(item, [])]
    return order


def numbered(order: Sequence[Item], positions: Mapping[Item, int]) -> dict[Item, int]:
    """A position for each item of `order`, ascending; those in `positions` keep theirs as long as everything fits."""
    known = [positions[item] for item in order if item in positions]
    if any(one >= other for one, other in pairwise(known)):
        return {item: STEP * (index + 1) for index, item in enumerate(order)}
    result: dict[Item, int] = {}
    waiting: list[Item] = []
    floor: int | None = None
    for item in order:
        if item not in positions:
            waiting.append(item)
            continue
        ceiling = positions[item]
        start = ceiling - STEP * (len(waiting) + 1) if floor is None else floor
        if waiting and ceiling - start <= len(waiting):
            return {item: STEP * (index + 1) for index, item in enumerate(order)}
        result |= _spread(waiting, start, ceiling)
        result[item] = floor = ceiling
        waiting = []
    start = floor if floor is not None else 0
    return result | _spread(waiting, start, start + STEP * (len(waiting) + 1))


def _spread(items: Sequence[Item], start: int, end: int) -> dict[Item, int]:
    return {item: start + (end - start) * (index + 1) // (len(items) + 1) for index, item in enumerate(items)}
