"""The servers that people really have: their letters come whole and once, their folders are read, their refusals understood."""

from dataclasses import replace

import pytest

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    LoginRefused,
    LoginUnsupported,
    MailboxBusy,
    OverLimit,
    ServerRefused,
    ServerTemporary,
    TlsRequired,
)
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.imap.session import list_imap_folders, open_imap
from fetchrules.remote.mailbox import Begun, Complete, Refused, Retrieved
from fetchrules.rule import Encryption, Protocol
from tests.certificates import Certificates
from tests.remote.imap.test_hostile import check, collect
from tests.servers.faults import Alter, Fault, Say
from tests.servers.imap import PASSWORD, USER, Behaviour, Folder, ImapServer, Step
from tests.servers.imap_kinds import EXCHANGE, KINDS, LISTS
from tests.servers.imap_scripts import LARGE, Script
from tests.servers.maildrop import letter


def account(server: ImapServer) -> Account:
    return Account(
        Protocol.IMAP,
        server.host,
        server.port,
        USER,
        PASSWORD,
        encryption=Encryption.PLAINTEXT,
        deadlines=Deadlines(connect=10, idle=10, session=30),
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_it_collects_from(kind: Script) -> None:
    folder = Folder(kind.letters)
    with ImapServer(folder, kind.behaviour) as server:
        check(kind, collect(account(server), ""), folder)


def test_it_reads_what_folders_are_for() -> None:
    told = (
        b'* LIST (\\HasNoChildren) "/" INBOX\r\n'
        b'* LIST (\\HasNoChildren \\Junk) "/" "&BCEEPwQwBDw-"\r\n'
        b'* LIST (\\SENT) "/" Out\r\n* LIST (\\All) "/" Everything\r\n'
    )
    with ImapServer(Folder(), Behaviour(faults=(Fault(Step.LIST, Say(told + b"{tag} OK done\r\n")),))) as server:
        found = list_imap_folders(account(server))
    assert found == {"INBOX": "", "Спам": "Junk", "Out": "Sent", "Everything": ""}


@pytest.mark.parametrize(("told", "names"), LISTS.values(), ids=LISTS)
def test_it_reads_the_folders_of(told: bytes, names: tuple[str, ...]) -> None:
    with ImapServer(Folder(), Behaviour(faults=(Fault(Step.LIST, Say(told + b"{tag} OK done\r\n")),))) as server:
        assert tuple(list_imap_folders(account(server))) == names


@pytest.mark.parametrize("value", [0, 1_713_632_002_544, 10**18 - 1])
def test_it_believes_in_any_uidvalidity(value: int) -> None:
    with ImapServer(Folder([letter("a")], uidvalidity=value)) as server:
        listing = open_imap(account(server)).listing()
        assert (listing.epoch, listing.has_uids) == (value, True)


def test_it_takes_uids_for_passing_where_uidvalidity_is_no_number_of_this_world() -> None:
    with ImapServer(Folder([letter("a")], uidvalidity=10**18)) as server:
        listing = open_imap(account(server)).listing()
        assert (listing.epoch, listing.has_uids) == (None, False)


REFUSALS: list[tuple[str, type[FetchError]]] = [
    (
        "NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833",
        LoginRefused,
    ),
    ("NO [WEBALERT https://accounts.google.com/signin/continue?sarp=1&scc=1] Web login required.", LoginRefused),
    ("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", LoginRefused),
    ("NO [AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled sc=abc", LoginRefused),
    ("NO [UNAVAILABLE] LOGIN internal server error sc=abc", ServerTemporary),
    ("NO [AUTHENTICATIONFAILED] NEOBHODIM parol prilozheniya / Application password is REQUIRED", LoginRefused),
    ("NO LOGIN failed.", LoginRefused),
    ("NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", OverLimit),
    ("NO [ALERT] Too many simultaneous connections. (Failure)", ServerTemporary),
    ("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", OverLimit),
    ("NO Request is throttled. Suggested Backoff Time: 1000 milliseconds", OverLimit),
    ("NO Exceeded the login limit for a 15 minute period. Reduce the frequency of requests.", OverLimit),
    ("NO [LIMIT] LOGIN Rate limit hit.", OverLimit),
    ("NO LOGIN Rate limit hit.", OverLimit),
    ("NO Server Unavailable. 15", ServerTemporary),
    (
        "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=16)",
        ServerTemporary,
    ),
    ("NO [INUSE] the mailbox is locked", MailboxBusy),
    ("BAD User is authenticated but not connected.", ServerTemporary),
    ("NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", TlsRequired),
]


@pytest.mark.parametrize(("words", "error"), REFUSALS, ids=[words for words, _ in REFUSALS])
def test_it_understands_a_refused_login(words: str, error: type[FetchError]) -> None:
    refusing = Behaviour(faults=(Fault(Step.LOGIN, Say(f"{{tag}} {words}\r\n".encode())),))
    with ImapServer(Folder(), refusing) as server, pytest.raises(error) as caught:
        open_imap(account(server))
    assert type(caught.value) is error
    assert caught.value.detail in words.removeprefix("NO ")


@pytest.mark.parametrize(
    ("encryption", "error"), [(Encryption.PLAINTEXT, TlsRequired), (Encryption.SSL, LoginUnsupported)]
)
def test_it_says_no_password_where_logins_are_disabled(
    encryption: Encryption, error: type[FetchError], certificates: Certificates
) -> None:
    tls, cafile = certificates.good.context(), str(certificates.cafile)
    closed = Behaviour(capabilities=("IMAP4rev1", "LOGINDISABLED", "AUTH=XOAUTH2"))
    with ImapServer(Folder(), closed, tls=tls, implicit=encryption is Encryption.SSL) as server:
        terms = replace(account(server), host="localhost", encryption=encryption)
        with pytest.raises(error):
            open_imap(terms, cafile=cafile)
        assert not [line for line in server.said if line.startswith(("LOGIN", "AUTHENTICATE"))]


def test_it_says_its_name_to_a_server_that_wants_to_hear_it() -> None:
    netease = Behaviour(capabilities=("IMAP4rev1", "ID"), wants_id=True)
    with ImapServer(Folder(), netease) as server:
        assert open_imap(account(server)).quit()
        assert server.said[2:4] == ['ID ("name" "utm-mail")', 'SELECT "INBOX"']


def test_it_hears_that_an_unnamed_client_may_select_nothing() -> None:
    silent = Behaviour(capabilities=("IMAP4rev1",), wants_id=True)
    with ImapServer(Folder(), silent) as server, pytest.raises(ServerRefused, match="Unsafe Login"):
        open_imap(account(server))


def fetched(behaviour: Behaviour, *letters: bytes) -> tuple[list[Retrieved], Folder]:
    """What a session brings of these letters, its chunks left out."""
    folder = Folder(letters)
    with ImapServer(folder, behaviour) as server:
        mailbox = open_imap(account(server))
        events: list[Retrieved] = [
            one for one in mailbox.retrieve(mailbox.listing().letters) if isinstance(one, Begun | Complete | Refused)
        ]
        assert mailbox.quit()
    return events, folder


def complete(events: list[Retrieved]) -> list[int]:
    return [event.letter.number for event in events if isinstance(event, Complete)]


GOODBYES: list[tuple[str, type[FetchError]]] = [
    ("Autologout; idle for too long", ConnectionLost),
    ("[UNAVAILABLE] Temporary problem", ServerTemporary),
    ("[ALERT] Too many simultaneous connections. (Failure)", ServerTemporary),
    ("Connection is closed. 13", ConnectionLost),
    ("Request is throttled. Suggested Backoff Time: 299961 milliseconds", OverLimit),
]


@pytest.mark.parametrize("step", [Step.GREETING, Step.CAPABILITY, Step.LOGIN, Step.SELECT, Step.LISTING])
@pytest.mark.parametrize(("words", "error"), GOODBYES)
def test_it_hears_why_the_server_hangs_up(words: str, error: type[FetchError], step: Step) -> None:
    bye = Say(f"* BYE {words}\r\n".encode(), hang_up=True)
    greeted = step is Step.GREETING and error is ConnectionLost  # then nobody was let in
    with ImapServer(Folder([letter("a")]), Behaviour(faults=(Fault(step, bye),))) as server:
        with pytest.raises(ServerRefused if greeted else error) as caught:
            open_imap(account(server)).listing()
        assert words in caught.value.detail


@pytest.mark.parametrize("answer", [b"NO [EXPUNGEISSUED] no", b"BAD Command Error. 10"])
def test_it_does_without_one_letter_that_cannot_be_had(answer: bytes) -> None:
    """Exchange says BAD to whoever asks for a letter that it cannot convert."""
    refusing = Behaviour(capabilities=tuple(EXCHANGE.split()), refuses={2: answer.decode()})
    events, _ = fetched(refusing, *map(letter, ("a", "b", "c")))
    assert complete(events) == [1, 3]
    (refused,) = [event for event in events if isinstance(event, Refused)]
    assert refused.letter.number == 2
    assert refused.reason in answer.decode()


def test_it_does_without_a_large_one() -> None:
    events, _ = fetched(Behaviour(refuses={1: "BAD Command Error. 10"}), LARGE, letter("after"))
    assert complete(events) == [2]


def test_it_hears_that_a_mailbox_cannot_be_opened() -> None:
    faults = (Fault(Step.SELECT, Say(b"{tag} BAD User is authenticated but not connected.\r\n")),)
    with (
        ImapServer(Folder(), Behaviour(faults=faults)) as server,
        pytest.raises(ServerTemporary, match="not connected"),
    ):
        open_imap(account(server))


@pytest.mark.parametrize("text", [b"Subject: no octets of it came\r\n\r\n", LARGE])
def test_it_takes_no_octets_for_no_letter(text: bytes) -> None:
    """A letter of some size that comes empty would be deleted as collected."""
    empty = Alter(
        lambda answer: (
            answer[: answer.index(b"{")] + b"{0}\r\n)\r\n" + answer[answer.rindex(b"\r\n", 0, -2) + 2 :]
            if b"{" in answer
            else answer
        )
    )
    events, _ = fetched(Behaviour(faults=(Fault(Step.FETCH, empty, nth=0),)), text)
    assert [type(event) for event in events] == [Refused]


def test_it_expunges_nothing_that_the_server_does_not_name() -> None:
    folder = Folder([letter("ours"), letter("theirs")])
    folder.flag(2, "\\Deleted")
    silent = Behaviour(faults=(Fault(Step.SEARCH, Say(b"{tag} OK done\r\n")),)).without("UIDPLUS")
    with ImapServer(folder, silent) as server:
        mailbox = open_imap(account(server))
        assert [accepted for _, accepted in mailbox.delete(mailbox.listing().letters)] == [False]
    assert folder.uids == [1, 2]
