"""What a poll has seen is forgotten by whoever records something, for all ledgers of the mailbox, and noted by nobody too late."""

from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.ledger import by_hand
from fetchrules.ledger.settled import Settled, forget, note, settled
from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.policy.known import Doubt, Fate, State
from fetchrules.policy.table import Terms
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()
KEEP = Terms(keep=True)


def seen(until: timedelta = timedelta(minutes=30), terms: Terms = KEEP) -> Settled:
    from fetchrules.policy.planning import Plan

    return Settled.of("state", terms, NOW + until, Plan(flagged=2))


@pytest.fixture
def source(make_rule: MakeRule) -> SourceMailbox:
    return make_rule(user="petrov", keep=True).source


def noted(source: SourceMailbox, found: Settled) -> Settled | None:
    note([(source, found)])
    source.refresh_from_db()
    return settled(source, KEEP, NOW)


def test_it_is_read_as_it_was_noted(source: SourceMailbox) -> None:
    assert settled(source, KEEP, NOW) is None
    assert noted(source, seen()) == seen()
    assert seen().remarks == {"flagged": 2}


@pytest.mark.parametrize("until", [timedelta(0), timedelta(hours=2)])
def test_it_holds_for_its_time_only(source: SourceMailbox, until: timedelta) -> None:
    assert noted(source, seen(until)) is None


@pytest.mark.parametrize(
    "terms",
    [
        Terms(),
        Terms(keep=True, flush=True),
        Terms(keep=True, fetchall=True),
        Terms(keep=True, uidl=True),
        Terms(keep=True, limit=1),
        Terms(keep=True, fetchlimit=1),
        Terms(keep=True, keepdays=1),
    ],
)
def test_it_holds_for_the_same_terms_only(source: SourceMailbox, terms: Terms) -> None:
    assert noted(source, seen(terms=terms)) is None


def test_what_a_mailbox_has_lived_through_changes_nothing(source: SourceMailbox) -> None:
    assert noted(source, seen(terms=Terms(keep=True, lived=99))) is not None


def test_it_is_forgotten_for_all_recipients_of_the_mailbox_and_no_other(
    source: SourceMailbox, make_rule: MakeRule
) -> None:
    same = make_rule(user="petrov", keep=True, recipient="b@mydomain.ru").source
    other = make_rule(user="ivanov", keep=True).source
    note((row, seen()) for row in (source, same, other))
    forget(source)
    assert source.settled == {}
    assert dict(SourceMailbox.objects.values_list("user", "settled")) == {
        "petrov": {},
        "ivanov": seen().as_json(),
    }


@pytest.mark.parametrize(
    ("decide", "columns"),
    [
        (by_hand.retry_held, {"state": State.HELD, "reason": "x"}),
        (by_hand.pass_over, {"state": State.HELD, "reason": "x"}),
        (by_hand.take_up, {"state": State.PASSED}),
        (by_hand.settle, {"state": State.DELIVERED, "doubt": Doubt.SHORT}),
        (by_hand.collect_again, {"state": State.DELIVERED, "doubt": Doubt.PASSED}),
    ],
)
def test_a_decision_over_a_letter_counts_for_a_poll_that_is_under_way(
    source: SourceMailbox, decide: object, columns: dict[str, str]
) -> None:
    letter = {"epoch": 0, "uid": "a", "size": 1, "recipient": "i@x", "first_seen_at": NOW, "fate": Fate.KEPT}
    Letter.objects.create(source=source, **letter, **columns)
    assert noted(source, seen()) is not None
    read = SourceMailbox.objects.get()
    assert decide(Letter.objects.all()) == 1  # type: ignore[operator]
    assert settled(SourceMailbox.objects.get(), KEEP, NOW) is None
    note([(read, seen())])  # what was seen before
    assert settled(SourceMailbox.objects.get(), KEEP, NOW) is None
    assert noted(SourceMailbox.objects.get(), seen()) is not None


def test_a_mailbox_that_changes_hands_is_looked_through(make_rule: MakeRule) -> None:
    from fetchrules.rulebook.ledgers import Saved, settle

    rule: FetchRule = make_rule(user="petrov", keep=True)
    note([(rule.source, seen())])
    rule.recipient = "b@mydomain.ru"
    settle({0: Saved(rule.as_rule("pw"), FetchRule.objects.get(), None)})
    assert SourceMailbox.objects.get(recipient="b@mydomain.ru").settled == {}
