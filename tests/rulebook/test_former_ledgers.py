"""A mailbox with another name goes on with its ledger, and nothing of it is moved."""

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from fetchrules.acts.rules import delete_rules, set_rule
from fetchrules.ledger.source_mailboxes import former_of, source_of
from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.rule import Protocol, Rule
from fetchrules.rulebook.apply import MeaningUnsaid
from fetchrules.rulebook.edits import LedgerTaken
from fetchrules.rulebook.ledgers import offered_to
from tests.conftest import MakeRule
from tests.rulebook.conftest import Applier
from tests.rulebook.texts import preview

NEW = Rule("new.ru", Protocol.POP3, "petrov", "petrovpasswd", "i.petrov@mydomain.ru", keep=True)


def collected(rule: FetchRule, number: int = 1) -> None:
    """Letters of it."""
    now = timezone.now()
    for each in range(number):
        uid = f"{rule.id}-{rule.recipient}-{each}"
        what: dict[str, Any] = {"source": rule.source, "recipient": rule.recipient, "first_seen_at": now}
        Letter.objects.create(epoch=0, uid=uid, state="delivered", size=1, **what)


def renamed(row: FetchRule, *, other_mailbox: bool = False, **changes: Any) -> FetchRule:
    wanted = replace(row.as_rule("petrovpasswd"), **changes)
    return set_rule(row, wanted, other_mailbox=other_mailbox, by=None)


def continues(row: FetchRule) -> list[str]:
    """The hosts of the ledgers that the rule's own continues."""
    row.refresh_from_db()
    return [source.host for source in former_of(SourceMailbox.objects.get(id=row.source_id))]


@pytest.mark.parametrize(
    "changes",
    [
        {"server": "new.ru"},
        {"user": "petrov@mailserver.ru"},
        {"port": 1110},
        {"protocol": Protocol.IMAP, "uidl": True},
        {"server": "new.ru", "user": "petrov@mailserver.ru", "protocol": Protocol.IMAP},
    ],
    ids=str,
)
def test_it_goes_on_with_the_ledger_of_the_former_name(changes: dict[str, Any], make_rule: MakeRule) -> None:
    row = make_rule(keep=True)
    collected(row)
    saved = renamed(row, **changes)
    assert saved.source.continues_id == row.source_id
    assert Letter.objects.get().source_id == row.source_id


def test_it_reads_pop3_as_the_inbox_and_the_inbox_as_pop3(make_rule: MakeRule) -> None:
    row = make_rule(protocol=Protocol.IMAP, folders=["Sales", "INBOX"], keep=True)
    inbox = SourceMailbox.objects.get(folder="INBOX")
    row = renamed(row, protocol=Protocol.POP3, folders=())
    assert row.source.continues_id == inbox.id
    row = renamed(row, protocol=Protocol.IMAP, server="new.ru")
    assert (row.source.folder, row.source.continues.folder) == ("INBOX", "")  # type: ignore[union-attr]  # it has one


def test_it_goes_on_folder_by_folder(make_rule: MakeRule) -> None:
    row = make_rule(protocol=Protocol.IMAP, folders=["INBOX", "Sales"], keep=True)
    renamed(row, server="new.ru", folders=("Sales", "Orders", "inbox"))
    links = SourceMailbox.objects.filter(host="new.ru").values_list("folder", "continues__folder")
    assert dict(links) == {"Sales": "Sales", "Orders": None, "INBOX": "INBOX"}


@pytest.mark.parametrize("changes", [{"recipient": "other@mydomain.ru"}, {"port": 995}, {"server": "MAILSERVER.ru"}])
def test_it_continues_nothing_where_the_account_is_the_same(changes: dict[str, Any], make_rule: MakeRule) -> None:
    row = renamed(make_rule(keep=True), **changes)
    assert row.source.continues is None


def test_it_continues_nothing_where_it_is_another_mailbox(make_rule: MakeRule) -> None:
    row = renamed(make_rule(keep=True), server="new.ru", other_mailbox=True)
    assert row.source.continues is None


