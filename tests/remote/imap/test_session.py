"""What an ImapMailbox promises beyond surviving."""

import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    FolderMissing,
    LocalProtocolError,
    LoginRefused,
    RemoteProtocolError,
    ServerRefused,
)
from fetchrules.remote.account import Account, Deadlines, ServerKey
from fetchrules.remote.imap.protocol import Verb
from fetchrules.remote.imap.session import ImapMailbox, list_imap_folders, open_imap
from fetchrules.remote.mailbox import Chunk, Complete, Listed
from fetchrules.remote.memory import SERVERS
from fetchrules.remote.transcript import Speaker, Transcript
from fetchrules.rule import Encryption, Protocol
from tests.servers.faults import Alter, Cut, Fault, Say
from tests.servers.imap import CAPABILITIES, PASSWORD, USER, Behaviour, Folder, ImapServer, Step
from tests.servers.maildrop import letter


def account(server: ImapServer, folder: str = "", user: str = USER, password: str = PASSWORD) -> Account:
    return Account(
        Protocol.IMAP,
        server.host,
        server.port,
        user,
        password,
        encryption=Encryption.PLAINTEXT,
        folder=folder,
        deadlines=Deadlines(connect=10, idle=10, session=30),
    )


@pytest.fixture
def folder() -> Folder:
    return Folder([letter("one"), letter("two"), letter("three")])


@pytest.fixture
def server(folder: Folder) -> Iterator[ImapServer]:
    with ImapServer(folder) as server:
        yield server


def fetch(mailbox: ImapMailbox) -> list[int]:
    events = mailbox.retrieve(mailbox.listing().letters)
    return [event.letter.number for event in events if isinstance(event, Complete)]


def deleted(mailbox: ImapMailbox, letters: Sequence[Listed]) -> list[int]:
    told = list(mailbox.delete(letters))
    assert [letter for letter, _ in told] == list(letters)
    return [letter.number for letter, accepted in told if accepted]


def test_it_lists_letters_by_their_uids(server: ImapServer, folder: Folder) -> None:
    folder.flag(1, "\\Deleted")
    folder.expunge()
    folder.flag(3, "\\Seen")
    listing = open_imap(account(server)).listing()
    received = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert [(one.number, one.uid, one.seen) for one in listing.letters] == [(2, "2", False), (3, "3", True)]
    assert listing.letters[0].received == received
    assert listing.epoch == folder.uidvalidity
    assert listing.complete


def test_it_marks_nothing_by_fetching(server: ImapServer, folder: Folder) -> None:
    mailbox = open_imap(account(server))
    assert fetch(mailbox) == [1, 2, 3]
    assert mailbox.quit()
    assert not any(one.flags for one in folder.letters)


def test_it_marks_letters_as_read(server: ImapServer, folder: Folder) -> None:
    mailbox = open_imap(account(server))
    mailbox.mark_seen(mailbox.listing().letters[:2])
    assert mailbox.quit()
    assert [one.uid for one in folder.letters if "\\Seen" in one.flags] == [1, 2]


def test_it_deletes_at_once(server: ImapServer, folder: Folder) -> None:
    mailbox = open_imap(account(server))
    assert deleted(mailbox, mailbox.listing().letters[:2]) == [1, 2]
    assert folder.uids == [3]
    mailbox.reset()
    mailbox.close()
    assert not mailbox.quit()
    assert folder.uids == [3]


@pytest.mark.parametrize("capabilities", [CAPABILITIES, ("IMAP4rev1",)], ids=["UIDPLUS", "no UIDPLUS"])
def test_it_leaves_letters_that_somebody_else_has_flagged(folder: Folder, capabilities: tuple[str, ...]) -> None:
    folder.flag(2, "\\Deleted")
    with ImapServer(folder, Behaviour(capabilities=capabilities)) as server:
        mailbox = open_imap(account(server))
        listing = mailbox.listing()
        assert [one.number for one in listing.letters] == [1, 3]
        assert listing.complete
        assert deleted(mailbox, listing.letters[:1]) == ([1] if "UIDPLUS" in capabilities else [])
        assert mailbox.quit()
    assert 2 in folder.uids


