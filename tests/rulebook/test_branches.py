"""Which ledger a rule goes on with."""

from dataclasses import replace

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.rule import MASK, Protocol, Rule
from fetchrules.rulebook.branches import Branches, Reader, choose_branches
from fetchrules.ruletext.sources import account_of
from tests.conftest import MakeRule
from tests.rulebook.conftest import Applier

RULE = Rule("mailserver.ru", Protocol.POP3, "petrov", "petrovpasswd", "i.petrov@mydomain.ru")
ACCOUNT = account_of(RULE)
HIS, OTHER, THIRD = "sidorov@mydomain.ru", "i.petrov@mydomain.ru", "third@mydomain.ru"

Seats = list[tuple[int, str]]


def reader(branch: int | None, recipient: str = HIS, *, stays: bool = False, folder: str = "") -> Reader:
    return Reader(ACCOUNT, frozenset({folder}), recipient, branch, stays)


def known(readers: Seats, letters: Seats, *coming: Reader) -> Branches:
    branches = Branches()
    for branch, recipient in readers:
        branches.expect(reader(branch, recipient))
        branches.seat(branch, recipient)
    for branch, recipient in letters:
        branches.letter(branch, recipient)
    for one in coming:
        branches.expect(one)
    return branches


@pytest.mark.parametrize(
    ("readers", "letters", "who", "branch"),
    [
        pytest.param([], [], reader(None), 0, id="alone"),
        pytest.param([(0, OTHER)], [], reader(None), 1, id="a second reader"),
        pytest.param([(1, OTHER)], [], reader(None), 0, id="a free place"),
        pytest.param([(0, OTHER), (1, HIS)], [], reader(None), 1, id="one who shares the recipient"),
        pytest.param([(0, OTHER)], [], reader(1), 1, id="one who stays"),
        pytest.param([], [], reader(3), 3, id="one who stays alone"),
        pytest.param([(3, OTHER)], [], reader(3), 0, id="one whom another recipient has joined"),
        pytest.param([(1, HIS)], [(0, HIS)], reader(0), 1, id="one who comes to a recipient with a reader"),
        pytest.param([(1, OTHER)], [(0, HIS)], reader(None), 0, id="one who comes again"),
        pytest.param([], [(1, OTHER), (0, THIRD)], reader(None), 2, id="one who comes where others were"),
        pytest.param([], [(1, HIS), (1, OTHER), (0, THIRD)], reader(None), 1, id="the newest letter speaks"),
        pytest.param([], [(2, HIS), (1, HIS)], reader(None), 2, id="the branch with the newest letter"),
        pytest.param([], [(0, OTHER)], reader(0), 0, id="one who takes over a mailbox"),
        pytest.param([], [(0, OTHER), (1, HIS)], reader(0), 1, id="one who takes over and has been here"),
        pytest.param([(1, THIRD)], [(0, OTHER)], reader(0), 2, id="one who takes over one of several"),
        pytest.param([(1, THIRD)], [(0, OTHER)], reader(0, stays=True), 0, id="one who took over before another came"),
        pytest.param([(1, THIRD)], [], reader(0), 0, id="one who takes over an empty one of several"),
        pytest.param([(1, THIRD)], [(0, OTHER)], reader(0, folder="Sales"), 0, id="one who takes over a folder"),
    ],
)
def test_it_gives_each_recipient_a_ledger_of_his_own(readers: Seats, letters: Seats, who: Reader, branch: int) -> None:
    assert known(readers, letters, who).choose(who) == branch


def test_it_lets_those_choose_first_who_have_a_ledger() -> None:
    stays, comes_back, sits, comes = reader(0, stays=True), reader(1), reader(1, THIRD), reader(None, THIRD)
    branches = known([], [(2, HIS)])
    assert [branches.rank(one) for one in (stays, comes_back, sits, comes)] == [0, 1, 2, 3]


def rule_of(recipient: str) -> Rule:
    return replace(RULE, recipient=recipient, keep=True)


