"""Which ledger a rule reads."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from fetchrules.acts.rules import delete_rules, set_rule
from fetchrules.ledger.source_mailboxes import TO_BE_PASSED, Ledger
from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.policy.known import State
from fetchrules.rule import MASK, Protocol, Rule
from fetchrules.rulebook.ledgers import Saved, ledgers_left, settle
from tests.rulebook.conftest import Applier

PETROV, SIDOROV, THIRD = "i.petrov@mydomain.ru", "sidorov@mydomain.ru", "third@mydomain.ru"
RULE = Rule("mailserver.ru", Protocol.POP3, "petrov", "petrovpasswd", PETROV, keep=True)

pytestmark = pytest.mark.django_db


def new(recipient: str = PETROV, **changes: Any) -> FetchRule:
    return set_rule(None, replace(RULE, recipient=recipient, **changes), by=None)


def edited(row: FetchRule, **changes: Any) -> FetchRule:
    return set_rule(row, replace(row.as_rule(RULE.password), **changes), by=None)


def collected(*rules: FetchRule) -> None:
    """A letter of each."""
    for rule in rules:
        what: dict[str, Any] = {"source": rule.source, "recipient": rule.recipient, "first_seen_at": timezone.now()}
        Letter.objects.create(epoch=0, uid=str(rule.id), state=State.DELIVERED, size=1, **what)


def letters_of(row: FetchRule) -> list[str]:
    """Whose letters the rule's ledger has."""
    return list(Letter.objects.filter(source=row.source).values_list("recipient", flat=True))


def test_it_gives_each_recipient_a_ledger_of_their_own() -> None:
    petrov, sidorov, again = new(), new(SIDOROV), new("I.Petrov@MyDomain.RU")
    assert petrov.source == again.source
    assert petrov.source.recipient == PETROV
    assert sidorov.source.recipient == SIDOROV


def test_it_gives_back_the_ledger_to_a_rule_made_anew() -> None:
    petrov, sidorov = new(), new(SIDOROV)
    collected(petrov, sidorov)
    delete_rules([petrov, sidorov], by=None)
    assert letters_of(new(SIDOROV)) == [SIDOROV]
    assert letters_of(new()) == [PETROV]