def test_it_only_flags_where_expunging_would_take_others_letters(folder: Folder) -> None:
    folder.flag(2, "\\Deleted")
    with ImapServer(folder, Behaviour().without("UIDPLUS")) as server:
        mailbox = open_imap(account(server))
        assert deleted(mailbox, mailbox.listing().letters) == []
        assert mailbox.quit()
        assert folder.uids == [1, 2, 3]
        assert all("\\Deleted" in one.flags for one in folder.letters)
        assert open_imap(account(server)).listing().letters == ()


def test_it_deletes_in_several_commands_what_does_not_fit_into_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fetchrules.remote.imap.deletion.UIDS_AT_ONCE", 2)
    folder = Folder([letter(str(number)) for number in range(5)])
    with ImapServer(folder, Behaviour().without("UIDPLUS")) as server:
        mailbox = open_imap(account(server))
        letters = mailbox.listing().letters
        mailbox.mark_seen(letters)
        assert deleted(mailbox, letters) == [1, 2, 3, 4, 5]
        assert deleted(mailbox, []) == []
    assert folder.uids == []
    assert len([line for line in server.said if line.startswith("UID STORE")]) == 6


def test_it_asks_for_many_letters_before_the_first_comes() -> None:
    with ImapServer(Folder([letter(str(number)) for number in range(10)])) as server:
        assert fetch(open_imap(account(server))) == list(range(1, 11))
        asked = [line for line in server.said if line.startswith("UID FETCH")]
    assert asked == [f"UID FETCH {uid} (UID BODY.PEEK[])" for uid in range(1, 11)]


def test_it_asks_for_letters_in_the_order_and_number_that_are_handed_out(server: ImapServer) -> None:
    mailbox = open_imap(account(server))
    letters = mailbox.listing().letters

    def portion() -> Iterator[Listed]:
        yield letters[2]
        yield letters[0]

    assert [one.letter.number for one in mailbox.retrieve(portion()) if isinstance(one, Complete)] == [3, 1]
    assert mailbox.quit()


