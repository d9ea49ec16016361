"""Which rules read the same mailbox."""

from dataclasses import replace

import pytest
from pytest_django import DjangoAssertNumQueries

from fetchrules.ledger.source_mailboxes import former_of, found_or_made, source_of, sources_of
from fetchrules.models import SourceMailbox
from fetchrules.rule import Encryption, Protocol, Rule
from fetchrules.ruletext.sources import account_of

RULE = Rule("mailserver.ru", Protocol.POP3, "petrov", "petrovpasswd", "i.petrov@mydomain.ru")


@pytest.mark.parametrize(
    "other",
    [
        replace(RULE, recipient="other@mydomain.ru", keep=True),
        replace(RULE, encryption=Encryption.SSL),
        replace(RULE, port=995),
        replace(RULE, server="MailServer.RU."),
    ],
)
def test_it_keeps_the_ledger_of_a_mailbox_that_is_reached_in_another_way(other: Rule) -> None:
    assert account_of(other) == account_of(RULE)


@pytest.mark.parametrize(
    "other",
    [
        replace(RULE, server="mailserver.com"),
        replace(RULE, user="Petrov"),
        replace(RULE, port=1110),
        replace(RULE, protocol=Protocol.IMAP),
    ],
)
def test_it_begins_another_ledger_for_another_mailbox(other: Rule) -> None:
    assert account_of(other) != account_of(RULE)


@pytest.mark.parametrize(
    ("one", "other"),
    [("почта.рф", "xn--80a1acny.xn--p1ai"), ("2001:db8::0:1", "[2001:DB8::1]"), ("127.0.0.1", "127.0.0.1")],
)
def test_it_knows_one_host_in_several_spellings(one: str, other: str) -> None:
    assert account_of(replace(RULE, server=one)) == account_of(replace(RULE, server=other))


def test_it_takes_what_is_no_host_name_as_it_is() -> None:
    assert account_of(replace(RULE, server="x" * 80 + ".Ы")).host.startswith("xxx")


@pytest.mark.django_db
def test_it_reads_each_folder_of_an_imap_rule_as_a_mailbox_of_its_own() -> None:
    rule = replace(RULE, protocol=Protocol.IMAP, folders=("INBOX", "Заказы"))
    assert [source.folder for source in sources_of(rule)] == ["INBOX", "Заказы"]
    assert sources_of(rule) == sources_of(rule)
    assert SourceMailbox.objects.count() == 2
    assert [source.folder for source in sources_of(replace(rule, folders=()))] == ["INBOX"]


@pytest.mark.django_db
def test_it_finds_and_makes_many_rows_in_few_queries(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    wanted = {(account_of(replace(RULE, user=f"petrov{number}")), f"{number % 2}@mydomain.ru") for number in range(50)}
    with django_assert_max_num_queries(3):
        made = found_or_made(wanted)
    assert {(source_of(row), row.recipient) for row in made.values()} == wanted
    assert found_or_made(wanted) == made


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("links", "chain"),
    [
        ([], []),
        ([(0, 1)], ["1"]),
        ([(0, 1), (1, 2)], ["1", "2"]),
        ([(0, 1), (1, 0)], ["1"]),
        ([(0, 1), (1, 2), (2, 1)], ["1", "2"]),
    ],
)
def test_it_follows_former_ledgers_to_the_end_and_round_no_circle(
    links: list[tuple[int, int]], chain: list[str]
) -> None:
    rows = [sources_of(replace(RULE, user=str(number)))[0] for number in range(3)]
    for later, former in links:
        rows[later].continues = rows[former]
        rows[later].save()
    assert [source.user for source in former_of(SourceMailbox.objects.get(user="0"))] == chain
