"""Handing over another collector's list: who may, which mailboxes it is filed with, and what is noted."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from fetchrules.acts.fetched import apply_and_take_over, take_over
from fetchrules.models import AuditEntry, FetchedBefore, FetchRule
from fetchrules.rulebook.apply import TextChanged
from fetchrules.rulebook.revisions import current_version
from fetchrules.ruletext.document import parse
from fetchrules.ruletext.formats.fetched import read_fetched
from tests.rulebook.conftest import Applier

LIST = read_fetched("petrov@POP.ru a\npetrov@POP.ru b\nsidorov@pop.ru c\n", ".fetchids")
RULES = (
    "pop.ru:pop3 petrov p one@mydomain.ru keep\n"
    "pop.ru:pop3 petrov p two@mydomain.ru keep\n"
    "pop.ru:pop3 petrov p three@mydomain.ru keep port 1110 skip\n"
    "pop.ru:imap petrov p four@mydomain.ru keep\n"
    "pop.ru:pop3 ivanov p five@mydomain.ru keep\n"
)


def waiting() -> dict[str, list[str]]:
    """What waits, by recipient."""
    return dict(FetchedBefore.objects.values_list("source__recipient", "uids"))


def test_it_files_a_list_with_every_pop3_mailbox_of_its_account(write: Applier) -> None:
    write(RULES)
    handed = take_over(LIST, by=None, note=".fetchids")
    assert [(one.fetched.account, one.rules) for one in handed] == [("petrov@POP.ru", 3), ("sidorov@pop.ru", 0)]
    assert waiting() == {f"{name}@mydomain.ru": ["a", "b"] for name in ("one", "two", "three")}
    entry = AuditEntry.objects.get(what="fetched_lists_filed")
    assert (entry.about, entry.detail) == (".fetchids", {"accounts": 1, "count": 2, "unmatched": 1})


def test_it_files_getmails_list_with_the_folder_that_it_is_of(write: Applier) -> None:
    write("imap.ru:imaps petrov p one@mydomain.ru keep folder INBOX folder Sent\n")
    (handed,) = take_over(read_fetched("7/1\0001700000000\n", "oldmail-imap.ru-993-petrov-Sent"), by=None)
    assert handed.rules == 1
    assert list(FetchedBefore.objects.values_list("source__folder", "uids")) == [("Sent", ["7/1"])]


def test_it_notes_nothing_where_no_rule_collects(write: Applier) -> None:
    write("pop.ru:pop3 ivanov p five@mydomain.ru keep\n")
    assert [one.rules for one in take_over(LIST, by=None)] == [0, 0]
    assert not AuditEntry.objects.filter(what="fetched_lists_filed").exists()


def test_it_files_the_list_with_the_rules_of_the_same_text(write: Applier) -> None:
    write("")
    _applied, handed = apply_and_take_over(parse(RULES), current_version(), lists=LIST, by=None)
    assert [one.rules for one in handed] == [3, 0]
    assert len(waiting()) == 3


def test_it_files_nothing_if_the_text_is_not_applied(write: Applier) -> None:
    write(RULES)
    with pytest.raises(TextChanged):
        apply_and_take_over(parse(RULES), current_version() + 1, lists=LIST, by=None)
    assert waiting() == {}


def test_only_an_administrator_may(write: Applier, erin: User, alice: User, bob: User) -> None:
    write(RULES)
    for one in (erin, bob):
        with pytest.raises(PermissionDenied):
            take_over(LIST, by=one)
    with pytest.raises(PermissionDenied):
        apply_and_take_over(parse(""), current_version(), lists=LIST, by=erin)
    assert (waiting(), FetchRule.objects.count()) == ({}, 5)
    take_over(LIST, by=alice)
    assert len(waiting()) == 3
