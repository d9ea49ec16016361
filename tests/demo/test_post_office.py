"""The built-in mail server keeps POP3's word, as our own client and every mailbox's letters see it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from threading import Thread

import pytest

from fetchrules.demo.maildrop import CAPACITY, LetterDirectory
from fetchrules.demo.pop3 import Pop3Server
from fetchrules.demo.sample_letters import MAILBOXES, SKETCHES, TURN, letter
from fetchrules.errors import LoginRefused, MailboxBusy
from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import Chunk, Complete, RemoteMailbox
from fetchrules.remote.protocols import open_mailbox
from fetchrules.remote.transcript import Transcript
from fetchrules.rule import Protocol
from tests.waiting import until

MOMENT = datetime(2026, 8, 21, 11, 28, tzinfo=UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Pop3Server]:
    with Pop3Server(0, tmp_path, dict.fromkeys(MAILBOXES, "passwd")) as server:
        thread = Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def log_in(server: Pop3Server, user: str = "petrov", password: str = "passwd") -> RemoteMailbox:
    return open_mailbox(Account(Protocol.POP3, "127.0.0.1", server.port, user, password), Transcript())


def log_in_if_free(server: Pop3Server) -> RemoteMailbox | None:
    try:
        return log_in(server)
    except MailboxBusy:
        return None


def collect(mailbox: RemoteMailbox) -> list[bytes]:
    letters: list[bytes] = []
    text = b""
    for event in mailbox.retrieve(mailbox.listing().letters):
        match event:
            case Chunk(_, data):
                text += data
            case Complete():
                letters.append(text)
                text = b""
    return letters


@pytest.mark.parametrize("user", MAILBOXES)
def test_it_serves_every_letter_octet_by_octet(server: Pop3Server, tmp_path: Path, user: str) -> None:
    put = [letter(user, MOMENT + number * TURN) for number in range(len(SKETCHES[user]))]
    for number, text in enumerate(put):
        LetterDirectory(tmp_path / user).add(text, MOMENT + number * TURN)
    mailbox = log_in(server, user)
    assert collect(mailbox) == put
    mailbox.close()


def test_it_deletes_when_the_session_ends_well(server: Pop3Server, tmp_path: Path) -> None:
    maildrop = LetterDirectory(tmp_path / "petrov")
    for number in range(2):
        maildrop.add(b"Subject: %d\r\n\r\n" % number, MOMENT + timedelta(seconds=number))
    first, second = maildrop.scan()
    cut_off = log_in(server)
    list(cut_off.delete(cut_off.listing().letters[:1]))
    cut_off.close()
    assert maildrop.scan() == [first, second]
    ended = until(lambda: log_in_if_free(server))
    list(ended.delete(ended.listing().letters[:1]))
    assert ended.quit()
    assert maildrop.scan() == [second]


def test_it_refuses_a_wrong_password(server: Pop3Server) -> None:
    with pytest.raises(LoginRefused):
        log_in(server, password="nevernyj")


def test_it_serves_one_session_a_mailbox(server: Pop3Server) -> None:
    mailbox = log_in(server)
    with pytest.raises(MailboxBusy):
        log_in(server)
    assert mailbox.quit()


def test_it_does_not_fill_the_disk(tmp_path: Path) -> None:
    maildrop = LetterDirectory(tmp_path)
    for number in range(CAPACITY + 3):
        maildrop.add(b"Subject: %d\r\n\r\n" % number, MOMENT + timedelta(seconds=number))
    held = maildrop.scan()
    assert len(held) == CAPACITY
    assert maildrop.read(held[0]) == b"Subject: 3\r\n\r\n"


@pytest.mark.parametrize("user", MAILBOXES)
def test_it_sends_every_kind_of_letter_in_turn(user: str) -> None:
    letters = [letter(user, MOMENT + number * TURN) for number in range(len(SKETCHES[user]))]
    subjects = [message_from_bytes(text, policy=default)["Subject"] for text in letters]
    assert {re.sub(r"\d{4}", "{n}", subject) for subject in subjects} == {sketch.subject for sketch in SKETCHES[user]}
    assert b"\n" not in b"".join(letters).replace(b"\r\n", b"")
