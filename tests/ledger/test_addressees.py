"""A letter for several addressees: a row for each, and one letter on the server."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from fetchrules.errors import ServerRefused
from fetchrules.ledger import by_hand, departures, knowing, letters, runs
from fetchrules.ledger.letters import Filing
from fetchrules.models import Letter, Run, SourceMailbox
from fetchrules.policy.known import Doubt, Fate, Known, State
from fetchrules.policy.planning import Plan, ToFetch, Why, missing, plan
from fetchrules.policy.table import Terms
from fetchrules.remote.mailbox import Listed, Listing
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db
NOW = timezone.now()
ALICE, BOB = "alice@mydomain.ru", "bob@mydomain.ru"
LISTED = Listed(1, "1", 100)


@pytest.fixture
def run(make_rule: MakeRule) -> Run:
    """A run of a rule that deletes what it has delivered."""
    (run_id,) = runs.claim([make_rule()], NOW, Run.Cause.COMMAND)
    started = runs.start(run_id, NOW)
    assert started is not None
    return started


def row(run: Run, addressee: str, state: State = State.DELIVERED, **columns: Any) -> Letter:
    what: dict[str, Any] = {"source": run.source, "uid": "1", "size": 100, "first_seen_at": NOW, "fingerprint": "f"}
    what |= {"delivered_at": NOW} if state is State.DELIVERED else {}
    return Letter.objects.create(epoch=0, run=run, addressee=addressee, state=state, **what | columns)


def listing(*listed: Listed) -> Listing:
    return Listing(listed or (LISTED,), None, complete=True)


def known(run: Run) -> Known:
    (letter,) = knowing.knowledge(run.source, listing()).rows.values()
    return letter


def planned(run: Run, **words: Any) -> Plan:
    return plan(listing(), knowing.knowledge(run.source, listing()), Terms(**words), NOW)


def columns(name: str) -> list[Any]:
    return list(Letter.objects.order_by("id").values_list(name, flat=True))


def test_it_has_one_row_for_an_addressee(run: Run) -> None:
    row(run, ALICE)
    with pytest.raises(IntegrityError):
        row(run, ALICE)


@pytest.mark.parametrize(
    ("others", "state"),
    [
        ([State.DELIVERED], State.DELIVERED),
        ([State.PASSED], State.PASSED),
        ([State.HELD], State.HELD),
        ([State.PASSED, State.HELD], State.HELD),
        ([State.HELD, State.SENDING], State.SENDING),
        ([State.SENDING, State.READY, State.HELD], State.READY),
    ],
    ids=str,
)
def test_a_letter_is_as_far_as_the_row_that_is_behind(others: Sequence[State], state: State, run: Run) -> None:
    rows = [row(run, ALICE), *(row(run, str(number), other) for number, other in enumerate(others))]
    letter = known(run)
    assert letter.state is state
    assert letter.id == next(one.id for one in rows if one.state is state)


def test_it_was_delivered_when_the_last_of_them_was(run: Run) -> None:
    later = NOW + timedelta(days=1)
    row(run, ALICE, lived=100, delivered_at=later)
    row(run, BOB, lived=50)
    assert (known(run).delivered_at, known(run).lived) == (later, 100)
    Letter.objects.filter(addressee=BOB).update(lived=None)
    assert known(run).uncounted


def test_its_deletion_may_have_happened_if_it_was_asked_for_once(run: Run) -> None:
    row(run, ALICE, fate=Fate.SENT)
    row(run, BOB, fate=Fate.WANTED, doubt=Doubt.SHORT)
    assert (known(run).fate, known(run).doubt) == (Fate.SENT, Doubt.SHORT)


@pytest.mark.parametrize(
    ("state", "reason", "deleted", "fetched"),
    [
        (State.DELIVERED, None, 1, 0),
        (State.READY, Why.IN_HAND, 0, 0),
        (State.SENDING, Why.IN_HAND, 0, 0),
        (State.HELD, None, 0, 1),
        (State.PASSED, Why.PASSED, 0, 0),
    ],
)
def test_it_is_deleted_when_all_are_delivered(
    state: State, reason: Why | None, deleted: int, fetched: int, run: Run
) -> None:
    row(run, ALICE, fate=Fate.WANTED)
    row(run, BOB, state, fate=Fate.WANTED)
    for words in ({}, {"keep": True, "flush": True}):
        made = planned(run, **words)
        assert (len(made.delete), len(made.fetch)) == (deleted, fetched)
        assert [why for _, why in made.left] == ([reason] if reason else [])


def test_its_deletion_is_noted_in_all_rows(run: Run) -> None:
    first, _ = row(run, ALICE, fate=Fate.WANTED), row(run, BOB, fate=Fate.WANTED)
    row(run, ALICE, uid="2")
    departures.record_deleting(run, [first.id], NOW)
    assert (columns("fate"), columns("deletions")) == (["sent", "sent", "kept"], [1, 1, 0])
    departures.record_undeleted(run, [first.id])
    assert columns("fate") == ["wanted", "wanted", "kept"]
    departures.blame_deletion(first.id, ServerRefused("no"), NOW)
    assert columns("tries") == [1, 1, 0]
    departures.record_deleted([first.id], NOW)
    assert columns("fate") == ["deleted", "deleted", "kept"]
    assert columns("forgotten_at") == [NOW, NOW, None]


def test_it_is_missed_and_forgotten_as_a_whole(run: Run) -> None:
    row(run, ALICE, fate=Fate.SENT)
    row(run, BOB, fate=Fate.SENT)
    elsewhere = listing(Listed(1, "2", 50))
    missed = missing(elsewhere, knowing.knowledge(run.source, elsewhere))
    assert len(missed) == 1
    departures.record_missing(missed, NOW)
    assert columns("missing_since") == [NOW, NOW]
    departures.record_back(missed)
    assert columns("missing_since") == [None, None]
    departures.record_missing(missed, NOW)
    departures.record_gone(missed, NOW)
    assert columns("fate") == ["deleted", "deleted"]


def test_a_renamed_letter_is_renamed_for_all(run: Run) -> None:
    row(run, ALICE)
    row(run, BOB)
    (twins,) = knowing.known_twins(run.source, ["f"], ()).values()
    (twin,) = twins
    wanted = ToFetch(Listed(1, "new", 120), delete_after=True, compare=True)
    assert letters.rebind(Filing(run, run.source, 0), wanted, twin, "head", NOW) == twin.id
    assert (columns("uid"), columns("size"), columns("head")) == (["new"] * 2, [120] * 2, ["head"] * 2)


def test_a_letter_that_one_is_owed_is_no_twin(run: Run) -> None:
    row(run, ALICE)
    row(run, BOB, State.HELD)
    assert knowing.known_twins(run.source, ["f"], ()) == {}


def test_a_letter_of_a_former_name_comes_with_all_rows(run: Run) -> None:
    row(run, ALICE)
    row(run, BOB)
    former = run.source
    source = SourceMailbox.objects.create(protocol="pop3", host="new.ru", user="petrov", continues=former)
    ((twin,),) = knowing.known_twins(source, ["f"], ()).values()
    letters.rebind(Filing(run, source, 0), ToFetch(LISTED, delete_after=True, compare=True), twin, "", NOW)
    copies = Letter.objects.filter(source=source)
    assert set(copies.values_list("addressee", "uid")) == {(ALICE, "1"), (BOB, "1")}
    assert set(copies.values_list("continues", flat=True)) == set(former.letters.values_list("id", flat=True))


def test_what_is_held_for_one_is_tried_again_without_the_other(run: Run) -> None:
    row(run, ALICE)
    held = row(run, BOB, State.HELD, reason="mailbox_unwritable", tries=5, tried_at=NOW)
    assert [why for _, why in planned(run).left] == [Why.HELD]
    by_hand.retry_held(Letter.objects.filter(id=held.id))
    (wanted,) = planned(run).fetch
    assert wanted.row is not None
    assert wanted.row.id == held.id


def test_a_doubt_is_settled_for_all(run: Run) -> None:
    first, _ = row(run, ALICE, doubt=Doubt.SHORT), row(run, BOB, doubt=Doubt.SHORT)
    by_hand.settle(Letter.objects.filter(id=first.id))
    assert (columns("doubt"), columns("fate")) == (["", ""], ["wanted", "wanted"])
