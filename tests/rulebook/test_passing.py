"""What lies on the server counts as collected only where our ledger alone says what is seen, and letters are left there."""

from dataclasses import replace
from typing import Any

import pytest

from fetchrules.acts.rules import set_rule
from fetchrules.acts.writer import RuleInvalid
from fetchrules.models import FetchRule, SourceMailbox
from fetchrules.rule import MASK, Protocol, Rule
from fetchrules.rulebook.apply import TextRefused
from fetchrules.rulebook.edits import is_to_be_passed
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.validate import passing_fault
from tests.conftest import MakeRule
from tests.rulebook.conftest import Applier
from tests.rulebook.texts import preview

KEEPS = Rule("mailserver.ru", Protocol.POP3, "petrov", "petrovpasswd", "i.petrov@mydomain.ru", keep=True)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({}, None),
        ({"keep": False, "keepdays": 3}, None),
        ({"flush": True}, None),
        ({"protocol": Protocol.IMAP, "uidl": True}, None),
        ({"keep": False}, Code.PRESENT_DELETED),
        ({"keep": False, "protocol": Protocol.IMAP, "uidl": True}, Code.PRESENT_DELETED),
        ({"protocol": Protocol.IMAP}, Code.PRESENT_BY_MARKS),
    ],
    ids=str,
)
def test_it_counts_as_collected_only_where_that_can_be(words: dict[str, Any], fault: Code | None) -> None:
    assert passing_fault(replace(KEEPS, **words)) == fault


@pytest.mark.django_db
def test_it_refuses_a_rule_that_cannot_do_it() -> None:
    with pytest.raises(RuleInvalid) as refused:
        set_rule(None, replace(KEEPS, keep=False), pass_present=True, by=None)
    assert [(problem.code, problem.field) for problem in refused.value.problems] == [(Code.PRESENT_DELETED, "present")]
    assert not FetchRule.objects.exists()


@pytest.mark.parametrize("words", [{"keep": False}, {"protocol": Protocol.IMAP, "keep": False}], ids=str)
def test_it_refuses_to_change_a_rule_that_still_has_to_do_it(words: dict[str, Any], make_rule: MakeRule) -> None:
    row = waiting(make_rule, protocol=words.get("protocol", Protocol.POP3), uidl=True)
    wanted = replace(row.as_rule(MASK), **words)
    with pytest.raises(RuleInvalid) as refused:
        set_rule(row, wanted, by=None)
    assert [problem.code for problem in refused.value.problems] == [Code.PRESENT_PENDING]
    set_rule(row, wanted, pass_present=False, by=None)
    assert not is_to_be_passed(row)


def test_it_leaves_alone_what_was_said_before(make_rule: MakeRule) -> None:
    row = waiting(make_rule)
    set_rule(row, replace(row.as_rule(MASK), interval=5), by=None)
    assert is_to_be_passed(row)


def test_it_forgets_what_was_said_of_another_account(make_rule: MakeRule) -> None:
    row = waiting(make_rule)
    saved = set_rule(row, replace(KEEPS, server="new.ru", keep=False), by=None)
    assert not is_to_be_passed(saved)


def test_it_names_the_new_lines_that_cannot_do_it(write: Applier) -> None:
    lines = [
        "a.ru:pop3 u p r@mydomain.ru keep",
        "b.ru:pop3 u p r@mydomain.ru",
        "c.ru:imap u p r@mydomain.ru keep",
        "d.ru:imap u p r@mydomain.ru keepdays 3 uidl",
    ]
    text = "".join(f"{line}\n" for line in lines)
    assert [(entry.rule.server, fault) for entry, fault in preview(text).unpassable] == [
        ("b.ru", Code.PRESENT_DELETED),
        ("c.ru", Code.PRESENT_BY_MARKS),
    ]
    with pytest.raises(TextRefused) as refused:
        write(text, pass_present=True)
    assert [(problem.line, problem.code) for problem in refused.value.preview.errors] == [
        (2, Code.PRESENT_DELETED),
        (3, Code.PRESENT_BY_MARKS),
    ]
    write(f"{lines[0]}\n{lines[3]}\n", pass_present=True)
    assert set(SourceMailbox.objects.values_list("pass_present", flat=True)) == {True}


def test_it_refuses_lines_that_change_and_still_have_to_do_it(write: Applier) -> None:
    line = "a.ru:pop3 u p r@mydomain.ru keep\n"
    write(line, pass_present=True)
    assert [problem.code for problem in preview(line.replace(" keep", "")).errors] == [Code.PRESENT_PENDING]
    assert preview(line.replace("keep", "keep interval 5")).errors == ()
    assert preview(line.replace("a.ru", "b.ru").replace(" keep", "")).errors == ()


def waiting(make_rule: MakeRule, **columns: Any) -> FetchRule:
    """A rule with which what lies on the server counts as collected at the next poll."""
    row = make_rule(keep=True, **columns)
    SourceMailbox.objects.filter(id=row.source_id).update(pass_present=True)
    return row
