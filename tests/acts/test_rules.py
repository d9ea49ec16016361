"""Changing rules one by one: the text follows by as little as can be."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from fetchrules.acts.rules import delete_rules, pause_rules, set_rule, switch_rules
from fetchrules.acts.writer import RuleInvalid, SourceTaken
from fetchrules.errors import PasswordUnreadable
from fetchrules.models import AuditEntry, FetchRule
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import MASK, Encryption, Protocol, Rule
from fetchrules.rulebook.revisions import current_version
from fetchrules.rulebook.rows import password_of
from fetchrules.rulebook.text import load
from fetchrules.ruletext.problem import Code
from tests.conftest import MakeRule
from tests.rulebook.conftest import Applier

NEW = Rule("new.ru", Protocol.IMAP, "new", "two words", "new@mydomain.ru", keep=True)


def rule(user: str) -> FetchRule:
    return FetchRule.objects.get(user=user)


def wanted(user: str, **changes: object) -> Rule:
    return replace(rule(user).as_rule(MASK), **changes)  # type: ignore[arg-type]


def test_it_changes_only_the_word_that_changed(book: str) -> None:
    set_rule(rule("petrov"), wanted("petrov", keep=False, interval=5), by=None)
    set_rule(rule("ivanov"), wanted("ivanov", limit=7), by=None)
    assert load(with_passwords=True) == book.replace("keep ssl  ", "ssl interval 5  ").replace("limit 5m", "limit 7")


def test_it_keeps_the_stored_password_or_takes_another(book: str) -> None:
    set_rule(rule("petrov"), wanted("petrov", encryption=Encryption.STARTTLS), by=None)
    assert password_of(rule("petrov")) == "petrovpasswd"
    set_rule(rule("petrov"), wanted("petrov", password="with blank"), by=None)
    assert password_of(rule("petrov")) == "with blank"
    expected = book.replace("ssl  ", "starttls  ").replace("petrovpasswd", '"with blank"')
    assert load(with_passwords=True) == expected


@pytest.mark.usefixtures("book")
def test_it_leaves_alone_what_a_poll_has_written_meanwhile() -> None:
    seen = rule("petrov")
    FetchRule.objects.filter(user="petrov").update(last_fetched=7, revision=5)
    saved = set_rule(seen, wanted("petrov", keep=False), by=None)
    assert (rule("petrov").last_fetched, rule("petrov").keep, saved.revision) == (7, False, 6)


def test_it_leaves_alone_what_tls_a_poll_sees_while_the_rule_is_written(make_rule: MakeRule) -> None:
    rule = make_rule()

    def see(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """As a poll that ends between the reading of the row and its writing."""
        if sql.startswith('UPDATE "fetchrules_fetchrule"'):
            sees.close()
            FetchRule.objects.filter(pk=rule.pk).update(tls_seen=TlsLevel.VERIFIED)
        return execute(sql, *rest)

    with ExitStack() as sees:
        sees.enter_context(connection.execute_wrapper(see))
        set_rule(rule, replace(rule.as_rule(MASK), interval=7), by=None)
    assert FetchRule.objects.get().tls_seen == TlsLevel.VERIFIED


@pytest.mark.usefixtures("book")
def test_it_says_when_the_rule_is_gone() -> None:
    gone = rule("petrov")
    delete_rules([rule("petrov")], by=None)
    with pytest.raises(FetchRule.DoesNotExist):
        set_rule(gone, gone.as_rule(MASK), by=None)


@pytest.mark.usefixtures("book")
def test_it_does_not_lose_a_password_that_cannot_be_read() -> None:
    FetchRule.objects.filter(user="petrov").update(password="v1:gone:AAAA")
    set_rule(rule("petrov"), wanted("petrov", keep=False), by=None)
    assert rule("petrov").password == "v1:gone:AAAA"
    with pytest.raises(PasswordUnreadable):
        set_rule(rule("petrov"), wanted("petrov", encryption=Encryption.STARTTLS), by=None)


def test_it_puts_a_new_rule_at_the_end(book: str, charlie: User) -> None:
    row = set_rule(None, replace(NEW, recipient=charlie.email), by=charlie)
    assert (row.owner, row.owned, row.revision, row.source.folder) == (charlie, True, 1, "INBOX")
    assert load(with_passwords=True) == book + '\nnew.ru:imap new "two words" charlie@mydomain.ru keep'


def test_it_puts_a_new_rule_below_a_line_without_an_ending(write: Applier) -> None:
    write("a.ru:pop3 a p a@mydomain.ru")
    set_rule(None, replace(NEW, password="p"), by=None)
    assert load(with_passwords=True) == "a.ru:pop3 a p a@mydomain.ru\nnew.ru:imap new p new@mydomain.ru keep"


@pytest.mark.django_db
def test_it_begins_a_text() -> None:
    set_rule(None, NEW, by=None)
    assert load(with_passwords=True) == 'new.ru:imap new "two words" new@mydomain.ru keep\n'


def test_it_counts_every_change_of_the_text(book: str, write: Applier) -> None:
    version = current_version()
    set_rule(rule("petrov"), wanted("petrov", keep=False), by=None)
    switch_rules(FetchRule.objects.filter(user="ivanov"), on=False, by=None)
    delete_rules([rule("sales team")], by=None)
    assert current_version() == version + 3


@pytest.mark.parametrize(
    "change",
    [
        {"recipient": "p@mydomain.ru"},
        {"server": "MailServer.RU"},
        {"server": "ｍailserver.ru"},
        {"encryption": Encryption.STARTTLS},
        {"encryption": Encryption.AUTO, "password": "p"},
        {"encryption": Encryption.PLAINTEXT, "password": "p"},
        {"sslcertck": False, "password": "p"},
        {"port": 995},
        {"port": 110},
    ],
)
@pytest.mark.usefixtures("book")
def test_it_remembers_what_tls_it_saw_of_what_is_connected_to(change: dict[str, Any]) -> None:
    FetchRule.objects.update(tls_seen=TlsLevel.VERIFIED)
    row = rule("petrov")
    set_rule(row, wanted("petrov", **change), by=None)
    assert FetchRule.objects.get(id=row.id).tls_seen == TlsLevel.VERIFIED


@pytest.mark.usefixtures("book")
def test_it_remembers_what_tls_it_saw_whoever_logs_in() -> None:
    FetchRule.objects.update(tls_seen=TlsLevel.VERIFIED)
    row = rule("petrov")
    set_rule(row, replace(row.as_rule("p"), user="another"), by=None)
    assert rule("another").tls_seen == TlsLevel.VERIFIED


@pytest.mark.parametrize(
    "change", [{"server": "another.ru"}, {"port": 1110}, {"protocol": Protocol.IMAP}, {"server": "192.0.2.1"}]
)
@pytest.mark.usefixtures("book")
def test_it_forgets_what_tls_it_saw_of_another_server(change: dict[str, Any]) -> None:
    FetchRule.objects.update(tls_seen=TlsLevel.VERIFIED)
    row = rule("petrov")
    set_rule(row, wanted("petrov", password="p", **change), by=None)
    assert FetchRule.objects.get(id=row.id).tls_seen == TlsLevel.NONE


@pytest.mark.usefixtures("book")
def test_it_knows_nothing_of_who_signed_a_certificate_that_was_pinned() -> None:
    FetchRule.objects.update(tls_seen=TlsLevel.VERIFIED)
    set_rule(rule("petrov"), wanted("petrov", sslfingerprint=("0" * 64,), password="p"), by=None)
    assert rule("petrov").tls_seen == TlsLevel.UNVERIFIED


@pytest.mark.usefixtures("book")
def test_it_refuses_a_rule_that_no_line_can_say() -> None:
    with pytest.raises(RuleInvalid) as refused:
        set_rule(rule("petrov"), wanted("petrov", server="a..b", port=0), by=None)
    assert [problem.code for problem in refused.value.problems] == [Code.SERVER_INVALID, Code.NUMBER_OUT_OF_RANGE]


@pytest.mark.parametrize("keeps", [(False, False), (True, False), (False, True)])
def test_it_refuses_a_second_rule_for_a_mailbox_unless_both_keep(make_rule: MakeRule, keeps: tuple[bool, bool]) -> None:
    make_rule(user="shared", keep=keeps[0])
    again = Rule(
        "MAILSERVER.ru", Protocol.POP3, "shared", "p", "two@mydomain.ru", keep=keeps[1], encryption=Encryption.SSL
    )
    with pytest.raises(SourceTaken):
        set_rule(None, again, by=None)
    assert set_rule(None, replace(again, skip=True), by=None).enabled is False


def test_it_lets_two_rules_share_a_mailbox_if_both_keep(make_rule: MakeRule) -> None:
    make_rule(user="shared", keep=True)
    set_rule(None, Rule("mailserver.ru", Protocol.POP3, "shared", "p", "two@mydomain.ru", keep=True), by=None)
    assert FetchRule.objects.filter(user="shared", enabled=True).count() == 2


@pytest.mark.parametrize("words", [{"flush": True}, {"keepdays": 3}], ids=str)
def test_it_lets_no_rule_share_a_mailbox_that_deletes_what_others_may_not_have(
    make_rule: MakeRule, words: dict[str, Any]
) -> None:
    first = make_rule(user="shared", keep=True)
    deleting = Rule("mailserver.ru", Protocol.POP3, "shared", "p", "two@mydomain.ru", keep=True, **words)
    with pytest.raises(SourceTaken):
        set_rule(None, deleting, by=None)
    set_rule(None, replace(deleting, skip=True), by=None)
    with pytest.raises(SourceTaken):
        switch_rules(FetchRule.objects.exclude(id=first.id), on=True, by=None)


def test_it_looks_at_every_folder_before_it_switches_a_rule_on(make_rule: MakeRule) -> None:
    account = {"protocol": Protocol.IMAP, "user": "shared"}
    make_rule(folders=["A", "B"], **account)
    make_rule(folders=["B"], enabled=False, **account)
    with pytest.raises(SourceTaken):
        switch_rules(FetchRule.objects.all(), on=True, by=None)


def test_it_switches_rules(book: str) -> None:
    assert len(switch_rules(FetchRule.objects.exclude(user="petrov"), on=False, by=None)) == 2
    assert len(switch_rules(FetchRule.objects.exclude(user="petrov"), on=False, by=None)) == 0
    assert load(with_passwords=True) == book.replace("limit 5m", "limit 5m|skip").replace("Items'", "Items' skip")
    assert len(switch_rules(FetchRule.objects.all(), on=True, by=None)) == 2
    assert load(with_passwords=True) == book


@pytest.mark.parametrize("keeps", [(False, False), (True, False)])
def test_it_refuses_to_switch_on_what_cannot_share(make_rule: MakeRule, keeps: tuple[bool, bool]) -> None:
    rows = [make_rule(user="shared", keep=keep, enabled=not number) for number, keep in enumerate(keeps)]
    with pytest.raises(SourceTaken):
        switch_rules(FetchRule.objects.filter(id=rows[1].id), on=True, by=None)
    assert not FetchRule.objects.get(id=rows[1].id).enabled


def test_it_deletes_a_line_and_leaves_the_comments(book: str) -> None:
    assert len(delete_rules([rule("petrov"), rule("sales team")], by=None)) == 2
    assert load(with_passwords=True) == (
        "\ufeff# Accounts\r\n\r\nmailserver.ru:pop3|ivanov|iv\\|an|i.ivanov@mydomain.ru|limit 5m\n# Sales\n# end"
    )


@pytest.mark.usefixtures("book")
def test_it_deletes_everything_but_the_comments() -> None:
    assert len(delete_rules(FetchRule.objects.all(), by=None)) == 3
    assert load() == "\ufeff# Accounts\r\n\r\n# Sales\n# end"


def test_it_notes_that_saving_ended_a_pause(make_rule: MakeRule) -> None:
    make_rule()
    pause_rules(FetchRule.objects.all(), None, by=None)
    row = FetchRule.objects.select_related("source").get()
    set_rule(row, row.as_rule(MASK), by=None)
    set_rule(row, row.as_rule(MASK), by=None)
    assert list(AuditEntry.objects.order_by("id").values_list("what", flat=True)) == ["rule_paused", "rule_resumed"]