def test_it_takes_it_back_when_it_turns_out_to_be_another_mailbox(make_rule: MakeRule) -> None:
    row = renamed(make_rule(keep=True), server="new.ru")
    assert continues(row) == ["mailserver.ru"]
    renamed(row, interval=5)
    assert continues(row) == ["mailserver.ru"]
    renamed(row, interval=5, other_mailbox=True)
    assert continues(row) == []


def test_it_knows_every_former_name_however_often_they_change(make_rule: MakeRule) -> None:
    row = make_rule(server="a.ru", keep=True)
    for server, chain in [
        ("b.ru", ["a.ru"]),
        ("c.ru", ["b.ru", "a.ru"]),
        ("b.ru", ["c.ru", "a.ru"]),
        ("a.ru", ["b.ru", "c.ru"]),
        ("a.ru", ["b.ru", "c.ru"]),
    ]:
        row = renamed(row, server=server)
        assert continues(row) == chain


def test_it_leaves_the_ledger_of_another_rule_as_it_is(make_rule: MakeRule) -> None:
    reader = renamed(make_rule(server="x.ru", user="petrov", keep=True), server="new.ru")
    row = renamed(make_rule(user="petrov", keep=True), server="new.ru")
    assert (row.source_id, continues(reader)) == (reader.source_id, ["x.ru"])


def test_it_takes_over_only_what_nobody_else_reads(make_rule: MakeRule) -> None:
    row = make_rule(user="petrov", keep=True)
    alone = renamed(row, server="new.ru", recipient="other@mydomain.ru")
    assert continues(alone) == ["mailserver.ru"]
    shared = [make_rule(user="shared", recipient=f"{one}@mydomain.ru", keep=True) for one in ("one", "two")]
    moved = renamed(shared[0], server="new.ru", recipient="three@mydomain.ru")
    assert continues(moved) == []


def test_it_offers_a_new_rule_the_ledger_without_a_rule(make_rule: MakeRule) -> None:
    gone = make_rule(server="old.ru", keep=True)
    collected(gone, 3)
    for_another = make_rule(server="old.ru", recipient="other@mydomain.ru", keep=True)
    collected(for_another)
    collected(make_rule(server="old.ru", keep=True))
    assert offered_to(NEW) == []
    delete_rules([gone, for_another], by=None)
    (offer,) = offered_to(replace(NEW, recipient="I.PETROV@mydomain.ru"))
    assert (offer.ledger.account, offer.letters) == (source_of(gone.source), 3)
    saved = set_rule(None, NEW, same_mailbox=offer.name, by=None)
    assert saved.source.continues_id == gone.source_id
    assert offered_to(NEW) == []


def test_it_offers_no_ledger_that_is_found_by_itself_or_was_taken_over(make_rule: MakeRule) -> None:
    row = make_rule(server="new.ru", user="petrov", keep=True)
    collected(row)
    delete_rules([row], by=None)
    assert offered_to(NEW) == []
    taken_over = make_rule(server="old.ru", keep=True)
    collected(taken_over)
    delete_rules([renamed(taken_over, recipient="other@mydomain.ru")], by=None)
    assert offered_to(NEW) == []


def test_it_offers_a_chain_of_ledgers_once(make_rule: MakeRule) -> None:
    row = make_rule(server="a.ru", keep=True)
    collected(row)
    row = renamed(row, server="b.ru")
    assert offered_to(NEW) == []
    delete_rules([row], by=None)
    assert [offer.ledger.account.host for offer in offered_to(NEW)] == ["a.ru"]
    collected(row)
    assert [offer.ledger.account.host for offer in offered_to(NEW)] == ["b.ru"]


def test_it_gives_a_rule_no_ledger_that_is_not_offered(make_rule: MakeRule) -> None:
    gone = make_rule(server="old.ru", recipient="other@mydomain.ru", keep=True)
    collected(gone)
    delete_rules([gone], by=None)
    with pytest.raises(LedgerTaken):
        set_rule(None, NEW, same_mailbox=gone.source_id, by=None)
    assert not FetchRule.objects.exists()


LINE = "{}:pop3 petrov petrovpasswd i.petrov@mydomain.ru keep\n"


