"""What stands beside the form: the rule as a line, what it does in sentences, and the simulator."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.errors import harmless
from fetchrules.policy.known import Fate, Knowledge, Known, State
from fetchrules.policy.planning import Plan, Why, plan
from fetchrules.policy.table import Terms
from fetchrules.poll.destinations import delivers_into_maildirs
from fetchrules.remote.mailbox import Listed, Listing
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.validate import passing_fault, problems_of
from fetchrules.words import behaviour
from fetchrules.words.ruletext import explain

POLLS = 4
_START = datetime(2026, 1, 12, 9, tzinfo=UTC)
_BEFORE = _START - timedelta(hours=1)
"""When the letter that was collected before was; the mailbox has been polled regularly ever since."""
_SIZE = 20_000


class Event(Enum):
    FETCHED = "fetched"
    AGAIN = "again"
    DELETED = "deleted"
    LEFT = "left"
    TOO_LARGE = "too_large"
    PUT_OFF = "put_off"


class LetterKind(Enum):
    """Where a made-up letter comes from."""

    OLD = "old"
    NEW = "new"
    LATER = "later"
    LATEST = "latest"
    LARGE = "large"


@dataclass(slots=True)
class _Letter:
    kind: LetterKind
    size: int
    arrives: int
    known: Known | None = None
    on_server: bool = True


@dataclass(frozen=True, slots=True)
class Story:
    """One letter's way: the events of each poll."""

    kind: LetterKind
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
    log: dict[LetterKind, list[tuple[Event, ...]]] = field(default_factory=dict)

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
    old = Known(
        1, LetterKind.OLD.value, 0, _SIZE, State.DELIVERED, Fate.KEPT, delivered_at=_BEFORE, lived=_lived(_BEFORE)
    )
    size = min(_SIZE, terms.limit) if terms.limit else _SIZE
    letters = [
        _Letter(LetterKind.OLD, size, 0, replace(old, size=size)),
        _Letter(LetterKind.NEW, size, 0),
        _Letter(LetterKind.LATER, size, 1),
        _Letter(LetterKind.LATEST, size, 3),
    ]
    if terms.limit:
        letters.append(_Letter(LetterKind.LARGE, terms.limit + 1, 0))
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


_KINDS = {
    LetterKind.OLD: gettext_lazy("collected before"),
    LetterKind.NEW: gettext_lazy("new letter A"),
    LetterKind.LATER: gettext_lazy("new letter B, arrives later"),
    LetterKind.LATEST: gettext_lazy("new letter C, arrives last"),
    LetterKind.LARGE: gettext_lazy("a letter that is too large"),
}
_EVENTS = {
    Event.FETCHED: (gettext_lazy("fetched"), "good"),
    Event.AGAIN: (gettext_lazy("fetched again"), "warn"),
    Event.DELETED: (gettext_lazy("deleted"), "bad"),
    Event.LEFT: (gettext_lazy("left"), "idle"),
    Event.TOO_LARGE: (gettext_lazy("too large"), "idle"),
    Event.PUT_OFF: (gettext_lazy("next time"), "idle"),
}


@dataclass(frozen=True, slots=True)
class RulePreview:
    """All of it in words. `stories`: each letter of the simulator, with what happens to it (word and tone) in each poll."""

    line: str
    sentences: list[str]
    new: str
    warnings: list[str]
    polls: list[str]
    stories: list[tuple[str, list[list[tuple[str, str]]]]]


def preview_of(rule: Rule, usual_interval: int, *, pass_present: bool = False) -> RulePreview:
    """Of a rule that may not be finished; its password is not looked at.

    `pass_present`: what lies on the server is to count as collected.
    """
    masked = replace(rule, password=MASK)
    fault = passing_fault(rule) if pass_present else None
    problems = [*([Problem(fault)] if fault else []), *problems_of(masked)]
    if rule.flags and not delivers_into_maildirs():
        problems.append(Problem(Code.FLAGS_LOST, field="flags"))
    simulated = simulate(Terms.of(rule))
    days = simulated.days or (None,) * POLLS
    return RulePreview(
        line=_line(masked),
        sentences=behaviour.sentences(rule, usual_interval),
        new=behaviour.what_is_new(rule),
        warnings=[explain(problem) for problem in problems if problem.code is fault or not problem.is_error],
        polls=[_poll(number, day) for number, day in enumerate(days, 1)],
        stories=[
            (str(_KINDS[story.kind]), [[_word(event) for event in events] for events in story.polls])
            for story in simulated.stories
        ],
    )


def _line(rule: Rule) -> str:
    try:
        return harmless(render_rule(rule, Spelling.BLANKS))
    except ValueError:
        return _("A field holds a character that no rule can hold.")


def _poll(number: int, day: int | None) -> str:
    if day is None:
        return _("Poll %(number)s") % {"number": number}
    return _("Day %(number)s") % {"number": day}


def _word(event: Event) -> tuple[str, str]:
    word, tone = _EVENTS[event]
    return str(word), tone
