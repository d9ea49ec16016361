"""What an act does and what the audit says of it are one: nothing unnoted, nothing noted that was not done."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.utils import timezone

from fetchrules.acts import accounts, letters, rules, settings, text
from fetchrules.acts.writer import RuleInvalid, SourceTaken
from fetchrules.models import AuditEntry, FetchRule, Letter, Pause, Revision, Run, ServiceSettings, SourceMailbox
from fetchrules.models.rule import RemoteHost
from fetchrules.rule import MASK
from fetchrules.rulebook.preview import Choices
from fetchrules.rulebook.revisions import current_version
from fetchrules.rulebook.text import load
from fetchrules.ruletext.document import parse
from fetchrules.ruletext.problem import Code
from fetchrules.words.events import EVENTS
from tests.conftest import MakeRule

ALL = FetchRule.objects.all


def noted() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("who", "what"))


def full_audit() -> AbstractContextManager[None]:
    """As if the disk were full at the moment in which the audit is written."""

    def refuse(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "fetchrules_auditentry"'):
            raise DatabaseError("database or disk is full")
        return execute(sql, *rest)

    return connection.execute_wrapper(refuse)


def the_rule() -> FetchRule:
    return FetchRule.objects.select_related("source").get()


def the_letter() -> list[int]:
    return list(Letter.objects.values_list("id", flat=True))


ACTS: dict[str, Callable[[User], object]] = {
    "rule_added": lambda by: rules.set_rule(None, replace(the_rule().as_rule("p"), user="new"), by=by),
    "rule_changed": lambda by: rules.set_rule(the_rule(), replace(the_rule().as_rule(MASK), interval=7), by=by),
    "rule_deleted": lambda by: rules.delete_rules(ALL(), by=by),
    "rule_switched_off": lambda by: rules.switch_rules(ALL(), on=False, by=by),
    "rule_poll_asked": lambda by: rules.poll_rules(ALL(), by=by),
    "rule_paused": lambda by: rules.pause_rules(ALL(), None, by=by),
    "text_applied": lambda by: text.apply(parse(f"# above\n{load()}"), current_version(), by=by),
    "text_undone": lambda by: text.undo(Revision(text="# nothing\n"), current_version(), note="", by=by),
    "settings_changed": lambda by: settings.change_settings({"interval": 7}, by=by),
    "service_stopped": lambda by: settings.switch_service(on=False, by=by),
    "run_stop_asked": lambda by: rules.stop_run(Run.objects.get(), by=by),
    "letters_retried": lambda by: letters.retry(the_letter(), by=by),
    "letters_passed_over": lambda by: letters.pass_over(the_letter(), by=by),
    "sizes_declared_wrong": lambda by: letters.declare_sizes("mailserver.ru", wrong=True, by=by),
    "account_deleted": lambda by: accounts.delete_accounts(User.objects.exclude(id=by.id), by=by),
    "password_changed": lambda by: accounts.change_own_password(by, "another one"),
}


def everything() -> list[object]:
    """All that these acts change."""
    models: tuple[Any, ...] = (FetchRule, Revision, Run, Letter, RemoteHost, ServiceSettings, User)
    return [list(model.objects.order_by("id").values()) for model in models]


@pytest.fixture
def row(make_rule: MakeRule, bob: User) -> FetchRule:
    """A rule that is due, with a poll that is running, and a letter that cannot be fetched."""
    rule = make_rule(user="petrov", next_poll_at=None)
    now = timezone.now()
    run = Run.objects.create(
        rule=rule, source=rule.source, revision=1, cause="schedule", state="running", claimed_at=now, deadline=now
    )
    held = {"state": "held", "reason": "too_large", "tries": 3}
    Letter.objects.create(source=rule.source, run=run, epoch=0, uid="1", size=1, first_seen_at=now, **held)
    ServiceSettings.current()
    return FetchRule.objects.get()


@pytest.mark.parametrize("what", ACTS)
def test_it_notes_what_it_does(what: str, row: FetchRule, alice: User) -> None:
    before = everything()
    ACTS[what](alice)
    assert noted() == [("alice", what)]
    assert what in EVENTS
    assert everything() != before


@pytest.mark.parametrize("what", ACTS)
def test_it_does_nothing_that_cannot_be_noted(what: str, row: FetchRule, alice: User) -> None:
    before = everything()
    with full_audit(), pytest.raises(DatabaseError, match="disk is full"):
        ACTS[what](alice)
    assert everything() == before


def test_it_notes_no_switch_that_is_refused(make_rule: MakeRule) -> None:
    make_rule(user="shared")
    make_rule(user="shared", enabled=False)
    with pytest.raises(SourceTaken):
        rules.switch_rules(ALL(), on=True, by=None)
    assert (noted(), FetchRule.objects.filter(enabled=True).count()) == ([], 1)


def test_it_notes_only_the_rules_that_it_changed(make_rule: MakeRule) -> None:
    on, off = make_rule(), make_rule(enabled=False)
    paused = make_rule(pause=Pause.BY_HAND, next_poll_at=None)
    steps: list[tuple[Callable[[], list[FetchRule]], list[FetchRule]]] = [
        (lambda: rules.resume_rules(ALL(), by=None), [paused]),
        (lambda: rules.poll_rules(ALL(), by=None), [on, paused]),
        (lambda: rules.switch_rules(ALL(), on=True, by=None), [off]),
        (lambda: rules.pause_rules(ALL().filter(id=on.id), None, by=None), [on]),
        (lambda: rules.pause_rules(ALL(), None, by=None), [off, paused]),
        (lambda: rules.pause_rules(ALL(), None, by=None), []),
    ]
    for do, found in steps:
        AuditEntry.objects.all().delete()
        assert do() == found
        assert [entry.about for entry in AuditEntry.objects.order_by("id")] == [str(rule) for rule in found]


def test_it_notes_no_change_where_nothing_is_changed(make_rule: MakeRule, alice: User) -> None:
    row = make_rule()
    rules.set_rule(row, row.as_rule(MASK), by=alice)
    settings.change_settings({"interval": ServiceSettings.current().interval, "local_domains": ""}, by=alice)
    settings.switch_service(on=True, by=alice)
    letters.declare_sizes("mailserver.ru", wrong=False, by=alice)
    letters.take_up(row, by=alice)
    text.apply(parse(load()), current_version(), by=alice)
    assert noted() == []


def test_it_notes_that_letters_count_as_collected_and_that_they_do_not(make_rule: MakeRule, alice: User) -> None:
    row = make_rule(keep=True)
    for passing in (True, True, False):
        rules.set_rule(row, row.as_rule(MASK), by=alice, pass_present=passing)
        assert SourceMailbox.objects.filter(pass_present=True).exists() == passing
    details = [entry.detail for entry in AuditEntry.objects.order_by("id")]
    assert details == [{"fields": [], "pass_present": True}, {"fields": [], "pass_present": False}]


def test_it_notes_since_which_day_letters_are_collected(make_rule: MakeRule, alice: User) -> None:
    row = make_rule(keep=True)
    rules.set_rule(row, row.as_rule(MASK), by=alice, pass_present=True)
    row = rules.set_rule(row, replace(row.as_rule(MASK), keep=False), by=alice, since=date(2026, 1, 31))
    assert SourceMailbox.objects.values_list("pass_present", "since").get() == (False, date(2026, 1, 31))
    rules.set_rule(row, row.as_rule(MASK), by=alice)
    rules.set_rule(row, row.as_rule(MASK), by=alice, pass_present=False)
    details = [entry.detail for entry in AuditEntry.objects.order_by("id")]
    assert [(one.get("pass_present"), one.get("since")) for one in details] == [
        (True, None),
        (False, "2026-01-31"),
        (None, ""),
    ]


def test_it_takes_a_recipient_of_the_local_domains_only(make_rule: MakeRule, alice: User) -> None:
    row = make_rule(recipient="i.petrov@former.ru")
    ServiceSettings.current()
    ServiceSettings.objects.update(local_domains="mydomain.ru")
    rules.set_rule(row, replace(row.as_rule(MASK), interval=5), by=alice)
    with pytest.raises(RuleInvalid) as refused:
        rules.set_rule(row, replace(row.as_rule(MASK), recipient="i.petrov@elsewhere.ru"), by=alice)
    assert [problem.code for problem in refused.value.problems] == [Code.RECIPIENT_NOT_LOCAL]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("per_host", 0),
        ("interval", -1),
        ("per_host", "many"),
        ("owner_networks", "rubbish"),
        ("alert_webhook", "ftp://a.ru"),
    ],
)
def test_it_takes_no_setting_that_makes_no_sense(name: str, value: object, alice: User) -> None:
    with pytest.raises(settings.SettingInvalid) as refused:
        settings.change_settings({name: value}, by=alice)
    assert (refused.value.name, refused.value.wrong, noted()) == (name, str(value), [])


@pytest.mark.parametrize(
    "act",
    [
        lambda user: settings.change_settings({"interval": 7}, by=user),
        lambda user: settings.switch_service(on=False, by=user),
        lambda user: letters.declare_sizes("mailserver.ru", wrong=True, by=user),
        lambda user: text.apply(parse(""), current_version(), Choices(delete_missing=True), by=user),
        lambda user: text.export_passwords(by=user),
        lambda user: rules.take_over(ALL(), by=user),
    ],
)
def test_it_asks_for_itself_who_may(act: Callable[[User], object], charlie: User) -> None:
    with pytest.raises(PermissionDenied):
        act(charlie)
    assert noted() == []


def test_it_touches_no_rule_and_no_letter_of_another(row: FetchRule, charlie: User) -> None:
    before = everything()
    for act in (rules.poll_rules, rules.resume_rules):
        with pytest.raises(FetchRule.DoesNotExist):
            act(ALL(), by=charlie)
    with pytest.raises(FetchRule.DoesNotExist):
        rules.pause_rules(ALL(), None, by=charlie)
    with pytest.raises(FetchRule.DoesNotExist):
        letters.take_up(row, by=charlie)
    with pytest.raises(Run.DoesNotExist):
        rules.stop_run(Run.objects.get(), by=charlie)
    assert letters.retry(list(Letter.objects.values_list("id", flat=True)), by=charlie) == 0
    assert everything() == before