def test_it_holds_little_of_what_comes_in_little_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of TLS may have two octets."""
    size = 100_000
    with ImapServer(Folder([b"x" * size])) as server:
        mailbox = open_imap(account(server))
        letters = mailbox.listing().letters
        monkeypatch.setattr("fetchrules.remote.net._READ", 2)
        tracemalloc.start()
        octets = sum(len(event.data) for event in mailbox.retrieve(letters) if isinstance(event, Chunk))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert octets == size
    assert peak < 10 * size  # the server's copies are counted too


def test_it_opens_a_folder_by_the_name_that_people_write() -> None:
    archive = Folder([letter("old")])
    with ImapServer({"INBOX": Folder(), "&BBAEQARFBDgEMg-": archive}) as server:
        assert len(open_imap(account(server, folder="Архив")).listing().letters) == 1
        assert tuple(list_imap_folders(account(server))) == ("INBOX", "Архив")
        with pytest.raises(FolderMissing, match="INBOX, Архив"):
            open_imap(account(server, folder="Нет такой"))


def test_it_says_so_when_folders_are_not_told(folder: Folder) -> None:
    refusing = Behaviour(faults=(Fault(Step.LIST, Say(b"{tag} NO no\r\n")),))
    with ImapServer(folder, refusing) as server, pytest.raises(ServerRefused):
        list_imap_folders(account(server))


def test_it_says_so_when_a_server_that_takes_one_command_at_a_time_hangs_up_over_folders(folder: Folder) -> None:
    with ImapServer(folder, Behaviour(faults=(Fault(Step.LIST, Cut(), nth=0),))) as server:
        key = ServerKey(server.host, server.port, tls=False)
        for _ in range(2):
            SERVERS.capabilities.judge(key)(Verb.LIST, False)
        assert not SERVERS.capabilities.trusts(key)
        with pytest.raises(ConnectionLost):
            list_imap_folders(account(server))


@pytest.mark.parametrize("nasty", ['a"\r\nx LOGOUT', "a\nb", "a\0"])
@pytest.mark.parametrize("field", ["user", "password"])
def test_it_does_not_even_connect_with_a_name_or_password_that_holds_a_command(
    server: ImapServer, field: str, nasty: str
) -> None:
    with pytest.raises(LocalProtocolError):
        open_imap(account(server, **{field: nasty}))
    assert server.connections == 0


def test_it_opens_no_folder_whose_name_holds_a_command(server: ImapServer) -> None:
    with pytest.raises(LocalProtocolError):
        open_imap(account(server, folder="a\r\nb"))


@pytest.mark.parametrize(("user", "password"), [("пётр", "пароль"), ('q"uo\\te', 'p"ass\\word'), ("two words", " x ")])
@pytest.mark.parametrize("capabilities", [CAPABILITIES, ("IMAP4rev1",)], ids=["PLAIN", "LOGIN"])
def test_it_logs_in_with_any_name_and_password(user: str, password: str, capabilities: tuple[str, ...]) -> None:
    behaviour = Behaviour(capabilities=capabilities)
    with ImapServer(Folder(), behaviour, user=user, password=password) as server:
        assert open_imap(account(server, user=user, password=password)).quit()


def test_it_shows_a_session_without_its_secrets(server: ImapServer) -> None:
    transcript = Transcript()
    mailbox = open_imap(account(server), trace=transcript)
    fetch(mailbox)
    assert mailbox.quit()
    said = "\n".join(f"{line.speaker}: {line.text}" for line in transcript.head)
    assert "LOGIN petrov ********" in said
    assert PASSWORD not in said
    assert "no play" not in said


def turns(server: ImapServer) -> int:
    """How often a session that finds nothing new waits for the server after its greeting."""
    transcript = Transcript()
    mailbox = open_imap(account(server), trace=transcript)
    assert mailbox.listing().complete
    assert mailbox.quit()
    speakers = [line.speaker for line in transcript.head]
    return sum(pair == (Speaker.CLIENT, Speaker.SERVER) for pair in pairwise(speakers))


def test_it_waits_twice_for_a_server_that_it_knows(server: ImapServer) -> None:
    """With the connection, TLS 1.3 and the greeting, that is five round trips."""
    assert [turns(server) for _ in range(3)] == [4, 2, 2]


def test_it_waits_no_longer_for_the_introduction(folder: Folder) -> None:
    with ImapServer(folder, Behaviour(("IMAP4rev1", "ID"), tells_capabilities=False)) as server:
        turns(server)
        assert turns(server) == 2


def test_it_shows_no_password_of_sasl_either(folder: Folder) -> None:
    transcript = Transcript()
    with ImapServer(folder, Behaviour(capabilities=(*CAPABILITIES, "LOGINDISABLED"))) as server:
        assert open_imap(account(server), trace=transcript).quit()
    said = "\n".join(line.text for line in transcript.head)
    assert "AUTHENTICATE PLAIN" in said
    assert "AHBldHJvdgBwZXRyb3ZwYXNzd2Q=" not in said


def test_it_masks_a_password_that_the_server_quotes(folder: Folder) -> None:
    quoting = Behaviour(faults=(Fault(Step.LOGIN, Say(f"{{tag}} NO {PASSWORD} is wrong\r\n".encode())),))
    with ImapServer(folder, quoting) as server, pytest.raises(LoginRefused) as caught:
        open_imap(account(server))
    assert PASSWORD not in caught.value.detail


@pytest.mark.parametrize("answer", ["{{tag}} NO {}", "{{tag}} BAD {}", "* OK {}", "{}"])
@pytest.mark.parametrize("quoted", ["LOGIN PETROVPASSWD", 'login "petrovpa', "LOGIN PETROVPASS"])
def test_it_masks_a_password_in_capitals_or_cut_short(folder: Folder, answer: str, quoted: str) -> None:
    ending = "\r\n{tag} NO no\r\n" if answer.startswith("*") else "\r\n"
    says = Say((answer.replace("{{tag}}", "{tag}").replace("{}", quoted) + ending).encode())
    transcript = Transcript()
    with (
        ImapServer(folder, Behaviour(("IMAP4rev1",), faults=(Fault(Step.LOGIN, says),))) as server,
        pytest.raises(FetchError) as caught,
    ):
        open_imap(account(server), trace=transcript)
    assert "petrovpa" not in "".join([caught.value.detail, *(line.text for line in transcript.head)]).lower()


def test_it_masks_a_password_with_which_the_server_greets_us_the_next_time(folder: Folder) -> None:
    greeting = Say(b"* OK hello, PETROVPASSWD\r\n")
    with ImapServer(folder, Behaviour(faults=(Fault(Step.GREETING, greeting),))) as server:
        mailbox = open_imap(account(server))
    assert mailbox.connection.greeting == "hello, ********"


def test_it_masks_it_where_the_server_breaks_the_protocol_too(folder: Folder) -> None:
    quoting = Behaviour(faults=(Fault(Step.LOGIN, Say(f"what is {PASSWORD}?\r\n".encode())),))
    with ImapServer(folder, quoting) as server, pytest.raises(RemoteProtocolError) as caught:
        open_imap(account(server))
    assert PASSWORD not in caught.value.detail


@pytest.mark.parametrize("words", ["{{tag}} BAD no LOGIN {}\r\n", "LOGIN {}\r\n", "{{tag}} NO no LOGIN {}\r\n"])
@pytest.mark.parametrize(
    "password", ["пароль-secret", "it's-secret", 'it\'s "secret"', "\\n-secret", "\x01\xa0-secret"]
)
def test_it_masks_a_password_however_it_is_quoted(folder: Folder, words: str, password: str) -> None:
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    told = f'petrov "{escaped}"', f'petrov "{password}"', f"petrov {password}"
    for one in told:
        quoting = Behaviour(("IMAP4rev1",), faults=(Fault(Step.LOGIN, Say(words.format(one).encode())),))
        with ImapServer(folder, quoting, password=password) as server, pytest.raises(FetchError) as caught:
            open_imap(account(server, password=password))
        assert "********" in caught.value.detail
        assert "secret" not in caught.value.detail


def test_it_masks_a_password_in_a_refusal_of_sasl(folder: Folder) -> None:
    words = "{tag} NO пароль-secret is wrong\r\n".encode()
    with ImapServer(folder, Behaviour(faults=(Fault(Step.AUTHENTICATE, Say(words)),))) as server:
        with pytest.raises(LoginRefused) as caught:
            open_imap(account(server, password="пароль-secret"))
        assert "secret" not in caught.value.detail


def test_it_is_no_longer_of_use_when_closed(server: ImapServer) -> None:
    mailbox = open_imap(account(server))
    letters = mailbox.listing().letters
    mailbox.close()
    mailbox.close()
    with pytest.raises(LocalProtocolError):
        deleted(mailbox, letters)


def test_it_says_what_it_is_connected_to(server: ImapServer) -> None:
    connection = open_imap(account(server)).connection
    assert connection.greeting == "IMAP ready"
    assert "UIDPLUS" in connection.capabilities


def test_it_lists_the_newest_of_too_many_letters(
    server: ImapServer, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetchrules.remote.imap.listing.LETTERS_MAX", 2)
    mailbox = open_imap(account(server))
    listing = mailbox.listing()
    assert [int(letter.uid) for letter in listing.letters] == folder.uids[-2:]
    assert len(folder.uids) > 2
    assert not listing.complete
    mailbox.quit()


@pytest.mark.parametrize("words", [b"NO Some messages could not be FETCHed (Failure)", b"BAD Command Error. 10"])
def test_it_takes_no_list_for_whole_that_ends_in_a_refusal(folder: Folder, words: bytes) -> None:
    refusing = Alter(lambda told: told.replace(b"OK done", words))
    with ImapServer(folder, Behaviour(faults=(Fault(Step.LISTING, refusing),))) as server:
        mailbox = open_imap(account(server))
        listing = mailbox.listing()
        assert ([one.number for one in listing.letters], listing.complete) == ([1, 2, 3], False)
        assert mailbox.quit()


@pytest.mark.parametrize("words", [b"NO not now", b"BAD Command Error. 10"])
def test_it_says_so_when_no_letter_is_listed(folder: Folder, words: bytes) -> None:
    refusing = Behaviour(faults=(Fault(Step.LISTING, Say(b"{tag} " + words + b"\r\n")),))
    with ImapServer(folder, refusing) as server, pytest.raises(ServerRefused, match=words.decode().split()[-1]):
        open_imap(account(server)).listing()


def test_it_lists_ten_thousand_letters() -> None:
    form = b'* %d FETCH (UID %d FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 5000)\r\n'
    told = b"".join(form % (number, number + 7) for number in range(1, 10_001)) + b"{tag} OK done\r\n"
    select = b"* 10000 EXISTS\r\n* OK [UIDVALIDITY 5] .\r\n{tag} OK done\r\n"
    faults = (Fault(Step.SELECT, Say(select)), Fault(Step.LISTING, Say(told)))
    with ImapServer(Folder(), Behaviour(faults=faults)) as server:
        listing = open_imap(account(server)).listing()
    assert listing.complete
    assert len(listing.letters) == 10_000
    assert listing.letters[-1].uid == "10007"
