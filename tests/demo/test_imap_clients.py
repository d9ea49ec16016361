"""The built-in IMAP server as mail programs see it: our own client, Python's, fetchmail."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from imaplib import IMAP4
from pathlib import Path

import pytest

from fetchrules.demo.imap import ImapServer
from fetchrules.demo.maildrop import DELETED, SEEN, Mailbox
from fetchrules.demo.pop3 import Pop3Server
from fetchrules.errors import LoginRefused, ServerRefused
from fetchrules.remote.account import Account
from fetchrules.remote.imap.session import list_imap_folders
from fetchrules.remote.mailbox import Chunk, RemoteMailbox
from fetchrules.remote.protocols import open_mailbox
from fetchrules.remote.transcript import Transcript
from fetchrules.rule import Protocol
from tests.demo.conftest import PASSWORD, USER, serving
from tests.demo.test_post_office import collect
from tests.interop.installed import program

MOMENT = datetime(2026, 8, 21, 11, 28, tzinfo=UTC)
ORDERS = "&BBcEMAQ6BDAENwRL-"


def log_in(server: ImapServer | Pop3Server, folder: str = "", password: str = PASSWORD) -> RemoteMailbox:
    protocol = Protocol.IMAP if isinstance(server, ImapServer) else Protocol.POP3
    return open_mailbox(Account(protocol, "127.0.0.1", server.port, USER, password, folder=folder), Transcript())


@pytest.fixture
def put(mailbox: Mailbox) -> list[bytes]:
    """Letters in INBOX, the second one read."""
    letters = [b"Subject: %d\r\n\r\n.\r\n..\r\n" % number for number in range(4)]
    for number, letter in enumerate(letters):
        mailbox.inbox.add(letter, MOMENT + timedelta(days=number), *([SEEN] if number == 1 else []))
    return letters


def test_it_lists_its_folders(imap: ImapServer, mailbox: Mailbox) -> None:
    mailbox.made(ORDERS)
    account = Account(Protocol.IMAP, "127.0.0.1", imap.port, USER, PASSWORD)
    assert tuple(list_imap_folders(account)) == ("INBOX", "Заказы")


def test_it_hands_over_letters_as_they_are(imap: ImapServer, put: list[bytes]) -> None:
    session = log_in(imap)
    listing = session.listing()
    assert listing.complete
    assert [letter.size for letter in listing.letters] == [len(letter) for letter in put]
    assert [letter.received for letter in listing.letters] == [MOMENT + timedelta(days=number) for number in range(4)]
    assert collect(session) == put
    assert session.quit()


def test_it_hands_over_a_letter_in_pieces(imap: ImapServer, mailbox: Mailbox) -> None:
    letter = b"Subject: long\r\n\r\n" + b"0123456789abcde\n" * 200_000
    mailbox.made(ORDERS).add(letter, MOMENT)
    session = log_in(imap, "Заказы")
    pieces = [event.data for event in session.retrieve(session.listing().letters) if isinstance(event, Chunk)]
    assert len(pieces) > 3
    assert b"".join(pieces) == letter


def test_it_says_what_is_read(imap: ImapServer, put: list[bytes]) -> None:
    session = log_in(imap)
    letters = session.listing().letters
    collect(session)
    session.mark_seen(letters[3:])
    session.close()
    assert [letter.seen for letter in log_in(imap).listing().letters] == [False, True, False, True]


def test_it_deletes_what_was_named_and_nobody_elses(imap: ImapServer, mailbox: Mailbox, put: list[bytes]) -> None:
    mailbox.inbox.change_flags({1}, lambda flags: flags | {DELETED})
    session = log_in(imap)
    letters = session.listing().letters
    assert {letter.number for letter, accepted in session.delete(letters[:2]) if accepted} == {2, 3}
    assert session.quit()
    assert [letter.uid for letter in mailbox.inbox.scan()] == [1, 4]


def test_it_refuses_a_wrong_password(imap: ImapServer) -> None:
    with pytest.raises(LoginRefused):
        log_in(imap, password="nevernyj")


def test_it_refuses_a_folder_that_is_not_there(imap: ImapServer) -> None:
    with pytest.raises(ServerRefused):
        log_in(imap, "Закупки")


def test_it_keeps_uids_and_flags_when_it_starts_again(tmp_path: Path, put: list[bytes]) -> None:
    listings = []
    for _ in range(2):
        server = ImapServer(0, tmp_path, {USER: PASSWORD})
        with serving(server):
            listings.append(log_in(server).listing())
    assert listings[0] == listings[1]


def test_it_shows_the_same_inbox_as_pop3(imap: ImapServer, tmp_path: Path, put: list[bytes]) -> None:
    pop3 = Pop3Server(0, tmp_path, {USER: PASSWORD})
    with serving(pop3):
        by_pop3, by_imap = log_in(pop3), log_in(imap)
        assert collect(by_pop3) == collect(by_imap) == put
        list(by_imap.delete(by_imap.listing().letters[:1]))
        list(by_pop3.delete(by_pop3.listing().letters[3:]))
        assert by_pop3.quit()
        assert collect(log_in(imap)) == put[1:3]


def test_it_takes_over_the_letters_of_a_server_without_uids(imap: ImapServer, mailbox: Mailbox, tmp_path: Path) -> None:
    mailbox.inbox.remove([])
    (tmp_path / USER / ".index").unlink()
    for name in ("1782000080.250000-0badcafe", "1782000000.250000-0badcafe"):
        (tmp_path / USER / name).write_bytes(name.encode())
    mailbox.inbox.add(b"new", MOMENT)
    assert collect(log_in(imap)) == [b"1782000000.250000-0badcafe", b"1782000080.250000-0badcafe", b"new"]
    assert [letter.uid for letter in mailbox.inbox.scan()] == [1782000000, 1782000080, 1782000081]


@pytest.fixture
def python(imap: ImapServer) -> Iterator[IMAP4]:
    with IMAP4("127.0.0.1", imap.port, timeout=20) as client:
        yield client


def test_it_serves_python(python: IMAP4, mailbox: Mailbox, put: list[bytes]) -> None:
    python.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
    assert python.select() == ("OK", [b"4"])
    assert python.uid("SEARCH", "UNSEEN") == ("OK", [b"1 3 4"])
    _, data = python.fetch("3", "(RFC822)")
    assert data == [(b"3 (RFC822 {%d}" % len(put[2]), put[2]), b")", b"3 (UID 3 FLAGS (\\Seen))"]
    assert python.store("2", "+FLAGS", "\\Deleted") == ("OK", [b"2 (UID 2 FLAGS (\\Deleted \\Seen))"])
    assert python.expunge() == ("OK", [b"2"])
    assert python.close()[0] == "OK"
    assert [letter.uid for letter in mailbox.inbox.scan()] == [1, 3, 4]


@pytest.mark.interop
def test_it_serves_fetchmail(imap: ImapServer, mailbox: Mailbox, put: list[bytes], tmp_path: Path) -> None:
    mailbox.made(ORDERS).add(b"Subject: order\r\n\r\nten\r\n", MOMENT)
    settings, out = tmp_path / "fetchmailrc", tmp_path / "out"
    settings.write_text(
        f'poll 127.0.0.1 protocol IMAP port {imap.port} user {USER} password {PASSWORD} sslproto ""\n'
        f'folder INBOX,{ORDERS} mda "/bin/cat >>{out}"\n'
    )
    settings.chmod(0o600)
    subprocess.run(
        [program("fetchmail", "fetchmail"), "-f", settings, "-i", tmp_path / "uids", "--nosyslog", "--invisible"],
        env={"FETCHMAILHOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    subjects = [line for line in out.read_text().splitlines() if line.startswith("Subject")]
    assert subjects == ["Subject: 0", "Subject: 2", "Subject: 3", "Subject: order"]
    assert [letter.uid for letter in mailbox.inbox.scan()] == [2]
    assert mailbox.made(ORDERS).scan() == []
