"""Lists of fetched letters, as fetchmail 6.4.37, getmail 6.18 and mpop 1.4.18 wrote them for three mailboxes of one Dovecot."""

from pathlib import Path

import pytest

from fetchrules.rule import Protocol
from fetchrules.ruletext.formats.fetched import Collector, UnreadableList, hand_over, read_fetched
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.sources import Source

REAL = Path(__file__).parent / "fetched"
UIDS = frozenset(f"0000000{number}6b0a1713" for number in (1, 2, 3))
IMAP_UIDS = frozenset(f"1795823379/{number}" for number in (1, 2, 3))
POP3_PORT, IMAP_PORT = 59985, 51033


def source(host: str, user: str, port: int = 0, protocol: Protocol = Protocol.POP3) -> Source:
    return Source(protocol, host, port, user, "INBOX" if protocol is Protocol.IMAP else "")


PETROV, IVANOV, ANNA = (
    source("127.0.0.1", "petrov", POP3_PORT),
    source("localhost", "ivanov@mail.example", POP3_PORT),
    source("localhost", "anna-maria 1-2", POP3_PORT),
)
STRANGERS = [
    source("localhost", "petrov", POP3_PORT),
    source("127.0.0.1", "Petrov", POP3_PORT),
    source("127.0.0.1", "petrov", POP3_PORT, Protocol.IMAP),
    source("mail.example@localhost", "ivanov", POP3_PORT),
]


@pytest.mark.parametrize(("name", "collector"), [("fetchids", Collector.FETCHMAIL), ("uidls", Collector.MPOP)])
def test_it_reads_whose_letters_a_list_names(name: str, collector: Collector) -> None:
    lists = read_fetched((REAL / name).read_text(), name)
    assert {one.account for one in lists} == {
        "petrov@127.0.0.1",
        "ivanov@mail.example@localhost",
        "anna-maria 1-2@Localhost",
    }
    assert {(one.collector, one.uids) for one in lists} == {(collector, UIDS)}
    readers = dict.fromkeys([PETROV, IVANOV, ANNA, *STRANGERS], 1)
    found = {one.fetched.account: one.sources for one in hand_over(lists, readers)}
    assert found == {
        "petrov@127.0.0.1": (PETROV,),
        "ivanov@mail.example@localhost": (IVANOV,),
        "anna-maria 1-2@Localhost": (ANNA,),
    }


@pytest.mark.parametrize("path", sorted(REAL.glob("oldmail-*")), ids=lambda path: str(path.name))
def test_it_reads_whose_letters_the_name_of_getmails_list_says(path: Path) -> None:
    (fetched,) = read_fetched(path.read_text(), path.name)
    by_imap = str(IMAP_PORT) in path.name
    assert (fetched.collector, fetched.uids) == (Collector.GETMAIL, IMAP_UIDS if by_imap else UIDS)
    pop3 = [PETROV, IVANOV, ANNA]
    imap = [source(one.host, one.user, IMAP_PORT, Protocol.IMAP) for one in pop3]
    (handed,) = hand_over([fetched], dict.fromkeys([*pop3, *imap, *STRANGERS], 1))
    (owner,) = handed.sources
    assert owner.user in path.name
    assert owner in (imap if by_imap else pop3)


OLDMAIL = "a1\0001700000000\n"


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("oldmail-pop.mail.ru-110-petrov", source("pop.mail.ru", "petrov")),
        ("oldmail-POP.Mail.ru-995-petrov", source("pop.mail.ru", "petrov")),
        ("oldmail-pop-1-2.ru-110-petrov-110-x", source("pop-1-2.ru", "petrov-110-x")),
        ("oldmail-почта.рф-110-petrov", source("xn--80a1acny.xn--p1ai", "petrov")),
        ("oldmail--1-110-DOM-petrov", source("::1", "DOM\\petrov")),
        ("oldmail-imap.mail.ru-993-petrov-INBOX", source("imap.mail.ru", "petrov", protocol=Protocol.IMAP)),
        ("oldmail-imap.mail.ru-993-petrov-a.b", Source(Protocol.IMAP, "imap.mail.ru", 0, "petrov", "a/b")),
    ],
)
def test_it_knows_getmails_names_of_awkward_accounts(name: str, owner: Source) -> None:
    (handed,) = hand_over(read_fetched(OLDMAIL, name), {owner: 2, source("other.ru", "petrov"): 1})
    assert (handed.sources, handed.rules) == ((owner,), 2)


def test_it_counts_the_rules_of_a_list_and_a_list_that_has_none() -> None:
    lists = read_fetched("petrov@POP.mail.ru. a@1\npetrov@POP.mail.ru. b\nivanov@mail.ru c\n", ".fetchids")
    readers = {source("pop.mail.ru", "petrov"): 2, source("pop.mail.ru", "petrov", 1110): 1}
    assert [(one.fetched.uids, one.rules) for one in hand_over(lists, readers)] == [
        (frozenset({"a@1", "b"}), 3),
        (frozenset({"c"}), 0),
    ]


def test_it_reads_the_folder_out_of_an_old_list_of_getmail() -> None:
    (fetched,) = read_fetched("7/INBOX/12\0001700000000\n", "oldmail-imap.mail.ru-143-petrov")
    assert fetched.uids == {"7/12"}


def test_a_unique_id_of_pop3_may_hold_strokes() -> None:
    (fetched,) = read_fetched("a/b/c\0001700000000\n", "oldmail-pop.mail.ru-110-petrov")
    assert fetched.uids == {"a/b/c"}


RULES = "pop3.mymail.ru:pop3 user pass local@domain.ru keep\n"
FOREIGN = [
    ("", "x", Code.FETCHED_UNKNOWN, 0),
    (RULES, "x", Code.FETCHED_UNKNOWN, 0),
    ("poll mail.ru protocol pop3 user a@b.c pass\n", "x", Code.FETCHED_UNKNOWN, 0),
    ('{"rules": "a@b c"}', "x", Code.FETCHED_UNKNOWN, 0),
    ("id,username\n1,a@b c\n", "x", Code.FETCHED_UNKNOWN, 0),
    ("\x7fELF", "x", Code.FETCHED_UNKNOWN, 0),
    ("petrov@mail.ru a\npetrov b\n", ".fetchids", Code.FETCHED_LINE, 2),
    ("petrov@mail.ru\n", ".fetchids", Code.FETCHED_UNKNOWN, 0),
    (" 2 mail.ru petrov\na\n", "uidls", Code.FETCHED_LINE, 2),
    (" 1 mail.ru petrov\na\nb\n", "uidls", Code.FETCHED_LINE, 3),
    (OLDMAIL, "fetched.txt", Code.FETCHED_NAME, 0),
    (OLDMAIL, "oldmail-mail.ru", Code.FETCHED_NAME, 0),
    (OLDMAIL + "\0\0\n", "oldmail-mail.ru-110-petrov", Code.FETCHED_LINE, 2),
]


@pytest.mark.parametrize(("content", "name", "code", "line"), FOREIGN)
def test_it_refuses_a_file_of_another_format(content: str, name: str, code: Code, line: int) -> None:
    with pytest.raises(UnreadableList) as refused:
        read_fetched(content, name)
    assert (refused.value.problem.code, refused.value.problem.line) == (code, line)
