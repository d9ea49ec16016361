"""Where the rules of a new text will stand: their order, their lines, and what is above, between and below them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from fetchrules.rulebook import order
from fetchrules.rulebook.preview import Entry, Preview
from fetchrules.rulebook.text import Place, joined
from fetchrules.ruletext.line import Line

Key = int
"""A rule: the id of its row, or for a new one a negative number (its place among the entries, from -1 down)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The text to be. `places` has the rules of the text; one that stays without being in it keeps the place it has.

    `positions` has every rule of the table; `entries` those of the text; `removed` are the rules that go.
    """

    order: tuple[Key, ...]
    entries: Mapping[Key, Entry]
    places: Mapping[Key, Place]
    positions: Mapping[Key, int]
    removed: frozenset[Key]
    start: str
    tail: str


def lay_out(seen: Preview, *, delete_missing: bool) -> Layout:
    """Lay the rules of a preview out. What is missing from the text and stays, stays behind the rule that it stood behind."""
    removed = frozenset(stored.row.id for stored in seen.missing) if delete_missing else frozenset()
    keys = [entry.stored.row.id if entry.stored else -1 - number for number, entry in enumerate(seen.entries)]
    old = [stored.row.id for stored in seen.stored]
    wanted = order.with_missing(keys, [key for key in old if key not in removed])
    places = _places(keys, seen.document.lines)
    start = seen.document.start
    tail = "".join(f"{line.text}{line.ending}" for line in _below_last_rule(seen.document.lines))
    if seen.missing and not delete_missing:
        start = start or seen.start
        tail = _with_old_tail(places, wanted, seen, tail)
    _end_lines(places, wanted, tail, seen.document.lines)
    kept = {stored.row.id: stored.row.position for stored in seen.stored if stored.row.id not in removed}
    positions = kept if wanted == [key for key in old if key in kept] else order.numbered(wanted, kept)
    entries = dict(zip(keys, seen.entries, strict=True))
    return Layout(tuple(wanted), entries, places, positions, removed, start, tail)


def text_of_layout(layout: Layout, old: Mapping[Key, Place]) -> str:
    """The whole text, masked; `old` has the places of the rules that were there."""
    return "".join(joined(layout.start, (layout.places.get(key) or old[key] for key in layout.order), layout.tail))


def _places(keys: Iterable[Key], lines: Iterable[Line]) -> dict[Key, Place]:
    """How the rules of the text stand in it."""
    places: dict[Key, Place] = {}
    names = iter(keys)
    above = ""
    for line in lines:
        if line.rule is None:
            above += line.text + line.ending
        else:
            places[next(names)] = Place(above, line.masked_text, line.ending)
            above = ""
    return places


def _below_last_rule(lines: tuple[Line, ...]) -> Iterator[Line]:
    last = max((number for number, line in enumerate(lines) if line.rule is not None), default=-1)
    yield from lines[last + 1 :]


def _with_old_tail(places: dict[Key, Place], wanted: list[Key], seen: Preview, tail: str) -> str:
    """The tail to be. The old one stood below the last rule; if that one stays without being in the text, so does the tail."""
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
    """Only the last line of the file may go without an ending."""
    usual = next((line.ending for line in lines if line.ending), "\n")
    for key in wanted if tail else wanted[:-1]:
        place = places.get(key)
        if place is not None and not place.ending:
            places[key] = replace(place, ending=usual)
