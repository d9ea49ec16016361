"""Who may change a rule, what may keep its password, and where it may connect to: looked at under the lock."""

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from fetchrules.acts import text as acts
from fetchrules.acts.rules import Given, delete_rules, set_rule, switch_rules, take_over
from fetchrules.acts.writer import PasswordNeeded, RuleChanged, RuleInvalid
from fetchrules.models import FetchRule, Revision, ServiceSettings
from fetchrules.rule import MASK, Protocol, Rule
from fetchrules.rulebook.preview import Choices
from fetchrules.rulebook.revisions import current_version
from fetchrules.rulebook.rows import password_of
from fetchrules.rulebook.text import load
from fetchrules.ruletext.document import parse
from fetchrules.ruletext.problem import Code
from tests.conftest import MakeRule

NEW = Rule("new.ru", Protocol.POP3, "new", "p", "charlie@mydomain.ru")


@pytest.fixture
def charlies(make_rule: MakeRule, charlie: User) -> FetchRule:
    return make_rule(owner=charlie, recipient=charlie.email)


def now(row: FetchRule) -> FetchRule:
    return FetchRule.objects.get(id=row.id)


def test_it_writes_over_no_change_that_was_not_seen(make_rule: MakeRule, alice: User) -> None:
    row = make_rule()
    set_rule(row, replace(row.as_rule(MASK), interval=5), by=alice, seen=row.revision)
    with pytest.raises(RuleChanged) as refused:
        set_rule(row, replace(row.as_rule(MASK), interval=7), by=alice, seen=row.revision)
    assert (refused.value.row.interval, now(row).interval) == (5, 5)


def test_it_carries_no_password_from_another_account(make_rule: MakeRule, erin: User) -> None:
    row = make_rule(server="known.ru", password="known")
    form = row.as_rule(MASK)
    set_rule(row, replace(form, server="other.ru", password="secret"), by=None)
    with pytest.raises(PasswordNeeded):
        set_rule(row, form, by=erin, seen=now(row).revision)
    assert (now(row).server, password_of(now(row))) == ("other.ru", "secret")


def test_it_makes_no_rule_without_a_password(alice: User) -> None:
    with pytest.raises(PasswordNeeded):
        set_rule(None, replace(NEW, password=MASK), by=alice)


def test_it_knows_no_rule_that_was_given_away(charlies: FetchRule, charlie: User) -> None:
    FetchRule.objects.update(owner=User.objects.create_user("dora"))
    with pytest.raises(FetchRule.DoesNotExist):
        set_rule(charlies, charlies.as_rule(MASK), by=charlie)
    with pytest.raises(FetchRule.DoesNotExist):
        switch_rules(FetchRule.objects.all(), on=False, by=charlie)
    with pytest.raises(FetchRule.DoesNotExist):
        delete_rules([charlies], by=charlie)
    assert (now(charlies).enabled, now(charlies).revision) == (True, 1)


def test_it_holds_an_owner_to_his_own_mailbox_and_number(charlies: FetchRule, charlie: User) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(owner_rules=2)
    with pytest.raises(RuleInvalid) as refused:
        set_rule(charlies, replace(charlies.as_rule(MASK), recipient="boss@mydomain.ru"), by=charlie)
    assert [problem.code for problem in refused.value.problems] == [Code.RECIPIENT_NOT_YOURS]
    set_rule(None, NEW, by=charlie)
    with pytest.raises(RuleInvalid) as refused:
        set_rule(None, replace(NEW, user="third"), by=charlie)
    assert [problem.code for problem in refused.value.problems] == [Code.TOO_MANY_RULES]


@pytest.mark.parametrize("change", [{"is_active": False}, {"email": ""}], ids=str)
def test_it_asks_for_the_rights_of_this_moment(charlies: FetchRule, charlie: User, change: dict[str, Any]) -> None:
    User.objects.filter(id=charlie.id).update(**change)
    with pytest.raises(PermissionDenied):
        set_rule(charlies, charlies.as_rule(MASK), by=charlie)
    with pytest.raises(PermissionDenied):
        delete_rules([charlies], by=charlie)


def test_it_applies_no_text_of_somebody_who_may_not_any_more(make_rule: MakeRule, erin: User) -> None:
    make_rule()
    erin.user_permissions.clear()
    with pytest.raises(PermissionDenied):
        acts.apply(parse(""), current_version(), Choices(delete_missing=True), by=erin)
    assert FetchRule.objects.count() == 1


def test_it_restricts_what_others_than_administrators_lead_elsewhere(
    make_rule: MakeRule, alice: User, charlie: User, erin: User
) -> None:
    ours, changed = make_rule(keep=True), make_rule(keep=True)
    set_rule(ours, replace(ours.as_rule(MASK), interval=5), by=erin)
    set_rule(changed, replace(changed.as_rule("p"), server="10.0.0.1"), by=erin)
    made = [set_rule(None, replace(NEW, user=str(by)), by=by) for by in (alice, charlie, erin)]
    assert [now(row).restricted for row in (ours, changed, *made)] == [False, True, False, True, True]
    assert [(row.owner, row.owned) for row in made] == [(None, False), (charlie, True), (None, False)]


