"""Four polls of a small made-up mailbox, decided by the same function as the worker's: what a rule does, before it is saved."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from fetchrules.policy import Fate, Knowledge, Known, Plan, State, Terms, Why, plan
from fetchrules.remote.mailbox import Listed, Listing

POLLS = 4
_START = datetime(2026, 1, 12, 9, tzinfo=UTC)
_BEFORE = _START - timedelta(hours=1)
"""When the letter that was collected before was; the mailbox has been polled regularly ever since."""
_SIZE = 20_000


class Event(Enum):
    """What happens to a letter in a poll."""

    FETCHED = "fetched"
    AGAIN = "again"
    DELETED = "deleted"
    LEFT = "left"
    TOO_LARGE = "too_large"
    PUT_OFF = "put_off"


class Kind(Enum):
    """Where a made-up letter comes from."""

    OLD = "old"
    NEW = "new"
    LATER = "later"
    LATEST = "latest"
    LARGE = "large"


@dataclass(slots=True)
class _Letter:
    kind: Kind
    size: int
    arrives: int
    known: Known | None = None
    on_server: bool = True


@dataclass(frozen=True, slots=True)
class Story:
    """One letter's way: the events of each poll."""

    kind: Kind
    polls: tuple[tuple[Event, ...], ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The stories of all letters. `days` is when each poll happens, counted in days from the first; None: one after the other."""

    stories: tuple[Story, ...]
    days: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Mailbox:
    terms: Terms
    letters: list[_Letter]
    log: dict[Kind, list[tuple[Event, ...]]] = field(default_factory=dict)

    def poll(self, number: int, now: datetime) -> None:
        present = [letter for letter in self.letters if letter.on_server and letter.arrives <= number]
        listed = {letter.kind: Listed(place, letter.kind.value, letter.size) for place, letter in enumerate(present, 1)}
        known = Knowledge({letter.kind.value: letter.known for letter in present if letter.known})
        terms = replace(self.terms, lived=_lived(now))
        decided = plan(Listing(tuple(listed.values()), complete=True), known, terms, now)
        for letter in self.letters:
            events = _events(letter, decided, now) if letter in present else ()
            self.log.setdefault(letter.kind, []).append(events)


def simulate(terms: Terms) -> Simulation:
    """What `terms` do in four polls."""
    days = (0, 1, terms.keepdays, terms.keepdays + 1) if terms.keepdays else None
    mailbox = _Mailbox(terms, _letters(terms))
    for number in range(POLLS):
        mailbox.poll(number, _START + (timedelta(days=days[number]) if days else timedelta(minutes=10 * number)))
    return Simulation(tuple(Story(kind, tuple(events)) for kind, events in mailbox.log.items()), days)


def _letters(terms: Terms) -> list[_Letter]:
    old = Known(1, Kind.OLD.value, 0, _SIZE, State.DELIVERED, Fate.KEPT, delivered_at=_BEFORE, lived=_lived(_BEFORE))
    size = min(_SIZE, terms.limit) if terms.limit else _SIZE
    letters = [
        _Letter(Kind.OLD, size, 0, replace(old, size=size)),
        _Letter(Kind.NEW, size, 0),
        _Letter(Kind.LATER, size, 1),
        _Letter(Kind.LATEST, size, 3),
    ]
    if terms.limit:
        letters.append(_Letter(Kind.LARGE, terms.limit + 1, 0))
    return letters


def _lived(now: datetime) -> int:
    """What the mailbox has lived through by `now`, in seconds."""
    return int((now - _BEFORE).total_seconds())


def _events(letter: _Letter, decided: Plan, now: datetime) -> tuple[Event, ...]:
    """What happens to `letter`, which is on the server; it is changed accordingly."""
    name = letter.kind.value
    if any(one.letter.uid == name for one in decided.delete):
        letter.on_server = False
        return (Event.DELETED,)
    wanted = next((wanted for wanted in decided.fetch if wanted.letter.uid == name), None)
    if wanted:
        fetched = Event.AGAIN if letter.known else Event.FETCHED
        delivered = Known(1, name, wanted.ord, letter.size, State.DELIVERED, Fate.KEPT, delivered_at=now)
        letter.known = replace(delivered, lived=_lived(now))
        letter.on_server = not wanted.delete_after
        return (fetched, Event.DELETED) if wanted.delete_after else (fetched,)
    why = next(why for left, why in decided.left if left.uid == name)
    return ({Why.TOO_LARGE: Event.TOO_LARGE, Why.FETCHLIMIT: Event.PUT_OFF}.get(why, Event.LEFT),)