def links() -> dict[str, str | None]:
    """Which host's ledger continues which."""
    return dict(SourceMailbox.objects.values_list("host", "continues__host"))


def test_it_says_which_mailboxes_got_another_name_and_goes_on(write: Applier) -> None:
    write(LINE.format("old.ru"))
    seen = preview(LINE.format("new.ru"))
    assert [entry.rule.server for entry in seen.renamed] == ["new.ru"]
    assert preview(LINE.format("old.ru").replace("keep", "keep interval 5")).renamed == ()
    done = write(LINE.format("new.ru"))
    assert (done.changed, done.continued, done.begun) == (1, 1, 0)
    assert links() == {"old.ru": None, "new.ru": "old.ru"}


def test_it_begins_where_the_mailbox_is_said_to_be_another(write: Applier) -> None:
    write(LINE.format("old.ru"))
    done = write(LINE.format("new.ru"), other_mailbox=True)
    assert (done.continued, done.begun) == (0, 1)
    assert links() == {"old.ru": None, "new.ru": None}


def test_it_knows_a_removed_rule_in_an_added_one(write: Applier) -> None:
    accounts = ["old.ru:pop3 a p", "old.ru:pop3 b p", "older.ru:pop3 c p"]
    write("".join(f"{account} i.petrov@mydomain.ru keep\n" for account in accounts))
    new = ["old.ru:imap b@old.ru p", "old.ru:imap a@old.ru p", "new.ru:pop3 C@new.ru p", "new.ru:pop3 d p"]
    text = "".join(f"{account} i.petrov@mydomain.ru keep uidl\n" for account in new)
    assert preview(text).renamed == ()
    write(text, delete_missing=True)
    rules = FetchRule.objects.values_list("user", "source__continues__user")
    assert dict(rules) == {"b@old.ru": "b", "a@old.ru": "a", "C@new.ru": "c", "d": None}


def test_it_offers_new_lines_the_ledger_without_a_rule(write: Applier, make_rule: MakeRule) -> None:
    gone = make_rule(server="old.ru", keep=True)
    collected(gone, 2)
    delete_rules([gone], by=None)
    (entry,) = preview(LINE.format("new.ru")).adoptable
    assert entry.orphan is not None
    assert (entry.orphan.ledger.account.host, entry.orphan.letters) == ("old.ru", 2)
    assert write(LINE.format("new.ru")).continued == 0
    delete_rules(FetchRule.objects.all(), by=None)
    assert write(LINE.format("new.ru"), same_mailbox=True).continued == 1
    assert links() == {"old.ru": None, "new.ru": "old.ru"}


def test_it_offers_nothing_where_several_could_be_meant(make_rule: MakeRule) -> None:
    gone = [make_rule(server=server, keep=True) for server in ("a.ru", "b.ru")]
    for row in gone:
        collected(row)
    delete_rules(gone, by=None)
    assert preview(LINE.format("new.ru")).adoptable == ()


def test_it_lets_nobody_apply_what_was_not_said(write: Applier) -> None:
    write(LINE.format("old.ru"))
    with pytest.raises(MeaningUnsaid) as unsaid:
        write(LINE.format("new.ru"), told="")
    assert len(unsaid.value.preview.renamed) == 1
    assert FetchRule.objects.get().server == "old.ru"
    write(LINE.format("old.ru") + "new.ru:pop3 x p x@mydomain.ru\n", told="")
    with pytest.raises(MeaningUnsaid):
        write(LINE.format("newest.ru"), told=unsaid.value.preview.meaning)
    write(LINE.format("new.ru"), told=preview(LINE.format("new.ru")).meaning)
    assert FetchRule.objects.filter(server="new.ru", user="petrov").exists()


def test_it_asks_little_however_many_mailboxes_get_another_name(
    write: Applier, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    line = "{}:pop3 u{} p u{}@mydomain.ru keep\n"
    write("".join(line.format("old.ru", number, number) for number in range(200)))
    with django_assert_max_num_queries(60):
        done = write("".join(line.format("new.ru", number, number) for number in range(200)))
    assert done.continued == 200
