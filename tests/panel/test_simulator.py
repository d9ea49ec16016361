"""The simulator: what each combination of the words does to a mailbox, poll by poll."""

import pytest

from fetchrules.panel.pages.simulator import Event, Kind, simulate
from fetchrules.policy import Terms

F, A, D, L, T, N = Event.FETCHED, Event.AGAIN, Event.DELETED, Event.LEFT, Event.TOO_LARGE, Event.PUT_OFF

TERMS: list[tuple[Terms, dict[Kind, list[list[Event]]]]] = [
    (Terms(), {Kind.OLD: [[L], [L], [L], [L]], Kind.NEW: [[F, D], [], [], []], Kind.LATER: [[], [F, D], [], []]}),
    (
        Terms(keep=True),
        {Kind.OLD: [[L], [L], [L], [L]], Kind.NEW: [[F], [L], [L], [L]], Kind.LATEST: [[], [], [], [F]]},
    ),
    (
        Terms(keep=True, flush=True),
        {Kind.OLD: [[D], [], [], []], Kind.NEW: [[F], [D], [], []], Kind.LATER: [[], [F], [D], []]},
    ),
    (Terms(fetchall=True), {Kind.OLD: [[A, D], [], [], []], Kind.NEW: [[F, D], [], [], []]}),
    (Terms(keep=True, fetchall=True), {Kind.OLD: [[A], [A], [A], [A]], Kind.NEW: [[F], [A], [A], [A]]}),
    (Terms(flush=True), {Kind.OLD: [[D], [], [], []], Kind.NEW: [[F, D], [], [], []]}),
    (
        Terms(keepdays=14),
        {Kind.OLD: [[L], [L], [D], []], Kind.NEW: [[F], [L], [D], []], Kind.LATER: [[], [F], [L], [D]]},
    ),
    (Terms(limit=1000), {Kind.NEW: [[F, D], [], [], []], Kind.LARGE: [[T], [T], [T], [T]]}),
    (Terms(fetchall=True, fetchlimit=1), {Kind.NEW: [[F, D], [], [], []], Kind.OLD: [[N], [N], [A, D], []]}),
]


@pytest.mark.parametrize(("terms", "expected"), TERMS)
def test_it_tells_what_happens_to_each_letter(terms: Terms, expected: dict[Kind, list[list[Event]]]) -> None:
    told = {story.kind: [list(events) for events in story.polls] for story in simulate(terms).stories}
    assert {kind: told[kind] for kind in expected} == expected


def test_it_counts_days_only_where_they_matter() -> None:
    assert simulate(Terms()).days is None
    assert simulate(Terms(keepdays=14)).days == (0, 1, 14, 15)
