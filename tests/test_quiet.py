"""When a mailbox may be left alone as long as it stays as it is: every way in which "unchanged" could be untrue."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.policy.known import Doubt, Fate, Known, State
from fetchrules.policy.planning import plan
from fetchrules.policy.quiet import LOOK_AGAIN, quiet_until
from fetchrules.policy.table import Terms
from fetchrules.remote.mailbox import Listing
from tests.test_policy import KEEP, NOW, knowledge, known, listed, listing, listings, terms, views

SEEN = listing(listed(1), listed(2))
VIEW = knowledge(known(1), known(2))


def until(found: Listing = SEEN, view: Any = VIEW, by: Terms = KEEP) -> Any:
    return quiet_until(found, view, plan(found, view, by, NOW), by, NOW)


def test_it_leaves_a_mailbox_alone_for_an_hour_at_most() -> None:
    assert until() == NOW + LOOK_AGAIN
    assert until(listing(), knowledge()) == NOW + LOOK_AGAIN


@pytest.mark.parametrize(
    "columns",
    [
        {"fate": Fate.WANTED},
        {"fate": Fate.SENT},
        {"deleted": True},
        {"gone": True},
        {"tries": 1},
        {"size": 99},
        {"state": State.HELD, "tries": 1},
        {"state": State.READY},
        {"state": State.PASSED, "gone": True, "head": "x"},
        {"state": State.PASSED, "head": ""},
    ],
)
def test_something_is_owed_to_a_letter(columns: dict[str, Any]) -> None:
    assert until(view=knowledge(known(1), known(2, **columns))) is None


@pytest.mark.parametrize(
    "columns", [{"doubt": Doubt.SHORT}, {"state": State.PASSED, "head": "x"}, {"delivered_at": None}, {"lived": 5}]
)
def test_nothing_is_owed_to_a_letter(columns: dict[str, Any]) -> None:
    assert until(view=knowledge(known(1), known(2, **columns))) == NOW + LOOK_AGAIN


def test_a_listing_proves_too_little() -> None:
    assert until(replace(SEEN, complete=False)) is None
    assert until(replace(SEEN, unlisted=1)) is None
    assert until(listing(listed(1, ""), listed(2, ""), has_uids=False)) is None
    assert until(listing(), knowledge(unlisted=frozenset({7}))) is None
    assert until(view=replace(VIEW, renumbered=True, unlisted=frozenset({7}))) is None
    assert until(view=replace(VIEW, outdated=frozenset({7}))) is None


def test_letters_that_others_have_deleted_are_no_work() -> None:
    assert until(replace(SEEN, epoch=7), replace(VIEW, unlisted=frozenset({7}))) == NOW + LOOK_AGAIN


def test_the_rule_has_something_to_do() -> None:
    assert until(listing(listed(1), listed(2), listed(3))) is None
    assert until(by=Terms(fetchall=True, keep=True)) is None
    assert until(by=Terms(flush=True, keep=True)) is None
    assert until(listing(*SEEN.letters, listed(3), listed(4)), by=Terms(keep=True, fetchlimit=1)) is None
    assert until(listing(listed(1), listed(2), listed(3)), by=Terms(keep=True, pass_present=True)) is None


def test_what_is_too_large_stays_too_large() -> None:
    assert until(listing(*SEEN.letters, listed(3, size=999)), by=Terms(keep=True, limit=500)) == NOW + LOOK_AGAIN


def test_it_looks_again_when_the_days_of_a_letter_are_over() -> None:
    def at(age: timedelta) -> Any:
        return until(view=knowledge(known(1, lived=0), known(2, lived=0, delivered_at=NOW - age)), by=Terms(keepdays=3))

    assert at(timedelta(days=1)) == NOW + LOOK_AGAIN
    assert at(timedelta(days=3) - timedelta(minutes=5)) == NOW + timedelta(minutes=5)
    assert at(timedelta(days=4)) is None  # by the clock it is due, though the mailbox has not lived so long


@given(listings, views, terms, st.integers(0, 3600))
def test_a_quiet_mailbox_makes_the_same_idle_plan_until_then(
    found: Listing, view: Any, by: Terms, seconds: int
) -> None:
    made = plan(found, view, by, NOW)
    end = quiet_until(found, view, made, by, NOW)
    later = NOW + timedelta(seconds=seconds)
    if end is not None and later < end:
        assert made.idle
        assert plan(found, view, replace(by, lived=by.lived + seconds), later) == made


def test_a_letter_that_waits_for_a_person_is_told_as_before() -> None:
    row: Known = known(2, doubt=Doubt.PASSED)
    made = plan(SEEN, knowledge(known(1), row), KEEP, NOW)
    assert made.idle
