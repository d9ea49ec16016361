"""What people decide over letters in doubt."""

import pytest
from django.utils import timezone

from fetchrules.ledger import by_hand
from fetchrules.ledger.source_mailboxes import sources_of
from fetchrules.models import FetchRule, Letter, Run
from fetchrules.policy.known import Doubt, State
from fetchrules.rule import MASK, Protocol
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()
SHORT, PASSED = Doubt.SHORT, Doubt.PASSED


def a_letter(rule: FetchRule, uid: str = "1", **columns: object) -> Letter:
    """Delivered, in doubt, as an earlier poll left it."""
    now = timezone.now()
    run = Run.objects.create(
        rule=rule, source=rule.source, recipient=rule.recipient, state="done", claimed_at=now, finished_at=now,
        deadline=now, revision=1,
    )  # fmt: skip
    defaults: dict[str, object] = {
        "source": rule.source,
        "state": State.DELIVERED,
        "doubt": SHORT,
        "size": 5234,
        "octets": 1500,
        "tries": 0,
        "delivered_at": now,
    }
    row = defaults | columns
    return Letter.objects.create(run=run, epoch=0, uid=uid, recipient=rule.recipient, first_seen_at=now, **row)


@pytest.mark.parametrize(
    ("columns", "fate"),
    [
        ({}, "wanted"),
        ({"fetchall": True}, "wanted"),
        ({"enabled": False}, "wanted"),
        ({"keep": True}, "kept"),
        ({"keep": True, "flush": True}, "kept"),
        ({"keepdays": 14}, "kept"),
    ],
)
def test_it_gives_a_whole_letter_the_fate_that_the_rule_has_for_it(
    columns: dict[str, object], fate: str, make_rule: MakeRule
) -> None:
    letter = a_letter(make_rule(**columns))
    assert by_hand.settle(Letter.objects.all()) == 1
    letter.refresh_from_db()
    assert (letter.state, letter.doubt, letter.fate) == ("delivered", "", fate)


def test_it_keeps_a_letter_whose_rule_is_gone(make_rule: MakeRule) -> None:
    rule = make_rule()
    letter = a_letter(rule)
    rule.delete()
    by_hand.settle(Letter.objects.all())
    letter.refresh_from_db()
    assert (letter.doubt, letter.fate) == ("", "kept")


def test_it_asks_the_rule_that_names_the_folder(make_rule: MakeRule) -> None:
    rule = make_rule(protocol=Protocol.IMAP, folders=["INBOX", "Orders"])
    orders = sources_of(rule.as_rule(MASK))[1]
    letter = a_letter(rule, source=orders)
    by_hand.settle(Letter.objects.all())
    letter.refresh_from_db()
    assert letter.fate == "wanted"


def test_it_asks_no_rule_that_reads_other_folders(make_rule: MakeRule) -> None:
    rule = make_rule(protocol=Protocol.IMAP, folders=["INBOX", "Orders"])
    letter = a_letter(rule, source=sources_of(rule.as_rule(MASK))[1])
    FetchRule.objects.update(folders=["INBOX"])
    by_hand.settle(Letter.objects.all())
    letter.refresh_from_db()
    assert letter.fate == "kept"


def test_it_asks_the_rule_that_is_on_before_one_that_is_off(make_rule: MakeRule) -> None:
    keeps = make_rule(user="petrov", keep=True)
    make_rule(user="petrov", enabled=False)
    letter = a_letter(keeps)
    by_hand.settle(Letter.objects.all())
    letter.refresh_from_db()
    assert letter.fate == "kept"


def test_it_wants_nothing_deleted_that_is_gone_from_the_server(make_rule: MakeRule) -> None:
    letter = a_letter(make_rule(), forgotten_at=NOW)
    assert by_hand.settle(Letter.objects.all()) == 1
    letter.refresh_from_db()
    assert (letter.doubt, letter.fate) == ("", "kept")


def test_it_settles_nothing_else(make_rule: MakeRule) -> None:
    rule = make_rule()
    a_letter(rule, "1", doubt="")
    a_letter(rule, "2", state=State.READY)
    a_letter(rule, "3", state=State.HELD, doubt="")
    assert by_hand.settle(Letter.objects.all()) == 0
    assert set(Letter.objects.values_list("fate", flat=True)) == {"kept"}


@pytest.mark.parametrize("doubt", [SHORT, PASSED])
def test_it_has_a_letter_collected_again_as_if_nobody_had_tried_it(doubt: str, make_rule: MakeRule) -> None:
    letter = a_letter(make_rule(), doubt=doubt, reason="came_short", detail="1500 of 5234", tries=2, tried_at=NOW)
    assert by_hand.collect_again(Letter.objects.all()) == 1
    letter.refresh_from_db()
    assert (letter.state, letter.doubt, letter.octets, letter.run) == ("held", "", 0, None)
    assert (letter.reason, letter.detail, letter.tries, letter.tried_at) == ("", "", 0, None)
    assert not Letter.objects.filter(by_hand.PROBLEMS).exists()


def test_it_collects_nothing_again_that_is_gone_or_certain(make_rule: MakeRule) -> None:
    rule = make_rule()
    a_letter(rule, "1", forgotten_at=NOW)
    a_letter(rule, "2", doubt="")
    assert by_hand.collect_again(Letter.objects.all()) == 0


def test_it_leaves_a_letter_that_was_passed_over_before(make_rule: MakeRule) -> None:
    rule = make_rule()
    old, short = a_letter(rule, "1", doubt=PASSED), a_letter(rule, "2")
    assert by_hand.pass_over(Letter.objects.all()) == 1
    old.refresh_from_db()
    short.refresh_from_db()
    assert (old.state, old.doubt, old.fate) == ("passed", "", "kept")
    assert (short.state, short.doubt) == ("delivered", SHORT)


def test_it_tries_to_delete_again_or_leaves_what_a_server_breaks_off_over(make_rule: MakeRule) -> None:
    letter = a_letter(make_rule(), doubt="", reason="deletion_failed", tries=5, tried_at=NOW, fate="sent")
    assert by_hand.retry_held(Letter.objects.all()) == 1
    letter.refresh_from_db()
    assert (letter.state, letter.fate, letter.tries) == ("delivered", "sent", 0)
    Letter.objects.update(tries=1)
    assert by_hand.pass_over(Letter.objects.all()) == 1
    letter.refresh_from_db()
    assert (letter.state, letter.fate) == ("passed", "kept")


def test_it_counts_as_a_problem_what_is_held_or_in_doubt(make_rule: MakeRule) -> None:
    rule = make_rule()
    a_letter(rule, "held", state=State.HELD, doubt="", reason="came_short")
    a_letter(rule, "untried", state=State.HELD, doubt="", reason="")
    a_letter(rule, "short")
    a_letter(rule, "passed", doubt=PASSED)
    a_letter(rule, "in hand", state=State.READY)
    a_letter(rule, "undeleted", doubt="", reason="deletion_failed", tries=1)
    a_letter(rule, "well", doubt="")
    found = Letter.objects.filter(by_hand.PROBLEMS).values_list("uid", flat=True)
    assert set(found) == {"held", "short", "passed", "undeleted"}
