"""What stands beside the form: the rule as a line, what it does in sentences, and the simulator."""

from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.errors import harmless
from fetchrules.panel.pages.simulator import POLLS, Event, Kind, simulate
from fetchrules.policy import Terms
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.ruletext.problem import Problem
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.validate import passing_fault, problems_of
from fetchrules.words import behaviour
from fetchrules.words.ruletext import explain

_KINDS = {
    Kind.OLD: gettext_lazy("collected before"),
    Kind.NEW: gettext_lazy("new letter A"),
    Kind.LATER: gettext_lazy("new letter B, arrives later"),
    Kind.LATEST: gettext_lazy("new letter C, arrives last"),
    Kind.LARGE: gettext_lazy("a letter that is too large"),
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
class Preview:
    """All of it in words. `stories`: each letter of the simulator, with what happens to it (word and tone) in each poll."""

    line: str
    sentences: list[str]
    new: str
    warnings: list[str]
    polls: list[str]
    stories: list[tuple[str, list[list[tuple[str, str]]]]]


def preview_of(rule: Rule, usual_interval: int, *, pass_present: bool = False) -> Preview:
    """Of a rule that may not be finished; its password is not looked at.

    `pass_present`: what lies on the server is to count as collected.
    """
    masked = replace(rule, password=MASK)
    fault = passing_fault(rule) if pass_present else None
    problems = [*([Problem(fault)] if fault else []), *problems_of(masked)]
    simulated = simulate(Terms.of(rule))
    days = simulated.days or (None,) * POLLS
    return Preview(
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
