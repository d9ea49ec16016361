"""The places of rules in a new text: their order, their positions in the database, their lines, and the comments around them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from fetchrules.rulebook.preview import Entry, Preview
from fetchrules.rulebook.text import Place
from fetchrules.ruletext.line import Line

STEP = 1024
"""Distance of neighbours when they are numbered anew, so that others fit between them."""

Item = TypeVar("Item")

Key = int
"""A rule: the id of its row, or for a new one a negative number (its place among the entries, from -1 down)."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """All rules as they are once a text is applied. `places` has the rules of the text; the others keep their places.

    `positions` has every rule; `entries` has those of the text; `removed`: rules that are deleted.
    """

    order: tuple[Key, ...]
    entries: Mapping[Key, Entry]
    places: Mapping[Key, Place]
    positions: Mapping[Key, int]
    removed: frozenset[Key]
    start: str
    tail: str


def arrange(seen: Preview, *, delete_missing: bool) -> Arrangement:
    """Arrange the rules of a preview. A rule that the text lacks and that stays remains below its former upper neighbour."""
    removed = frozenset(stored.row.id for stored in seen.missing) if delete_missing else frozenset()
    keys = [entry.stored.row.id if entry.stored else -1 - number for number, entry in enumerate(seen.entries)]
    old = [stored.row.id for stored in seen.stored]
    wanted = with_missing(keys, [key for key in old if key not in removed])
    places, tail = _places(keys, seen.document.lines)
    start = seen.document.start
    if seen.missing and not delete_missing:
        start = start or seen.start
        tail = _with_old_tail(places, wanted, seen, tail)
    _end_lines(places, wanted, tail, seen.document.lines)
    kept = {stored.row.id: stored.row.position for stored in seen.stored if stored.row.id not in removed}
    positions = kept if wanted == [key for key in old if key in kept] else numbered(wanted, kept)
    entries = dict(zip(keys, seen.entries, strict=True))
    return Arrangement(tuple(wanted), entries, places, positions, removed, start, tail)


def _places(keys: Iterable[Key], lines: Iterable[Line]) -> tuple[dict[Key, Place], str]:
    """The places of the text's rules, and what is below the last one."""
    places: dict[Key, Place] = {}
    names = iter(keys)
    above = ""
    for line in lines:
        if line.rule is None:
            above += line.text + line.ending
        else:
            places[next(names)] = Place(above, line.masked_text, line.ending)
            above = ""
    return places, above


def _with_old_tail(places: dict[Key, Place], wanted: list[Key], seen: Preview, tail: str) -> str:
    """The new tail. The old one stays below its rule, the last of the old text, if the new text lacks that rule and it stays."""
    last = seen.stored[-1]
    if not seen.tail or last not in seen.missing:
        return tail
    following = wanted[wanted.index(last.row.id) + 1 :]
    if not following:
        return _ended(seen.tail, tail) + tail
    place = places[following[0]]
    places[following[0]] = replace(place, before=_ended(seen.tail, place.before + place.line) + place.before)
    return tail


def _ended(text: str, below: str) -> str:
    """`text`, with a line ending if there is something below it."""
    return text if not below or text.endswith(("\n", "\r")) else text + "\n"


def _end_lines(places: dict[Key, Place], wanted: list[Key], tail: str, lines: tuple[Line, ...]) -> None:
    """Give every line an ending but the last line of the text."""
    usual = next((line.ending for line in lines if line.ending), "\n")
    for key in wanted if tail else wanted[:-1]:
        place = places.get(key)
        if place is not None and not place.ending:
            places[key] = replace(place, ending=usual)


def with_missing(new: Sequence[Item], old: Sequence[Item]) -> list[Item]:
    """`new`, and the items that only `old` has, each behind the same item as there."""
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