@pytest.mark.parametrize("change", [{"port": 9995}, {"user": "x"}, {"protocol": Protocol.IMAP}], ids=str)
def test_it_restricts_by_everything_that_a_target_is(make_rule: MakeRule, erin: User, change: dict[str, Any]) -> None:
    row = make_rule()
    set_rule(row, replace(row.as_rule("p"), **change), by=erin)
    assert now(row).restricted


def test_it_lets_administrators_alone_lift_the_restriction(charlies: FetchRule, alice: User, erin: User) -> None:
    rule = charlies.as_rule(MASK)
    with pytest.raises(PermissionDenied):
        set_rule(charlies, rule, by=erin, restricted=False)
    set_rule(charlies, replace(rule, server="10.0.0.1", password="p"), by=alice)
    assert now(charlies).restricted
    set_rule(charlies, now(charlies).as_rule(MASK), by=alice, restricted=False)
    assert not now(charlies).restricted


def test_it_restricts_what_is_given_to_an_owner(make_rule: MakeRule, alice: User, charlie: User) -> None:
    for owner, restricted in ((charlie, True), (alice, False)):
        row = make_rule()
        set_rule(row, row.as_rule(MASK), by=alice, given=Given(owner), restricted=False)
        assert (now(row).owner, now(row).owned, now(row).restricted) == (owner, True, restricted)
        set_rule(row, row.as_rule(MASK), by=alice, given=Given(owner), restricted=False)
        assert not now(row).restricted
        set_rule(row, row.as_rule(MASK), by=alice, given=Given(None))
        assert (now(row).owner, now(row).owned) == (None, False)


def test_it_takes_over_what_nobody_answers_for(
    charlies: FetchRule, make_rule: MakeRule, alice: User, erin: User
) -> None:
    make_rule()
    with pytest.raises(FetchRule.DoesNotExist):
        take_over(FetchRule.objects.all(), by=alice)
    User.objects.filter(username="charlie").delete()
    assert FetchRule.objects.filter(FetchRule.OWNER_GONE).get() == charlies
    with pytest.raises(PermissionDenied):
        take_over(FetchRule.objects.all(), by=erin)
    assert take_over(FetchRule.objects.all(), by=alice) == [charlies]
    assert (now(charlies).owned, now(charlies).restricted, now(charlies).revision) == (False, True, 2)
    assert not FetchRule.objects.filter(FetchRule.OWNER_GONE).exists()


def test_it_restricts_what_an_editor_writes_into_the_text(make_rule: MakeRule, alice: User, erin: User) -> None:
    kept, moved = make_rule(), make_rule()
    text = load().replace(f"{moved.user} {MASK}", "elsewhere p")
    new = "mailserver.ru:pop3 {} p new@mydomain.ru\n"
    acts.apply(parse(text + new.format("erins")), current_version(), by=erin)
    acts.apply(parse(load() + new.format("alices")), current_version(), by=alice)
    assert dict(FetchRule.objects.values_list("user", "restricted")) == {
        kept.user: False,
        "elsewhere": True,
        "erins": True,
        "alices": False,
    }


def test_it_leaves_a_rule_of_the_text_whose_it_is(charlies: FetchRule, alice: User, charlie: User) -> None:
    acts.apply(parse(load().rstrip("\n") + " interval 5\n"), current_version(), by=alice)
    row = now(charlies)
    assert (row.interval, row.owner, row.owned, row.restricted) == (5, charlie, True, True)


@pytest.mark.parametrize("noted", [True, False])
def test_it_brings_a_restricted_rule_back_restricted(
    charlies: FetchRule, make_rule: MakeRule, alice: User, noted: bool
) -> None:
    make_rule(user="ours")
    acts.apply(parse(load() + "# noted\n"), current_version(), by=alice)
    before = Revision.objects.latest("id")
    if not noted:
        Revision.objects.update(restricted=None)
        before.refresh_from_db()
    delete_rules(FetchRule.objects.all(), by=alice)
    acts.undo(before, current_version(), note="", by=alice)
    restored = dict(FetchRule.objects.values_list("user", "restricted"))
    assert restored == {charlies.user: True, "ours": not noted}
    assert not FetchRule.objects.exclude(owner=None, owned=False).exists()


def test_it_leaves_previews_alone_where_nothing_was_changed(make_rule: MakeRule, charlie: User) -> None:
    make_rule()
    version = current_version()
    with pytest.raises(FetchRule.DoesNotExist):
        delete_rules(FetchRule.objects.all(), by=charlie)
    with pytest.raises(FetchRule.DoesNotExist):
        take_over(FetchRule.objects.all(), by=None)
    assert switch_rules(FetchRule.objects.all(), on=True, by=None) == []
    assert current_version() == version
