"""The simulator: what each combination of the words does to a mailbox, poll by poll."""

import pytest

from fetchrules.panel.pages.rule_preview import Event, LetterKind, simulate
from fetchrules.policy.table import Terms

F, A, D, L, T, N = Event.FETCHED, Event.AGAIN, Event.DELETED, Event.LEFT, Event.TOO_LARGE, Event.PUT_OFF

TERMS: list[tuple[Terms, dict[LetterKind, list[list[Event]]]]] = [
    (
        Terms(),
        {
            LetterKind.OLD: [[L], [L], [L], [L]],
            LetterKind.NEW: [[F, D], [], [], []],
            LetterKind.LATER: [[], [F, D], [], []],
        },
    ),
    (
        Terms(keep=True),
        {
            LetterKind.OLD: [[L], [L], [L], [L]],
            LetterKind.NEW: [[F], [L], [L], [L]],
            LetterKind.LATEST: [[], [], [], [F]],
        },
    ),
    (
        Terms(keep=True, flush=True),
        {LetterKind.OLD: [[D], [], [], []], LetterKind.NEW: [[F], [D], [], []], LetterKind.LATER: [[], [F], [D], []]},
    ),
    (Terms(fetchall=True), {LetterKind.OLD: [[A, D], [], [], []], LetterKind.NEW: [[F, D], [], [], []]}),
    (Terms(keep=True, fetchall=True), {LetterKind.OLD: [[A], [A], [A], [A]], LetterKind.NEW: [[F], [A], [A], [A]]}),
    (Terms(flush=True), {LetterKind.OLD: [[D], [], [], []], LetterKind.NEW: [[F, D], [], [], []]}),
    (
        Terms(keepdays=14),
        {
            LetterKind.OLD: [[L], [L], [D], []],
            LetterKind.NEW: [[F], [L], [D], []],
            LetterKind.LATER: [[], [F], [L], [D]],
        },
    ),
    (Terms(limit=1000), {LetterKind.NEW: [[F, D], [], [], []], LetterKind.LARGE: [[T], [T], [T], [T]]}),
    (
        Terms(fetchall=True, fetchlimit=1),
        {LetterKind.NEW: [[F, D], [], [], []], LetterKind.OLD: [[N], [N], [A, D], []]},
    ),
]


@pytest.mark.parametrize(("terms", "expected"), TERMS)
def test_it_tells_what_happens_to_each_letter(terms: Terms, expected: dict[LetterKind, list[list[Event]]]) -> None:
    told = {story.kind: [list(events) for events in story.polls] for story in simulate(terms).stories}
    assert {kind: told[kind] for kind in expected} == expected


def test_it_counts_days_only_where_they_matter() -> None:
    assert simulate(Terms()).days is None
    assert simulate(Terms(keepdays=14)).days == (0, 1, 14, 15)
