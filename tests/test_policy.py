"""The table of keep, flush and fetchall, and the plan made from it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.policy.known import HELD_PAUSE, MAX_TRIES, Fate, Knowledge, Known, State
from fetchrules.policy.planning import ToDelete, ToFetch, Why, missing, plan
from fetchrules.policy.table import RESTRICTED_LIMIT, TABLE, Action, Terms, decide, limit_of
from fetchrules.remote.mailbox import Listed, Listing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DELETE_NEW, LEAVE_NEW, LEAVE, DELETE = Action.FETCH_DELETE, Action.FETCH_LEAVE, Action.LEAVE, Action.DELETE

EVERY_COMBINATION = [
    # seen, keep, flush, fetchall
    ("no", "nokeep", "noflush", "nofetchall", DELETE_NEW),
    ("no", "nokeep", "noflush", "fetchall", DELETE_NEW),
    ("no", "nokeep", "flush", "nofetchall", DELETE_NEW),
    ("no", "nokeep", "flush", "fetchall", DELETE_NEW),
    ("no", "keep", "noflush", "nofetchall", LEAVE_NEW),
    ("no", "keep", "noflush", "fetchall", LEAVE_NEW),
    ("no", "keep", "flush", "nofetchall", LEAVE_NEW),
    ("no", "keep", "flush", "fetchall", LEAVE_NEW),
    ("yes", "nokeep", "noflush", "nofetchall", LEAVE),
    ("yes", "nokeep", "noflush", "fetchall", DELETE_NEW),
    ("yes", "nokeep", "flush", "nofetchall", DELETE),
    ("yes", "nokeep", "flush", "fetchall", DELETE_NEW),
    ("yes", "keep", "noflush", "nofetchall", LEAVE),
    ("yes", "keep", "noflush", "fetchall", LEAVE_NEW),
    ("yes", "keep", "flush", "nofetchall", DELETE),
    ("yes", "keep", "flush", "fetchall", LEAVE_NEW),
]


@pytest.mark.parametrize(("seen", "keep", "flush", "fetchall", "action"), EVERY_COMBINATION)
def test_it_decides_as_fetchmail_does(seen: str, keep: str, flush: str, fetchall: str, action: Action) -> None:
    terms = Terms(keep=keep == "keep", flush=flush == "flush", fetchall=fetchall == "fetchall")
    assert decide(seen == "yes", terms) is action


def test_it_has_one_row_for_every_combination() -> None:
    combinations = [
        (seen, Terms(keep=keep, flush=flush, fetchall=fetchall))
        for seen, keep, flush, fetchall in product((False, True), repeat=4)
    ]
    assert [sum(row.covers(seen, terms) for row in TABLE) for seen, terms in combinations] == [1] * 16
    assert len(EVERY_COMBINATION) == 16
    assert {decide(seen, terms) for seen, terms in combinations} == set(Action)


def listed(number: int, uid: str | None = None, size: int = 100, *, seen: bool = False) -> Listed:
    return Listed(number, f"u{number}" if uid is None else uid, size, seen)


def listing(*letters: Listed, complete: bool = True, epoch: int | None = None, has_uids: bool = True) -> Listing:
    return Listing(letters, epoch, complete, has_uids)


def known(number: int, uid: str | None = None, **columns: object) -> Known:
    row = Known(
        number, f"u{number}" if uid is None else uid, 0, 100, State.DELIVERED, delivered_at=NOW - timedelta(days=1)
    )
    return replace(row, **columns)  # type: ignore[arg-type]


def knowledge(*rows: Known, unlisted: frozenset[int] = frozenset(), renumbered: bool = False) -> Knowledge:
    return Knowledge({row.uid: row for row in rows}, unlisted, renumbered)


KEEP, FLUSH, PLAIN = Terms(keep=True), Terms(keep=True, flush=True), Terms()


def test_it_fetches_what_it_does_not_know_and_leaves_what_it_does() -> None:
    made = plan(listing(listed(1), listed(2)), knowledge(known(1)), KEEP, NOW)
    assert [wanted.letter.number for wanted in made.fetch] == [2]
    assert made.left == ((listed(1), Why.SEEN),)


def test_it_deletes_what_it_meant_to_delete_and_never_could() -> None:
    made = plan(listing(listed(1)), knowledge(known(1, fate=Fate.WANTED)), PLAIN, NOW)
    assert [one.letter.number for one in made.delete] == [1]


def test_it_spares_what_it_meant_to_delete_once_the_rule_says_keep() -> None:
    made = plan(listing(listed(1)), knowledge(known(1, fate=Fate.WANTED)), KEEP, NOW)
    assert made.delete == ()


def test_it_looks_again_before_it_repeats_a_deletion_that_may_have_happened() -> None:
    made = plan(listing(listed(1)), knowledge(known(1, fate=Fate.SENT)), PLAIN, NOW)
    assert [(wanted.compare, wanted.ord) for wanted in made.fetch] == [(True, 1)]


def test_it_repeats_a_deletion_at_once_where_names_are_never_used_again() -> None:
    made = plan(listing(listed(1), epoch=7), knowledge(known(1, fate=Fate.SENT)), PLAIN, NOW)
    assert [one.letter.number for one in made.delete] == [1]


@pytest.mark.parametrize(
    ("story", "rows", "letters", "unlisted"),
    [
        ("another size", [known(1, size=99), known(2)], [listed(1), listed(2)], frozenset()),
        ("one name twice", [known(1), known(2)], [listed(1), listed(3, "u1"), listed(2)], frozenset()),
        ("no name", [known(1)], [listed(1), listed(2, "")], frozenset()),
        ("all names new", [], [listed(3), listed(4)], frozenset({1, 2})),
    ],
)
def test_it_flushes_nothing_when_the_server_changes_its_story(
    story: str, rows: list[Known], letters: list[Listed], unlisted: frozenset[int]
) -> None:
    made = plan(listing(*letters), knowledge(*rows, unlisted=unlisted), FLUSH, NOW)
    assert (made.delete, made.distrusted) == ((), True)
    assert any(wanted.compare for wanted in made.fetch)


def test_it_flushes_nothing_on_the_word_of_an_incomplete_list() -> None:
    made = plan(listing(listed(1), complete=False), knowledge(known(1)), FLUSH, NOW)
    assert made.left == ((listed(1), Why.DOUBT),)


def test_it_compares_a_letter_that_came_back_after_it_was_deleted() -> None:
    made = plan(listing(listed(1)), knowledge(known(1, fate=Fate.DELETED, gone=True)), PLAIN, NOW)
    assert [wanted.compare for wanted in made.fetch] == [True]


def test_it_compares_unknown_letters_while_known_ones_are_missing() -> None:
    made = plan(listing(listed(1), listed(2)), knowledge(known(1), unlisted=frozenset({9})), KEEP, NOW)
    assert [wanted.compare for wanted in made.fetch] == [True]


def test_it_takes_new_letters_for_new_while_none_is_missing() -> None:
    made = plan(listing(listed(1), listed(2)), knowledge(known(1)), KEEP, NOW)
    assert [wanted.compare for wanted in made.fetch] == [False]


def test_it_compares_everything_under_another_uidvalidity() -> None:
    made = plan(listing(listed(1), epoch=8), knowledge(unlisted=frozenset({1}), renumbered=True), KEEP, NOW)
    assert [wanted.compare for wanted in made.fetch] == [True]


def test_it_leaves_large_letters_and_counts_only_fetched_ones() -> None:
    letters = [listed(1, size=11), listed(2, size=10), listed(3, size=10), listed(4, size=10)]
    made = plan(listing(*letters), Knowledge(), Terms(limit=10, fetchlimit=2), NOW)
    assert [wanted.letter.number for wanted in made.fetch] == [2, 3]
    assert [why for _, why in made.left] == [Why.TOO_LARGE, Why.FETCHLIMIT]


@pytest.mark.parametrize(
    ("own", "restricted", "limit"),
    [
        (None, False, None),
        (2 * RESTRICTED_LIMIT, False, 2 * RESTRICTED_LIMIT),
        (None, True, RESTRICTED_LIMIT),
        (2 * RESTRICTED_LIMIT, True, RESTRICTED_LIMIT),
        (0, True, 0),
    ],
)
def test_it_bounds_the_letters_of_a_restricted_rule(own: int | None, limit: int | None, *, restricted: bool) -> None:
    assert limit_of(own, restricted=restricted) == limit


def test_it_asks_last_for_letters_without_names_and_does_not_count_them() -> None:
    letters = listing(listed(1, "same"), listed(2, "same"), listed(3), listed(4), listed(5))
    made = plan(letters, Knowledge(), Terms(keep=True, fetchlimit=2), NOW)
    assert [wanted.letter.number for wanted in made.fetch] == [3, 4, 1, 2]
    assert made.left == ((listed(5), Why.FETCHLIMIT),)


def test_it_counts_imap_seen_as_seen_unless_the_ledger_alone_counts() -> None:
    letters = listing(listed(1, seen=True), epoch=1)
    assert plan(letters, Knowledge(), Terms(), NOW).fetch == ()
    assert len(plan(letters, Knowledge(), Terms(uidl=True), NOW).fetch) == 1


@pytest.mark.parametrize("rule", [KEEP, FLUSH, PLAIN], ids=["keep", "keep flush", "nokeep"])
def test_it_believes_no_mark_as_read_that_may_be_of_before_the_names_changed(rule: Terms) -> None:
    letters = listing(listed(1, seen=True), listed(2), listed(3, seen=True), epoch=2)
    view = replace(knowledge(known(3)), moved=True)
    made = plan(letters, view, rule, NOW)
    assert [(wanted.letter.number, wanted.compare) for wanted in made.fetch] == [(1, True), (2, False)]
    assert {one.letter.number for one in made.delete} <= {3}


def test_it_fetches_again_under_another_key_when_all_is_asked_for() -> None:
    made = plan(listing(listed(1)), knowledge(known(1, ord=2)), Terms(fetchall=True), NOW)
    assert [(wanted.ord, wanted.compare, wanted.delete_after) for wanted in made.fetch] == [(3, False, True)]


def test_it_does_not_fetch_again_what_was_delivered_and_only_waits_for_its_deletion() -> None:
    made = plan(listing(listed(1)), knowledge(known(1, fate=Fate.WANTED)), Terms(fetchall=True), NOW)
    assert (made.fetch, len(made.delete)) == ((), 1)


@pytest.mark.parametrize(("age", "deleted"), [(13, False), (14, True)])
def test_it_deletes_after_so_many_days(age: int, deleted: bool) -> None:
    row = known(1, delivered_at=NOW - timedelta(days=age), lived=1000)
    terms = Terms(keepdays=14, lived=1000 + age * 86400)
    assert bool(plan(listing(listed(1)), knowledge(row), terms, NOW).delete) is deleted


@pytest.mark.parametrize(
    ("age", "lived"), [(14, 13), (13, 14), (400, 13), (400, -5)], ids=["outage", "slow clock", "jump", "restored"]
)
def test_it_deletes_only_after_days_that_were_lived_through(age: int, lived: int) -> None:
    row = known(1, delivered_at=NOW - timedelta(days=age), lived=1000)
    terms = Terms(keepdays=14, lived=1000 + lived * 86400)
    assert not plan(listing(listed(1)), knowledge(row), terms, NOW).delete


@pytest.mark.parametrize(
    ("tries", "ago", "fetched"),
    [
        (MAX_TRIES - 1, timedelta(0), True),
        (MAX_TRIES, timedelta(0), False),
        (MAX_TRIES, HELD_PAUSE, True),
        (MAX_TRIES, -timedelta(days=3000), True),  # by a clock that was wrong
    ],
)
def test_it_tries_a_held_letter_again_and_after_some_tries_once_a_day(
    tries: int, ago: timedelta, fetched: bool
) -> None:
    row = known(1, state=State.HELD, tries=tries, tried_at=NOW - ago, ord=1)
    made = plan(listing(listed(1)), knowledge(row), PLAIN, NOW)
    assert [wanted.ord for wanted in made.fetch] == ([1] if fetched else [])


@pytest.mark.parametrize(
    ("state", "why"), [(State.PASSED, Why.PASSED), (State.READY, Why.IN_HAND), (State.SENDING, Why.IN_HAND)]
)
def test_it_leaves_what_is_in_hand_or_was_passed_over(state: State, why: Why) -> None:
    made = plan(listing(listed(1)), knowledge(known(1, state=state)), Terms(flush=True, fetchall=True), NOW)
    assert made.left == ((listed(1), why),)


@pytest.mark.parametrize("rule", [PLAIN, FLUSH], ids=["nokeep", "keep flush"])
def test_it_never_deletes_what_may_have_been_passed_over(rule: Terms) -> None:
    letters = listing(listed(1), listed(2, size=101), complete=False)
    passed = [known(number, state=State.PASSED, gone=True) for number in (1, 2)]
    made = plan(letters, knowledge(*passed), rule, NOW)
    told = [(wanted.letter.number, wanted.compare, wanted.delete_after, wanted.delete_known) for wanted in made.fetch]
    assert told == [(1, True, False, False), (2, True, False, False)], "both names may be other letters' by now"
    assert not made.delete


def test_it_knows_an_imap_letter_that_was_passed_over_by_its_name() -> None:
    row = known(1, state=State.PASSED, gone=True)
    made = plan(listing(listed(1), epoch=7), knowledge(row), PLAIN, NOW)
    assert made.left == ((listed(1), Why.PASSED),)


def test_it_concludes_that_letters_are_missing_from_a_complete_list_only() -> None:
    gone = knowledge(unlisted=frozenset({1}))
    assert missing(listing(listed(2)), gone) == {1}
    assert missing(listing(listed(2), complete=False), gone) == frozenset()
    assert missing(listing(), gone) == frozenset()


@pytest.mark.parametrize(
    ("columns", "expunged"),
    [
        ({"fate": Fate.WANTED}, True),
        ({"fate": Fate.SENT}, True),
        ({"fate": Fate.KEPT}, False),
        ({"fate": Fate.SENT, "size": 99}, False),
        ({"fate": Fate.SENT, "gone": True}, True),
        ({"fate": Fate.DELETED, "gone": True}, True),
        ({"fate": Fate.WANTED, "state": State.PASSED}, False),
    ],
    ids=str,
)
def test_it_expunges_of_the_flagged_ones_only_what_it_has_flagged_itself(
    columns: dict[str, object], expunged: bool
) -> None:
    letters = replace(listing(listed(2), epoch=7), flagged=(listed(1),))
    made = plan(letters, knowledge(known(1, None, **columns), known(2)), PLAIN, NOW)
    assert [one.letter.number for one in made.delete] == ([1] if expunged else [])


def test_it_expunges_nothing_while_the_rule_keeps_or_the_list_is_in_doubt() -> None:
    letters = replace(listing(listed(2), epoch=7), flagged=(listed(1),))
    view = knowledge(known(1, fate=Fate.SENT), known(2))
    assert plan(letters, view, KEEP, NOW).delete == ()
    assert plan(replace(letters, complete=False), view, PLAIN, NOW).delete == ()


def test_it_passes_over_no_letter_whose_name_may_be_anothers_tomorrow() -> None:
    letters = listing(listed(1, "same"), listed(2, "same"), listed(3, ""), listed(4))
    made = plan(letters, Knowledge(), Terms(keep=True, pass_present=True), NOW)
    assert made.present == (listed(4),)
    assert [wanted.letter.number for wanted in made.fetch] == [1, 2, 3]


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("terms", [PLAIN, KEEP, Terms(flush=True), Terms(fetchall=True), Terms(keepdays=1)], ids=str)
def test_it_passes_over_unknown_letters_of_before_a_day_and_waits_for_their_dates(terms: Terms, seen: bool) -> None:
    received = {1: NOW - timedelta(seconds=1), 2: NOW, 3: None, 4: NOW - timedelta(days=9)}
    letters = [replace(listed(number, seen=seen), received=when) for number, when in received.items()]
    made = plan(listing(*letters, epoch=7), knowledge(known(4)), replace(terms, since=NOW, uidl=True), NOW)
    reasons = {letter.number: why for letter, why in made.left if letter.number != 4}
    assert reasons == {1: Why.PRESENT, 3: Why.UNDATED}
    assert 2 in {wanted.letter.number for wanted in made.fetch}
    assert ([one.number for one in made.present], made.undated) == ([1], True)


def test_it_passes_over_letters_of_before_a_day_that_others_have_read() -> None:
    letters = listing(replace(listed(1, seen=True), received=NOW - timedelta(days=1)), epoch=7)
    made = plan(letters, knowledge(known(1, state=State.READ)), Terms(flush=True, since=NOW), NOW)
    assert (made.present, made.delete) == (letters.letters, ())


def test_it_takes_no_mark_as_read_for_a_collection_that_failed() -> None:
    made = plan(listing(listed(1, seen=True), epoch=1), knowledge(known(1, state=State.HELD)), Terms(flush=True), NOW)
    assert [wanted.letter.number for wanted in made.fetch] == [1]
    assert made.delete == ()


def test_it_passes_over_no_letter_without_a_name_because_one_of_its_size_was() -> None:
    passed = known(9, "size 100", state=State.PASSED)
    (wanted,) = plan(listing(listed(1, "")), knowledge(passed), PLAIN, NOW).fetch
    assert wanted.row is None


UNMET: dict[Why, tuple[tuple[Known, ...], Terms]] = {
    Why.PRESENT: ((), Terms(keep=True, pass_present=True)),
    Why.UNDATED: ((), Terms(since=NOW)),
    Why.TOO_LARGE: ((), Terms(limit=10)),
    Why.FETCHLIMIT: ((), Terms(fetchlimit=0)),
    Why.HELD: ((known(1, state=State.HELD, tries=MAX_TRIES, tried_at=NOW),), PLAIN),
}


@pytest.mark.parametrize("why", UNMET)
def test_it_concludes_nothing_of_a_missing_letter_while_it_leaves_one_that_may_be_it(why: Why) -> None:
    rows, terms = UNMET[why]
    view = knowledge(*rows, unlisted=frozenset({9}))
    made = plan(listing(listed(1)), view, terms, NOW)
    assert ([reason for _, reason in made.left], made.unsettled) == ([why], True)
    assert not plan(listing(listed(1), epoch=7), view, terms, NOW).unsettled, "names there are never used again"


def test_it_gives_up_no_letter_without_a_name_because_another_of_its_size_made_trouble() -> None:
    trouble = known(9, "size 100", state=State.HELD, tries=MAX_TRIES, tried_at=NOW)
    made = plan(listing(listed(1, ""), listed(2, "")), knowledge(trouble), PLAIN, NOW)
    assert [wanted.letter.number for wanted in made.fetch] == [1, 2]


rows = st.builds(
    Known,
    id=st.integers(1, 10**6),
    uid=st.sampled_from("abcd"),
    ord=st.integers(0, 3),
    size=st.sampled_from([1, 2]),
    state=st.sampled_from(State),
    fate=st.sampled_from(Fate),
    gone=st.booleans(),
    tries=st.integers(0, 6),
    tried_at=st.sampled_from([None, NOW]),
    delivered_at=st.sampled_from([None, NOW, NOW - timedelta(days=9)]),
)
letters = st.builds(
    Listed,
    number=st.integers(1, 10**6),
    uid=st.sampled_from(["a", "b", "c", "d", "", "\x00"]),
    size=st.sampled_from([1, 2]),
    seen=st.booleans(),
)
listings = st.builds(
    Listing,
    letters=st.lists(letters, max_size=6, unique_by=lambda letter: letter.number).map(tuple),
    epoch=st.sampled_from([None, 1]),
    complete=st.booleans(),
    has_uids=st.booleans(),
)
views = st.builds(
    lambda rows, unlisted, renumbered, moved: Knowledge(
        {row.uid: row for row in rows}, unlisted, renumbered, moved=moved
    ),
    st.lists(rows, max_size=4, unique_by=lambda row: row.id),
    st.frozensets(st.integers(1, 9), max_size=2),
    st.booleans(),
    st.booleans(),
)
terms = st.builds(
    Terms,
    keep=st.booleans(),
    flush=st.booleans(),
    fetchall=st.booleans(),
    uidl=st.booleans(),
    limit=st.sampled_from([None, 1]),
    fetchlimit=st.sampled_from([None, 1]),
    keepdays=st.sampled_from([None, 5]),
)


@given(listings, views, terms)
def test_it_decides_once_over_every_letter(letters: Listing, view: Knowledge, terms: Terms) -> None:
    made = plan(letters, view, terms, NOW)
    decided = [one.letter for one in made.delete]
    decided += [wanted.letter for wanted in made.fetch] + [letter for letter, _ in made.left]
    assert sorted(letter.number for letter in decided) == sorted(letter.number for letter in letters.letters)


@given(listings, views, terms)
def test_it_dooms_only_what_is_delivered_or_read_and_believed(letters: Listing, view: Knowledge, terms: Terms) -> None:
    for one in plan(letters, view, terms, NOW).delete:
        assert isinstance(one, ToDelete)
        if one.row is None:
            assert one.letter.seen
            assert terms.flush
            assert not view.moved
        else:
            assert one.row.state is State.DELIVERED
            assert not one.row.gone
            assert one.row.size == one.letter.size


@given(listings, views, terms)
def test_it_never_dooms_what_the_rule_keeps_unless_flush_or_its_days_say_so(
    letters: Listing, view: Knowledge, terms: Terms
) -> None:
    made = plan(letters, view, terms, NOW)
    if terms.keep and not terms.flush and terms.keepdays is None:
        assert made.delete == ()
        assert not any(wanted.delete_after for wanted in made.fetch)


@given(listings, views, terms)
def test_it_dooms_nothing_while_it_doubts(letters: Listing, view: Knowledge, terms: Terms) -> None:
    made = plan(letters, view, terms, NOW)
    if made.distrusted:
        assert made.delete == ()


def test_it_compares_what_is_read_and_renumbered_although_it_fetches_all() -> None:
    view = knowledge(unlisted=frozenset({7}), renumbered=True)
    (wanted,) = plan(listing(listed(1, seen=True), epoch=2), view, Terms(fetchall=True), NOW).fetch
    assert wanted.compare


@given(listings, views, terms)
def test_it_never_delivers_a_doubtful_name_without_comparing(letters: Listing, view: Knowledge, terms: Terms) -> None:
    for wanted in plan(letters, view, terms, NOW).fetch:
        assert isinstance(wanted, ToFetch)
        row = view.rows.get(wanted.letter.uid)
        if not wanted.named or (row and row.gone and row.state is State.DELIVERED):
            assert wanted.compare
