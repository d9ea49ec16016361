"""Deliveries into real servers: Dovecot reads our Maildirs, takes our letters by LMTP, and Postfix passes them on to it."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from imaplib import IMAP4, Internaldate2tuple
from pathlib import Path
from threading import Event
from time import mktime, monotonic

import pytest

from fetchrules.delivery.dialogue import Handover, MailServer, TlsUse
from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.recipients import PathTemplate, RootedPath
from fetchrules.delivery.spool import SpooledMailbox
from fetchrules.errors import RecipientUnknown
from tests.delivery.test_maildir import staged
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.postfix import RECIPIENTS, Postfix

pytestmark = pytest.mark.interop

LETTERS = [
    b"Return-Path: <ivan@example.net>\r\nSubject: dots\r\n\r\n.\r\n..\r\n.x\r\n",
    b"Subject: eight bits\r\n\r\n" + "Привет\r\n".encode() + b"\xff\xfe\r\n",
    b"Subject: large\r\n\r\n" + b"x" * 900 + b"\r\n" + b"y\r\n" * 200_000,
    b"Subject: no end of line\r\n\r\nend",
    b"Subject: no body\r\n\r\n",
]


def texts(letters: list[bytes]) -> set[bytes]:
    """What has to be found of these letters, line ends as Maildirs have them."""
    return {letter.replace(b"\r\n", b"\n").rstrip(b"\n") for letter in letters}


def found(files: list[bytes]) -> set[bytes]:
    """Letters without what servers put before them, which ends before the first line of ours."""
    wanted = texts(LETTERS)
    return {next((text for text in wanted if file.rstrip(b"\n").endswith(b"\n" + text)), file) for file in files}


def place_in(dovecot: Dovecot, recipient: str) -> RootedPath:
    return PathTemplate(f"{dovecot.mail}/{{domain}}/{{local}}").place(recipient)


def send(target: MailServer, recipient: str, spool: RootedPath, letters: list[bytes]) -> None:
    mailbox = SpooledMailbox(target, recipient, spool, reserve=0, host="mx.example.org")
    try:
        mailbox.prepare(0)
        waiting = [staged(mailbox, letter, str(number)) for number, letter in enumerate(letters)]
        mailbox.staging.sync(waiting)
        assert mailbox.commit([letter.name for letter in waiting]) == {}
    finally:
        mailbox.close()


def wait_for(letters: Callable[[], list[bytes]], number: int) -> list[bytes]:
    """The letters, when there are so many of them."""
    deadline, pause = monotonic() + 30, Event()
    while len(letters()) < number:
        assert monotonic() < deadline, f"{len(letters())} letters of {number}"
        pause.wait(0.05)
    return letters()


@pytest.fixture
def spool(tmp_path: Path) -> RootedPath:
    """A directory for letters on their way."""
    return RootedPath(tmp_path, ("spool",))


def test_it_delivers_into_maildirs_that_dovecot_reads(dovecot: Dovecot) -> None:
    place = place_in(dovecot, "maildir@example.org")
    maildir = Maildir(place, reserve=0)
    maildir.prepare(0)
    waiting = [staged(maildir, letter, str(number)) for number, letter in enumerate(LETTERS)]
    maildir.staging.sync(waiting)
    assert maildir.commit([letter.name for letter in waiting]) == {}
    maildir.close()
    assert {letter.rstrip(b"\n") for letter in dovecot.letters("maildir@example.org")} == texts(LETTERS)
    read = {letter.rstrip(b"\r\n") for letter in dovecot.read("maildir@example.org")}
    assert read == {letter.rstrip(b"\r\n") for letter in LETTERS}


def test_it_takes_spellings_for_one_mailbox_as_dovecot_does(dovecot: Dovecot) -> None:
    maildir = Maildir(place_in(dovecot, "I.Petrov@Example.ORG"), reserve=0)
    maildir.prepare(0)
    maildir.commit([staged(maildir, LETTERS[0]).name])
    maildir.close()
    with dovecot.logged_in("i.petrov@example.org") as session:
        session.logout()
    with IMAP4("127.0.0.1", dovecot.imap, timeout=20) as session:
        session.login("I.Petrov@Example.ORG", PASSWORD)
        assert session.select("INBOX")[1] == [b"1"]


def test_it_delivers_into_folders_that_dovecot_shows(dovecot: Dovecot) -> None:
    maildir = Maildir(place_in(dovecot, "folders@example.org"), reserve=0, folder="Работа/Счета")
    maildir.prepare(0)
    maildir.commit([staged(maildir, LETTERS[0]).name])
    maildir.close()
    with dovecot.logged_in("folders@example.org") as session:
        _, lines = session.list()
        folders = {line.decode().rpartition(" ")[2] for line in lines if isinstance(line, bytes)}
        _, answer = session.select('"&BCAEMAQxBD4EQgQw-.&BCEERwQ1BEIEMA-"')
    assert answer == [b"1"]
    assert folders >= {"INBOX", "&BCAEMAQxBD4EQgQw-.&BCEERwQ1BEIEMA-"}
    assert not any("utm" in folder for folder in folders)


def test_it_hands_letters_to_dovecot(dovecot: Dovecot, spool: RootedPath) -> None:
    send(MailServer(Handover.LMTP, "127.0.0.1", dovecot.lmtp), "by.lmtp@example.org", spool, LETTERS)
    assert found(dovecot.letters("by.lmtp@example.org")) == texts(LETTERS)


def test_it_names_the_sender_to_dovecot(dovecot: Dovecot, spool: RootedPath) -> None:
    send(MailServer(Handover.LMTP, "127.0.0.1", dovecot.lmtp), "sender@example.org", spool, LETTERS[:2])
    letters = dovecot.letters("sender@example.org")
    assert sorted(letter.partition(b"\n")[0] for letter in letters) == [
        b"Return-Path: <>",
        b"Return-Path: <ivan@example.net>",
    ]


def test_it_hands_letters_to_postfix(dovecot: Dovecot, postfix: Postfix, spool: RootedPath) -> None:
    target = MailServer(Handover.SMTP, "127.0.0.1", postfix.port, tls=TlsUse.MAY)
    send(target, RECIPIENTS[0], spool, LETTERS)
    arrived = wait_for(lambda: dovecot.letters(RECIPIENTS[0]), len(LETTERS))
    assert found(arrived) == texts(LETTERS)


def test_it_hands_letters_to_postfix_in_verified_tls(
    dovecot: Dovecot, postfix: Postfix, spool: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(postfix.certificates.cafile))
    target = MailServer(Handover.SMTP, "127.0.0.1", postfix.port, tls=TlsUse.VERIFY)
    send(target, RECIPIENTS[1], spool, LETTERS[:1])
    (letter,) = wait_for(lambda: dovecot.letters(RECIPIENTS[1]), 1)
    assert b"using TLS" in letter or b"with ESMTPS" in letter


def test_it_hears_from_postfix_that_there_is_no_such_mailbox(postfix: Postfix, spool: RootedPath) -> None:
    target = MailServer(Handover.SMTP, "127.0.0.1", postfix.port)
    with pytest.raises(RecipientUnknown, match="User unknown"):
        send(target, "nobody@example.org", spool, [])


@pytest.mark.parametrize("told", [True, False], ids=["the server tells the time", "the letter does"])
def test_dovecot_tells_the_time_of_arrival(dovecot: Dovecot, told: bool) -> None:
    recipient = f"times{int(told)}@example.org"
    maildir = Maildir(place_in(dovecot, recipient), reserve=0)
    maildir.prepare(0)
    times = [datetime(2015 + year, 3, 4, 5, 6, 7, tzinfo=UTC) for year in range(10)]
    waiting = []
    for time in times:
        trace = "" if told else f"Received: by mx.example.net; {format_datetime(time)}\r\n"
        letter = f"{trace}Subject: {time.year}\r\n\r\n".encode()
        waiting.append(staged(maildir, letter, str(time.year), told=time if told else None))
    maildir.staging.sync(waiting)
    assert maildir.commit([letter.name for letter in waiting]) == {}
    maildir.close()
    with dovecot.logged_in(recipient) as session:
        _, rows = session.fetch("1:*", "(INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found = {}
    for row in rows:
        if isinstance(row, tuple):
            moment = Internaldate2tuple(row[0])
            assert moment is not None
            found[int(row[1].split(b": ")[1])] = mktime(moment)
    assert found == {time.year: time.timestamp() for time in times}
