"""The ledger of letters: by these transactions none is lost and none comes twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from fetchrules.errors import DeliveryFailed, DeliveryRefused, RunOvertaken, ServerRefused
from fetchrules.ledger import by_hand, departures, knowing, leases, letters, runs
from fetchrules.ledger.letters import Arrival, Filing
from fetchrules.models import FetchRule, Letter, Run, SourceMailbox
from fetchrules.policy.known import MAX_TRIES, Fate, Known, State
from fetchrules.policy.planning import ToFetch, missing, plan
from fetchrules.policy.table import Terms
from fetchrules.remote.mailbox import Listed, Listing

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = timedelta(days=1)


@pytest.fixture
def run(make_rule: Callable[..., FetchRule]) -> Run:
    (run_id,) = runs.claim([make_rule()], NOW, Run.Cause.SCHEDULE)
    run = runs.start(run_id, NOW)
    assert run is not None
    return run


def listed(uid: str, size: int = 100) -> Listed:
    return Listed(1, uid, size)


def listing(*uids: str, epoch: int | None = None) -> Listing:
    return Listing(tuple(Listed(number, uid, 100) for number, uid in enumerate(uids, 1)), epoch, complete=True)


def arrival(uid: str, *, fingerprint: str = "", **wanted: object) -> Arrival:
    asked = ToFetch(listed(uid), delete_after=True, **wanted)  # type: ignore[arg-type]
    return Arrival(asked, f"file-{uid}-{asked.ord}", 100, fingerprint or f"print-{uid}")


def ready(run: Run, *arrivals: Arrival, epoch: int = 0) -> dict[str, int]:
    return letters.record_ready(Filing(run, run.source, epoch), arrivals, State.READY, (), NOW)


def delivered(run: Run, *arrivals: Arrival, epoch: int = 0) -> list[int]:
    ids = list(ready(run, *arrivals, epoch=epoch).values())
    letters.record_delivered(ids, NOW)
    return ids


def known(source: SourceMailbox, *uids: str, epoch: int | None = None) -> dict[str, Known]:
    return dict(knowing.knowledge(source, listing(*uids, epoch=epoch)).rows)


def test_it_gives_a_letter_to_the_first_who_records_it(run: Run) -> None:
    assert list(ready(run, arrival("a"), arrival("b"))) == ["file-a-0", "file-b-0"]
    second = Arrival(arrival("a").wanted, "another-file", 100, "print-a")
    assert ready(run, second, arrival("c")) == {"file-c-0": Letter.objects.get(uid="c").id}


def test_it_records_nothing_for_a_run_that_lost_its_claim(run: Run) -> None:
    leases.abandon_all(NOW)
    with pytest.raises(RunOvertaken):
        ready(run, arrival("a"))
    assert not Letter.objects.exists()


def test_it_records_nothing_for_a_rule_that_was_changed_meanwhile(run: Run) -> None:
    FetchRule.objects.update(revision=9)
    with pytest.raises(RunOvertaken):
        ready(run, arrival("a"))
    with pytest.raises(RunOvertaken):
        departures.record_deleting(run, [], NOW)


def test_it_finds_what_a_crash_left_unfinished(run: Run) -> None:
    ready(run, arrival("a"))
    assert [letter.uid for letter in letters.unfinished(run.source)] == ["a"]
    letters.record_delivered([Letter.objects.get().id], NOW)
    assert letters.unfinished(run.source) == []


def test_it_marks_the_batch_before_in_the_same_transaction(run: Run) -> None:
    before = ready(run, arrival("a"))
    letters.record_ready(Filing(run, run.source, 0), [arrival("b")], State.READY, before.values(), NOW)
    assert dict(Letter.objects.values_list("uid", "state")) == {"a": "delivered", "b": "ready"}


def test_it_drops_no_row_of_a_letter_that_was_collected(run: Run) -> None:
    ids = [*ready(run, arrival("a")).values(), *delivered(run, arrival("b"))]
    departures.drop_outdated(ids)
    assert Letter.objects.filter(id__in=ids).count() == 2


def test_it_knows_a_delivered_letter_by_its_name(run: Run) -> None:
    delivered(run, arrival("a"))
    (row,) = known(run.source, "a", "b").values()
    assert (row.uid, row.state, row.fate, row.gone) == ("a", State.DELIVERED, Fate.WANTED, False)


def test_it_misses_what_the_listing_lacks_and_not_what_is_in_hand(run: Run) -> None:
    (gone,) = delivered(run, arrival("gone"))
    ready(run, arrival("in-hand"))
    assert knowing.knowledge(run.source, listing("x")).unlisted == {gone}


def test_it_calls_the_mailbox_renumbered_while_letters_of_another_epoch_are_missing(run: Run) -> None:
    delivered(run, arrival("1"), epoch=7)
    assert not knowing.knowledge(run.source, listing("1", epoch=7)).renumbered
    assert knowing.knowledge(run.source, listing("1", epoch=8)).renumbered


def test_it_knows_that_names_were_others_while_one_of_them_is_remembered(
    run: Run, django_assert_max_num_queries: Callable[..., object]
) -> None:
    read = Listing((Listed(1, "1", 100, seen=True),), 8, complete=True)
    departures.record_deleted(delivered(run, arrival("1"), epoch=7), NOW)
    with django_assert_max_num_queries(7):  # type: ignore[attr-defined]
        assert knowing.knowledge(run.source, read).moved
    assert not knowing.knowledge(run.source, replace(read, epoch=7)).moved
    assert knowing.knowledge(run.source, replace(read, epoch=6)).moved
    departures.purge(NOW + departures.REMEMBER + DAY)
    assert not knowing.knowledge(run.source, read).moved


def test_it_recognises_a_deleted_letter_that_comes_back(run: Run) -> None:
    departures.record_deleted(delivered(run, arrival("a")), NOW)
    assert knowing.knowledge(run.source, listing("b")).unlisted == frozenset()
    assert known(run.source, "a")["a"].gone


def test_it_forgets_a_letter_only_after_two_lists_a_day_apart(run: Run) -> None:
    ids = delivered(run, arrival("a", compare=True))
    Letter.objects.update(fate=Fate.KEPT)
    moments: list[tuple[datetime, bool]] = [(NOW, False), (NOW + DAY / 2, False), (NOW + DAY, True)]
    for moment, forgotten in moments:
        departures.record_missing(ids, moment)
        assert (Letter.objects.get().forgotten_at is not None) is forgotten


def test_it_forgets_a_letter_although_the_clock_was_wrong_when_it_was_missed(run: Run) -> None:
    ids = delivered(run, arrival("a"))
    for moment in (NOW + 3000 * DAY, NOW, NOW + DAY):
        departures.record_missing(ids, moment)
    assert Letter.objects.get().forgotten_at == NOW + DAY


def test_it_forgets_no_letter_by_a_list_without_any(run: Run) -> None:
    ids = delivered(run, arrival("a"))
    for moment in (NOW, NOW + 2 * DAY):
        departures.record_missing(ids, moment, forget=False)
    row = Letter.objects.get()
    assert (row.missing_since, row.forgotten_at) == (NOW, None)


def test_it_remembers_a_forgotten_letter_for_half_a_year(run: Run) -> None:
    departures.record_deleted(delivered(run, arrival("a")), NOW)
    assert departures.purge(NOW + departures.REMEMBER) == 0
    assert departures.purge(NOW + departures.REMEMBER + DAY) == 1


def test_it_takes_the_absence_of_a_letter_for_the_missing_confirmation(run: Run) -> None:
    ids = delivered(run, arrival("a"))
    departures.record_deleting(run, ids, NOW)
    departures.record_missing(ids, NOW)
    assert Letter.objects.get().fate == Fate.SENT, "it may be there by another name"
    departures.record_gone(ids, NOW)
    assert Letter.objects.get().fate == Fate.DELETED


def test_it_knows_a_letter_that_was_met_by_another_name_not_to_be_gone(run: Run) -> None:
    (row_id,) = delivered(run, arrival("a"))
    departures.record_deleting(run, [row_id], NOW)
    departures.record_missing([row_id], NOW)
    (row,) = knowing.known_twins(run.source, ["print-a"], ())["print-a"]
    letters.rebind(Filing(run, run.source, 0), ToFetch(listed("b"), delete_after=True, compare=True), row, "", NOW)
    departures.record_deleting(run, [row_id], NOW)
    departures.record_gone([row_id], NOW)
    assert Letter.objects.get().fate == Fate.SENT


def test_it_takes_back_only_deletions_that_were_not_confirmed(run: Run) -> None:
    first, second = delivered(run, arrival("a"), arrival("b"))
    departures.record_deleting(run, [first, second], NOW)
    departures.record_deleted([first], NOW)
    departures.record_undeleted(run, [first, second])
    assert dict(Letter.objects.values_list("uid", "fate")) == {"a": Fate.DELETED, "b": Fate.WANTED}


def test_it_leaves_to_the_next_poll_what_a_lost_claim_does_not_cover(run: Run) -> None:
    ids = delivered(run, arrival("a"))
    departures.record_deleting(run, ids, NOW)
    leases.abandon_all(NOW)
    with pytest.raises(RunOvertaken):
        departures.record_undeleted(run, ids)
    assert Letter.objects.get().fate == Fate.SENT


def test_it_finds_twins_that_belong_to_no_other_letter(run: Run) -> None:
    first, second = delivered(run, arrival("a", fingerprint="same"), arrival("b", fingerprint="same"))
    twins = knowing.known_twins(run.source, ["same", "other"], {first})
    assert {name: [row.id for row in rows] for name, rows in twins.items()} == {"same": [second]}


def test_it_calls_a_letter_by_its_new_name(run: Run) -> None:
    delivered(run, arrival("old"))
    row = known(run.source, "old")["old"]
    letters.rebind(
        Filing(run, run.source, 0), ToFetch(listed("new", 101), delete_after=False, compare=True), row, "", NOW
    )
    row = known(run.source, "new")["new"]
    assert (row.size, row.fate) == (101, Fate.KEPT)


def test_it_lets_a_name_pass_from_one_letter_to_another(run: Run) -> None:
    delivered(run, arrival("a"), arrival("b"))
    rows = known(run.source, "a", "b")
    wanted = ToFetch(listed("a"), delete_after=True, compare=True, ord=1, row=rows["a"])
    letters.rebind(Filing(run, run.source, 0), wanted, rows["b"], "", NOW)
    assert known(run.source, "a", "b")["a"].id == rows["b"].id
    assert Letter.objects.get(id=rows["a"].id).forgotten_at == NOW


def test_it_counts_letters_without_names_by_their_fingerprints(run: Run) -> None:
    nameless = [
        Arrival(ToFetch(listed(""), delete_after=True, compare=True, named=False), f"file{number}", 100, "same")
        for number in range(2)
    ]
    assert len(ready(run, *nameless)) == 2
    third = Arrival(nameless[0].wanted, "file2", 100, "same")
    assert len(ready(run, third)) == 1
    assert sorted(Letter.objects.values_list("uid", "ord")) == [("fp:same", 0), ("fp:same", 1), ("fp:same", 2)]


def test_it_holds_a_letter_and_counts_its_tries(run: Run) -> None:
    wanted = ToFetch(listed("a"), delete_after=True)
    letters.hold(Filing(run, run.source, 0), wanted, ServerRefused("no such letter"), NOW)
    held = known(run.source, "a")["a"]
    letters.hold(
        Filing(run, run.source, 0), ToFetch(listed("a"), delete_after=True, row=held), ServerRefused("still not"), NOW
    )
    letter = Letter.objects.get()
    assert (letter.state, letter.tries, letter.reason, letter.detail) == ("held", 2, "server_refused", "still not")


def test_it_does_not_doubt_a_delivery_because_the_letter_could_not_be_fetched_again(run: Run) -> None:
    delivered(run, arrival("a"))
    row = known(run.source, "a")["a"]
    wanted = ToFetch(listed("a"), delete_after=True, row=row)
    letters.hold(Filing(run, run.source, 0), wanted, ServerRefused("not now"), NOW)
    letter = Letter.objects.get()
    assert (letter.state, letter.tries, letter.reason) == ("delivered", 1, "server_refused")


def test_it_holds_a_letter_in_its_own_right_that_may_only_have_the_name_of_a_delivered_one(run: Run) -> None:
    delivered(run, arrival("a"))
    row = known(run.source, "a")["a"]
    doubtful = ToFetch(listed("a"), delete_after=True, compare=True, ord=1, row=row)
    letters.hold(Filing(run, run.source, 0), doubtful, ServerRefused("not now"), NOW)
    held = known(run.source, "a")["a"]
    assert (held.state, held.ord, held.tries) == (State.HELD, 1, 1)
    again = replace(doubtful, row=held)
    ready(run, Arrival(again, "file", 100, "print-b"))
    rows = Letter.objects.order_by("ord").values_list("ord", "state", "forgotten_at")
    assert list(rows) == [(0, "delivered", NOW), (1, "ready", None)], "the name is the new letter's alone"


def test_it_calls_a_held_letter_by_its_name_again_when_it_is_the_one_of_before(run: Run) -> None:
    (row_id,) = delivered(run, arrival("a"))
    row = known(run.source, "a")["a"]
    doubtful = ToFetch(listed("a"), delete_after=True, compare=True, ord=1, row=row)
    letters.hold(Filing(run, run.source, 0), doubtful, ServerRefused("not now"), NOW)
    letters.rebind(Filing(run, run.source, 0), replace(doubtful, row=known(run.source, "a")["a"]), row, "", NOW)
    assert list(Letter.objects.values_list("id", "ord", "forgotten_at")) == [(row_id, 1, None)]


def test_it_holds_back_what_the_mail_server_refused_but_not_what_it_took(run: Run) -> None:
    (taken,) = delivered(run, arrival("a"))
    refused = ready(run, arrival("b"))["file-b-0"]
    for row_id in (taken, refused):
        letters.hold_back(row_id, DeliveryRefused("spam"), NOW)
        letters.take_back(row_id)
        assert not letters.record_unanswered(row_id, DeliveryFailed(), NOW)
    assert list(Letter.objects.order_by("uid").values_list("uid", "state", "tries")) == [
        ("a", "delivered", 0),
        ("b", "held", 1),
    ]


def test_it_takes_back_a_new_letter_and_holds_one_again_that_was_held(run: Run) -> None:
    letters.hold(Filing(run, run.source, 0), ToFetch(listed("a"), delete_after=True), ServerRefused("no"), NOW)
    held = known(run.source, "a")["a"]
    for row_id in ready(run, arrival("a", row=held), arrival("b")).values():
        letters.take_back(row_id)
    letter = Letter.objects.get()
    assert (letter.uid, letter.state, letter.tries, letter.detail) == ("a", "held", 1, "no")


def test_it_holds_a_letter_after_the_last_try_without_an_answer(run: Run) -> None:
    (row_id,) = ready(run, arrival("a")).values()
    said = [letters.record_unanswered(row_id, DeliveryFailed("silence"), NOW) for _ in range(MAX_TRIES)]
    assert said == [False] * (MAX_TRIES - 1) + [True]
    letter = Letter.objects.get()
    assert (letter.state, letter.fate, letter.tries, letter.maybe_twice) == ("held", "kept", MAX_TRIES, True)


def test_it_marks_a_letter_that_was_perhaps_taken_under_another_name(run: Run) -> None:
    for row_id in ready(run, arrival("a"), arrival("b"), arrival("c")).values():
        letters.hold_back(row_id, DeliveryRefused(), NOW)
    Letter.objects.filter(uid="a").update(maybe_twice=True)
    again = [arrival("d", fingerprint="print-a"), arrival("e", fingerprint="print-b")]
    letters.record_ready(Filing(run, run.source, 0), again, State.SENDING, (), NOW)
    assert dict(Letter.objects.filter(state="sending").values_list("uid", "maybe_twice")) == {"d": True, "e": False}


def test_it_delivers_a_held_letter_in_the_end(run: Run) -> None:
    letters.hold(Filing(run, run.source, 0), ToFetch(listed("a"), delete_after=True), ServerRefused(), NOW)
    held = known(run.source, "a")["a"]
    assert len(ready(run, arrival("a", row=held))) == 1
    assert Letter.objects.get().state == "ready"


def test_it_retries_and_passes_over_held_letters_by_hand(run: Run) -> None:
    letters.hold(Filing(run, run.source, 0), ToFetch(listed("a"), delete_after=True), ServerRefused(), NOW)
    assert by_hand.retry_held(Letter.objects.all()) == 1
    assert Letter.objects.get().tries == 0
    assert by_hand.pass_over(Letter.objects.all()) == 1
    assert by_hand.pass_over(Letter.objects.all()) == 0


def test_it_minds_that_a_letter_was_passed_over_while_it_was_fetched(run: Run) -> None:
    letters.hold(Filing(run, run.source, 0), ToFetch(listed("a"), delete_after=True), ServerRefused(), NOW)
    held = known(run.source, "a")["a"]
    by_hand.pass_over(Letter.objects.all())
    assert ready(run, arrival("a", row=held)) == {}
    row = known(run.source, "a")["a"]
    assert (row.state, row.gone) == (State.PASSED, False)


def test_it_puts_an_older_copy_aside_when_everything_is_fetched_again(run: Run) -> None:
    (first,) = delivered(run, arrival("a"))
    row = known(run.source, "a")["a"]
    ready(run, arrival("a", row=row, ord=1))
    assert Letter.objects.get(id=first).forgotten_at == NOW
    assert known(run.source, "a")["a"].ord == 1


def test_it_takes_no_letter_of_another_epoch_for_one_that_came_back(run: Run) -> None:
    departures.record_deleted(delivered(run, arrival("1"), epoch=7), NOW)
    assert known(run.source, "1", epoch=7)["1"].gone
    assert known(run.source, "1", epoch=8) == {}


def test_it_takes_no_refused_letter_for_a_delivered_one(run: Run) -> None:
    refused = ready(run, arrival("a"))["file-a-0"]
    letters.hold_back(refused, DeliveryRefused("spam"), NOW)
    assert knowing.known_twins(run.source, ["print-a"], ()) == {}


def test_it_remembers_a_letter_that_came_back_and_not_its_trouble(run: Run) -> None:
    departures.record_deleted(delivered(run, arrival("a")), NOW)
    Letter.objects.update(tries=1)
    row = known(run.source, "a")["a"]
    letters.rebind(
        Filing(run, run.source, 0), ToFetch(listed("a"), delete_after=True, compare=True, ord=1, row=row), row, "", NOW
    )
    row = known(run.source, "a")["a"]
    assert (row.gone, row.tries, row.fate, row.ord) == (False, 0, Fate.WANTED, 0)
    assert row.deleted, "the server has confirmed it once"
    keeping = ToFetch(listed("a"), delete_after=False, compare=True, ord=1, row=row)
    letters.rebind(Filing(run, run.source, 0), keeping, row, "", NOW)
    assert not known(run.source, "a")["a"].deleted
    assert departures.purge(NOW + 2 * departures.REMEMBER) == 0


def test_it_rebinds_nothing_for_a_run_that_lost_its_claim(run: Run) -> None:
    delivered(run, arrival("old"))
    row = known(run.source, "old")["old"]
    leases.abandon_all(NOW)
    with pytest.raises(RunOvertaken):
        letters.rebind(
            Filing(run, run.source, 0), ToFetch(listed("new"), delete_after=True, compare=True), row, "", NOW
        )
    assert Letter.objects.get().uid == "old"


def test_it_holds_a_letter_that_came_back_as_it_is_now(run: Run) -> None:
    letters.hold(Filing(run, run.source, 0), ToFetch(listed("a"), delete_after=True), ServerRefused(), NOW)
    ids = [Letter.objects.get().id]
    for moment in (NOW, NOW + DAY):
        departures.record_missing(ids, moment)
    row = known(run.source, "a")["a"]
    assert row.gone
    wanted = ToFetch(listed("a", 101), delete_after=True, row=row)
    letters.hold(Filing(run, run.source, 0), wanted, ServerRefused(), NOW + DAY)
    row = known(run.source, "a")["a"]
    assert (row.gone, row.size, row.tries) == (False, 101, 2)


def test_it_wants_no_letter_deleted_that_the_mail_server_refused(run: Run) -> None:
    refused = ready(run, arrival("a"))["file-a-0"]
    letters.hold_back(refused, DeliveryRefused("spam"), NOW)
    assert by_hand.pass_over(Letter.objects.all()) == 1
    assert known(run.source, "a")["a"].fate is Fate.KEPT


def test_it_takes_no_letter_for_delivered_that_was_held_back_meanwhile(run: Run) -> None:
    refused = ready(run, arrival("a"))["file-a-0"]
    letters.hold_back(refused, DeliveryRefused("spam"), NOW)
    letters.record_delivered([refused], NOW)
    assert Letter.objects.get().state == "held"


def test_it_passes_over_no_letter_that_somebody_recorded_meanwhile(run: Run) -> None:
    ready(run, arrival("a"))
    SourceMailbox.objects.update(pass_present=True)
    letters.record_present(Filing(run, run.source, 0), [(listed("a"), ""), (listed("b"), "")], NOW)
    assert dict(Letter.objects.values_list("uid", "state")) == {"a": "ready", "b": "passed"}


def test_it_forgets_a_letter_whose_deletion_its_absence_confirmed(run: Run) -> None:
    ids = delivered(run, arrival("a"))
    departures.record_deleting(run, ids, NOW)
    departures.record_missing(ids, NOW)
    departures.record_gone(ids, NOW)
    assert knowing.knowledge(run.source, listing("b")).unlisted == frozenset()


def test_it_lets_people_say_nothing_of_letters_that_were_delivered(run: Run) -> None:
    delivered(run, arrival("a"))
    Letter.objects.update(tries=3)
    for say in (by_hand.retry_held, by_hand.pass_over, by_hand.take_up):
        assert say(Letter.objects.all()) == 0
    assert Letter.objects.get().tries == 3


@pytest.mark.parametrize(("state", "marked"), [("delivered", {"1"}), ("held", set()), ("passed", set())])
def test_it_takes_a_mark_as_read_for_its_own_only_where_another_recipient_has_the_letter(
    state: str, marked: set[str], run: Run
) -> None:
    delivered(run, arrival("1"), epoch=7)
    Letter.objects.update(state=state)
    mine = run.source
    other = SourceMailbox.objects.get(pk=mine.pk)
    other.pk, other.recipient = None, "other@mydomain.ru"
    other.save()
    seen = Listing((Listed(1, "1", 100, seen=True),), 7, complete=True)
    assert knowing.knowledge(other, seen).marked == marked


def test_it_needs_few_queries_for_a_long_listing(
    run: Run, django_assert_max_num_queries: Callable[..., object]
) -> None:
    delivered(run, *(arrival(f"u{number}") for number in range(60)))
    with django_assert_max_num_queries(4):  # type: ignore[attr-defined]
        view = knowing.knowledge(run.source, listing(*(f"u{number}" for number in range(100))))
    made = plan(listing(*(f"u{number}" for number in range(100))), view, Terms(keep=True), NOW)
    assert len(made.fetch) == 40
    assert missing(listing("u1"), view) == frozenset()


def test_it_finds_unfinished_letters_by_their_index() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL reads tables that are empty whatever indexes there are")
    assert "unfinished_letters" in letters.stuck(NOW).order_by().explain()
    assert "unfinished_letters" in letters.unattended().order_by().explain()