def test_it_lets_addresses_of_one_maildir_share_the_first_ledger(settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "maildir:/var/mail/{local}"
    first, second = new("petrov@one.ru"), new("Petrov@two.ru")
    assert first.source == second.source
    assert first.source.recipient == "petrov@one.ru"
    assert edited(second, interval=5).source == first.source


def test_it_orphans_no_ledger_when_maildirs_go_elsewhere(settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "maildir:/var/mail/{local}"
    alone = new("petrov@one.ru")
    collected(alone)
    settings.UTM_MAIL_DELIVERY = "maildir:/srv/{domain}/{local}"
    assert letters_of(edited(alone, interval=5)) == ["petrov@one.ru"]
    settings.UTM_MAIL_DELIVERY = "lmtp:/run/lmtp"
    assert letters_of(edited(alone, interval=6)) == ["petrov@one.ru"]


def test_it_parts_those_whose_maildir_was_one(settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "maildir:/var/mail/{local}"
    first, second = new("petrov@one.ru"), new("petrov@two.ru")
    collected(first)
    settings.UTM_MAIL_DELIVERY = "maildir:/var/mail/{domain}/{local}"
    assert letters_of(edited(second, interval=5)) == []
    assert letters_of(edited(first, interval=5)) == ["petrov@one.ru"]


def test_it_takes_the_letters_of_the_only_rule_along() -> None:
    row = new()
    collected(row)
    ledger = row.source_id
    moved = edited(row, recipient=SIDOROV)
    assert (moved.source_id, moved.source.recipient) == (ledger, SIDOROV)
    assert letters_of(new()) == []


def test_it_leaves_the_letters_of_another_reader_alone() -> None:
    petrov, sidorov = new(), new(SIDOROV)
    collected(petrov, sidorov)
    third = edited(petrov, recipient=THIRD)
    assert letters_of(third) == []
    assert letters_of(edited(third, recipient=PETROV)) == [PETROV]


def test_it_leaves_the_letters_to_a_rule_that_stays() -> None:
    first, second = new(), new()
    collected(first)
    assert letters_of(edited(second, recipient=SIDOROV)) == []
    assert letters_of(first) == [PETROV]


def test_it_prefers_what_the_new_recipient_has(write: Applier) -> None:
    sidorov = new(SIDOROV)
    collected(sidorov)
    delete_rules([sidorov], by=None)
    row = new()
    collected(row)
    moved = edited(row, recipient=SIDOROV)
    assert letters_of(moved) == [SIDOROV]
    assert letters_of(edited(moved, recipient=PETROV)) == [PETROV]


def test_it_takes_along_folder_by_folder() -> None:
    imap: dict[str, Any] = {"protocol": Protocol.IMAP, "folders": ("INBOX", "Sales", "Orders")}
    sidorov = new(SIDOROV, **imap | {"folders": ("Sales",)})
    collected(sidorov)
    delete_rules([sidorov], by=None)
    row = new(**imap)
    third = new(THIRD, **imap | {"folders": ("Orders",)})
    collected(row, third)
    edited(row, recipient=SIDOROV)
    ledgers = SourceMailbox.objects.values_list("folder", "recipient")
    assert sorted(folder for folder, recipient in ledgers if recipient == PETROV) == ["Orders", "Sales"]
    assert sorted(folder for folder, recipient in ledgers if recipient == SIDOROV) == ["INBOX", "Orders", "Sales"]
    assert letters_of(FetchRule.objects.get(pk=row.pk)) == [PETROV]


def test_it_takes_the_recipient_along_before_the_account() -> None:
    row = new()
    collected(row)
    moved = edited(row, recipient=SIDOROV, server="new.ru")
    former = moved.source.continues
    assert former is not None
    assert (former.host, former.recipient, former.letters.count()) == ("mailserver.ru", SIDOROV, 1)
    assert letters_of(new()) == []


def test_it_continues_the_letters_that_the_new_recipient_has() -> None:
    sidorov = new(SIDOROV)
    collected(sidorov)
    delete_rules([sidorov], by=None)
    row = new()
    collected(row)
    moved = edited(row, recipient=SIDOROV, server="new.ru")
    assert moved.source.continues == sidorov.source
    assert letters_of(new()) == [PETROV]


def test_it_lets_one_go_to_another_server_and_the_other_to_another_recipient(write: Applier) -> None:
    line = "{}:pop3 petrov petrovpasswd {} keep interval {}\n"
    write(line.format("old.ru", PETROV, 1) + line.format("old.ru", PETROV, 2))
    collected(FetchRule.objects.first() or new())
    write(line.format("new.ru", PETROV, 1) + line.format("old.ru", SIDOROV, 2), delete_missing=True)
    here, there = FetchRule.objects.get(server="old.ru"), FetchRule.objects.get(server="new.ru")
    assert letters_of(here) == [PETROV]
    assert there.source.continues == here.source


@pytest.mark.parametrize("names", [(PETROV, SIDOROV), (SIDOROV, PETROV)], ids=str)
def test_it_gives_each_their_own_when_rules_exchange_recipients(names: tuple[str, str]) -> None:
    rows = [new(name) for name in names]
    collected(rows[0])
    exchanged = {row.id: Saved(replace(RULE, recipient=name), row) for row, name in zip(rows, names[::-1], strict=True)}
    found = settle(exchanged)
    assert [found[row.id][0].recipient for row in rows] == list(names[::-1])
    assert found[rows[1].id] == [rows[0].source]


def test_it_hands_over_where_the_last_other_reader_goes() -> None:
    petrov, sidorov = new(), new(SIDOROV)
    collected(petrov)
    (ledger,) = settle({0: Saved(replace(RULE, recipient=THIRD), petrov)}, [sidorov.id])[0]
    assert (ledger.pk, ledger.recipient) == (petrov.source_id, THIRD)


def test_it_keeps_accounts_apart() -> None:
    collected(new(), new(SIDOROV, server="elsewhere.ru"))
    assert letters_of(new(SIDOROV)) == []
    assert letters_of(new(SIDOROV, server="elsewhere.ru")) == [SIDOROV]


@pytest.mark.parametrize(
    ("coming", "marked"),
    [
        pytest.param([], True, id="no rule"),
        pytest.param([(RULE, False)], False, id="one that comes to it"),
        pytest.param([(replace(RULE, recipient=SIDOROV), False)], True, id="one for another recipient"),
        pytest.param([(replace(RULE, user="ivanov"), False)], True, id="one of another account"),
        pytest.param([(RULE, True)], True, id="one that reads it"),
        pytest.param([(replace(RULE, recipient=SIDOROV), True)], True, id="one that takes it along"),
        pytest.param([(RULE, True), (RULE, False)], True, id="one that reads it and one that comes"),
        pytest.param(
            [(replace(RULE, server="new.ru"), True), (RULE, False)], False, id="one that goes and one that comes"
        ),
    ],
)
@pytest.mark.parametrize("mark", [{"pass_present": True}, {"since": date(2026, 1, 1)}], ids=["all", "since"])
def test_it_takes_away_the_mark_of_a_rule_that_is_gone(
    mark: dict[str, Any], coming: list[tuple[Rule, bool]], marked: bool
) -> None:
    row = new()
    SourceMailbox.objects.update(**mark)
    saved = {key: Saved(rule, row if is_known else None) for key, (rule, is_known) in enumerate(coming)}
    settle(saved, [row.id])
    assert SourceMailbox.objects.filter(TO_BE_PASSED, pk=row.source_id).exists() == marked


def test_it_leaves_the_mark_to_who_reads_the_ledger() -> None:
    new()
    SourceMailbox.objects.update(pass_present=True)
    settle({-1: Saved(RULE)})
    assert SourceMailbox.objects.get().pass_present


def test_it_takes_the_mark_from_every_folder() -> None:
    row = new(protocol=Protocol.IMAP, folders=("INBOX", "Sales"))
    SourceMailbox.objects.update(pass_present=True)
    settle({-1: Saved(replace(row.as_rule(MASK), folders=()))}, [row.id])
    assert not SourceMailbox.objects.filter(pass_present=True).exists()


def test_it_asks_little_however_many_rules_come(
    write: Applier, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    line = "mailserver.ru:pop3 u{} p {}@mydomain.ru keep\n"
    write("".join(line.format(number, "i.petrov") for number in range(200)))
    collected(*FetchRule.objects.select_related("source"))
    wanted = {number: Saved(replace(RULE, recipient=SIDOROV, user=f"u{number}")) for number in range(200)}
    with django_assert_max_num_queries(8):
        assert {rows[0].recipient for rows in settle(wanted).values()} == {SIDOROV}


def test_it_continues_no_ledger_that_the_former_recipient_still_reads() -> None:
    stays, leaves = new(), new()
    collected(stays)
    moved = edited(leaves, server="new.ru", recipient=SIDOROV)
    assert moved.source.continues is None


def test_it_keeps_its_ledger_where_the_new_address_is_the_same_maildir(settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "maildir:/var/mail/{domain}/{local}"
    one, two = new("petrov@one.ru"), new("petrov@two.ru")
    collected(one)
    delete_rules([two], by=None)
    settings.UTM_MAIL_DELIVERY = "maildir:/var/mail/{local}"
    assert letters_of(edited(one, recipient="petrov@two.ru")) == ["petrov@one.ru"]


def test_it_joins_the_reader_of_the_new_address(settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "maildir:/var/mail/{domain}/{local}"
    one, two = new("petrov@one.ru"), new("petrov@two.ru")
    settings.UTM_MAIL_DELIVERY = "maildir:/var/mail/{local}"
    assert edited(one, recipient="petrov@two.ru").source == two.source


def test_it_counts_no_reader_that_is_deleted_at_once() -> None:
    leaves, other = new(), new()
    wanted = replace(RULE, server="new.ru", recipient=SIDOROV)
    assert ledgers_left({0: (wanted, leaves)}) == {}
    assert ledgers_left({0: (wanted, leaves)}, [other.id]) == {0: Ledger.of(leaves.source)}