@pytest.mark.parametrize("names", [(OTHER, HIS), (HIS, OTHER)], ids=str)
def test_it_lets_rules_exchange_their_recipients(names: tuple[str, str], make_rule: MakeRule) -> None:
    rows = [make_rule(user="petrov", recipient=recipient, keep=True) for recipient in names]
    for branch, row in enumerate(rows):
        row.source, _ = SourceMailbox.objects.get_or_create(
            protocol="pop3", host="mailserver.ru", user="petrov", branch=branch
        )
        row.save()
    collected(rows[0])
    wanted = {row.id: (rule_of(recipient), row) for row, recipient in zip(rows, reversed(names), strict=True)}
    assert choose_branches(wanted) == {rows[0].id: 1, rows[1].id: 0}


def test_it_counts_no_rule_that_goes(make_rule: MakeRule) -> None:
    goes = make_rule(user="petrov", recipient=HIS, keep=True)
    assert choose_branches({-1: (rule_of(OTHER), None)}) == {-1: 1}
    assert choose_branches({-1: (rule_of(OTHER), None)}, [goes.id]) == {-1: 0}


def test_it_keeps_accounts_apart(make_rule: MakeRule) -> None:
    collected(make_rule(user="petrov", recipient=OTHER, keep=True))
    collected(make_rule(user="petrov", server="elsewhere.ru", recipient=HIS, keep=True))
    wanted = {-1: (rule_of(HIS), None), -2: (replace(rule_of(HIS), server="elsewhere.ru", user="ivanov"), None)}
    assert choose_branches(wanted) == {-1: 1, -2: 0}


@pytest.mark.parametrize(
    ("coming", "marked"),
    [
        pytest.param([], True, id="no rule"),
        pytest.param([(rule_of(HIS), False)], False, id="one that comes to it"),
        pytest.param([(rule_of(OTHER), False)], False, id="one for another recipient"),
        pytest.param([(replace(RULE, user="ivanov"), False)], True, id="one of another account"),
        pytest.param([(rule_of(HIS), True)], True, id="one that reads it"),
        pytest.param([(rule_of(HIS), True), (rule_of(HIS), False)], True, id="one that reads it and one that comes"),
    ],
)
def test_it_takes_away_the_mark_of_a_rule_that_is_gone(
    coming: list[tuple[Rule, bool]], marked: bool, make_rule: MakeRule
) -> None:
    row = make_rule(user="petrov", protocol=Protocol.POP3, recipient=HIS, keep=True)
    SourceMailbox.objects.update(pass_present=True)
    wanted = {key: (rule, row if is_known else None) for key, (rule, is_known) in enumerate(coming)}
    choose_branches(wanted, [row.id])
    assert SourceMailbox.objects.get().pass_present == marked


def test_it_leaves_the_mark_to_who_reads_the_branch(make_rule: MakeRule) -> None:
    make_rule(user="petrov", recipient=HIS, keep=True)
    SourceMailbox.objects.update(pass_present=True)
    choose_branches({-1: (rule_of(HIS), None)})
    assert SourceMailbox.objects.get().pass_present


def test_it_takes_the_mark_from_every_folder(make_rule: MakeRule) -> None:
    row = make_rule(user="petrov", protocol=Protocol.IMAP, folders=["INBOX", "Sales"], recipient=HIS, keep=True)
    SourceMailbox.objects.update(pass_present=True)
    choose_branches({-1: (replace(row.as_rule(MASK), folders=()), None)}, [row.id])
    assert not SourceMailbox.objects.filter(pass_present=True).exists()


def test_it_asks_little_however_many_rules_come(
    write: Applier, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    line = "mailserver.ru:pop3 u{} p {}@mydomain.ru keep\n"
    write("".join(line.format(number, "ivanov") for number in range(200)))
    for rule in FetchRule.objects.select_related("source"):
        collected(rule)
    wanted = {-1 - number: (replace(rule_of(HIS), user=f"u{number}"), None) for number in range(200)}
    with django_assert_max_num_queries(3):
        assert set(choose_branches(wanted).values()) == {1}


def collected(rule: FetchRule) -> None:
    """A letter of it."""
    Letter.objects.create(
        source=rule.source,
        epoch=0,
        uid="a",
        recipient=rule.recipient,
        state="delivered",
        size=1,
        first_seen_at=timezone.now(),
    )
