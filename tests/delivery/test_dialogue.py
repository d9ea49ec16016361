"""What is said to a mail server, which of its replies are understood, and how long they are waited for."""

import smtplib
from pathlib import Path
from threading import Event, Timer
from time import monotonic

import pytest

from fetchrules.delivery import dialogue
from fetchrules.delivery.dialogue import Deferred, Handover, MailServer, Patience, Unanswered
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.spool import SpooledMailbox
from fetchrules.errors import (
    DeliveryFailed,
    DeliveryRefused,
    DiskFull,
    LocalProtocolError,
    RecipientUnknown,
)
from fetchrules.smtp import BoundedReplies
from tests.delivery.conftest import RECIPIENT, OpenSpool, descriptors
from tests.delivery.spooling import after, bodies, stage_some
from tests.delivery.test_maildir import LETTER
from tests.servers.faults import Cut, Stall
from tests.servers.lmtp import END, EVERY, GREETING, Fault, MailSink, serving, serving_socket
from tests.servers.loopback import LoopbackServer, Peer


def test_it_asks_for_the_mailbox_before_anything_is_fetched(spool: SpooledMailbox, sink: MailSink) -> None:
    spool.prepare(0)
    spool.prepare(0)
    assert sink.commands == ["lhlo mx.example.org", "MAIL FROM:<>", f"RCPT TO:<{RECIPIENT}>", "RSET"]


def test_it_says_that_there_is_no_such_mailbox(spool: SpooledMailbox, sink: MailSink) -> None:
    sink.unknown = frozenset({RECIPIENT})
    with pytest.raises(RecipientUnknown, match="no such user"):
        spool.prepare(0)
    assert not [line for line in sink.commands if line.startswith("DATA")]


@pytest.mark.parametrize(
    ("step", "said", "error"),
    [
        ("RCPT", b"550 5.1.1 unknown\r\n", RecipientUnknown),
        ("RCPT", b"550-Mailbox unknown.  Either there is no mailbox\r\n550 5.1.1 User unknown\r\n", RecipientUnknown),
        ("RCPT", b"554 5.7.1 Relay access denied\r\n", RecipientUnknown),
        ("RCPT", b"552 5.2.2 mailbox full\r\n", DiskFull),
        ("RCPT", b"450 4.2.0 greylisted\r\n", Deferred),
        ("MAIL", b"550 5.7.1 no\r\n", DeliveryRefused),
    ],
)
def test_it_tells_apart_why_there_is_no_mailbox(
    spool: SpooledMailbox, sink: MailSink, step: str, said: bytes, error: type[DeliveryFailed]
) -> None:
    sink.faults = {(step, EVERY): said}
    with pytest.raises(error) as caught:
        spool.prepare(0)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("letter", "extensions", "mail"),
    [
        (LETTER, ("SIZE",), "MAIL FROM:<> SIZE=<size>"),
        (LETTER, ("SIZE 0",), "MAIL FROM:<> SIZE=<size>"),
        (LETTER, ("SIZE 1" + "0" * 5000,), "MAIL FROM:<> SIZE=<size>"),
        (LETTER, ("8BITMIME",), "MAIL FROM:<>"),
        (LETTER + b"\xff\r\n", ("8BITMIME",), "MAIL FROM:<> BODY=8BITMIME"),
        (LETTER + b"\xff\r\n", (), "MAIL FROM:<>"),
        (b"Return-Path: <a@x.ru>\r\n" + LETTER, ("SMTPUTF8",), "MAIL FROM:<a@x.ru>"),
        ("Return-Path: <и@x.ru>\r\n".encode() + LETTER, ("SMTPUTF8",), "MAIL FROM:<>"),
        ("Return-Path: <и@x.ru>\r\n".encode() + LETTER, (), "MAIL FROM:<>"),
    ],
)
def test_it_uses_the_extensions_that_are_there(
    spool: SpooledMailbox, sink: MailSink, letter: bytes, extensions: tuple[str, ...], mail: str
) -> None:
    sink.extensions = extensions
    assert spool.commit(stage_some(spool, letter)) == {}
    (taken,) = sink.taken
    assert f"MAIL {taken.mail}" == mail.replace("<size>", str(len(taken.octets)))
    assert bodies(sink) == [letter]


@pytest.mark.parametrize(
    ("recipient", "extensions", "mail", "rcpt"),
    [
        ("иван@пример.рф", ("SMTPUTF8",), "FROM:<и@x.ru> SMTPUTF8", "TO:<иван@пример.рф>"),
        ("ivan@пример.рф", ("SMTPUTF8",), "FROM:<и@x.ru> SMTPUTF8", "TO:<ivan@пример.рф>"),
        ("ivan@пример.рф", (), "FROM:<>", "TO:<ivan@xn--e1afmkfd.xn--p1ai>"),
    ],
)
def test_it_names_recipients_beyond_ascii(
    open_spool: OpenSpool, sink: MailSink, recipient: str, extensions: tuple[str, ...], mail: str, rcpt: str
) -> None:
    sink.extensions = extensions
    spool = open_spool(recipient=recipient)
    assert spool.commit(stage_some(spool, "Return-Path: <и@x.ru>\r\n\r\n".encode())) == {}
    assert [(taken.mail, taken.rcpt) for taken in sink.taken] == [(mail, rcpt)]


def test_it_refuses_a_local_part_that_the_server_cannot_take(open_spool: OpenSpool, sink: MailSink) -> None:
    sink.extensions = ()
    with pytest.raises(DeliveryRefused, match="иван"):
        open_spool(recipient="иван@example.org").prepare(0)


def test_it_leaves_out_a_sender_whom_the_server_refuses(spool: SpooledMailbox, sink: MailSink) -> None:
    sink.refused_senders = frozenset({"spam@x.ru"})
    assert spool.commit(stage_some(spool, b"Return-Path: <spam@x.ru>\r\n\r\n")) == {}
    assert sink.taken[0].mail.startswith("FROM:<> ")


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (GREETING, b"554 5.3.2 no service\r\n"),
        (GREETING, b"421 4.3.2 later\r\n"),
        (GREETING, b"hello\r\n"),
        (GREETING, Cut()),
        ("LHLO", b"500 5.5.1 what\r\n"),
        ("LHLO", b"?\r\n"),
        ("LHLO", Cut()),
    ],
)
def test_it_fails_when_there_is_no_session(spool: SpooledMailbox, sink: MailSink, step: str, fault: Fault) -> None:
    sink.faults = {(step, EVERY): fault}
    before = descriptors()
    with pytest.raises(DeliveryFailed) as caught:
        spool.prepare(0)
    assert not isinstance(caught.value, DeliveryRefused), "the server is at fault, not the mailbox"
    spool.close()
    assert len(descriptors()) <= len(before) + 1, "only the server's own socket may linger"


def test_it_fails_when_nobody_listens(place: RootedPath) -> None:
    with serving(MailSink()) as server:
        port = server.port
    spool = SpooledMailbox(MailServer(Handover.LMTP, "127.0.0.1", port), RECIPIENT, place, reserve=0)
    with pytest.raises(DeliveryFailed, match=f"127.0.0.1:{port}"):
        spool.prepare(0)
    spool.close()


def test_it_waits_longer_for_the_end_of_a_letter_than_for_anything_else(open_spool: OpenSpool, sink: MailSink) -> None:
    spool = open_spool(patience=Patience(reply=0.2))
    done = Event()
    sink.faults = {(END, 1): after(done)}
    names = stage_some(spool, LETTER)
    Timer(0.6, done.set).start()
    assert spool.commit(names) == {}


def test_it_does_not_wait_for_ever(open_spool: OpenSpool, sink: MailSink) -> None:
    spool = open_spool(patience=Patience(reply=0.2, end=0.3))
    sink.faults = {("RCPT", 2): Stall(), ("RCPT", 3): Stall(), (END, 1): Stall()}
    names = stage_some(spool, LETTER)
    assert list(spool.commit(names)) == names
    assert isinstance(spool.commit(names)[names[0]], Unanswered)


@pytest.mark.parametrize(("step", "kind"), [("DATA", DeliveryFailed), (END, Unanswered)])
def test_it_does_not_wait_for_ever_for_a_reply_that_drips(
    step: str, kind: type[DeliveryFailed], place: RootedPath
) -> None:
    def serve(peer: Peer) -> None:
        peer.send(b"220 sink\r\n")
        while peer.read_line() != b"DATA":
            peer.send(b"250 ok\r\n")
        if step == END:
            peer.send(b"354 go ahead\r\n")
            while peer.read_line() != b".":
                pass
        peer.drip(b"250 " + b"x" * 600, 0.1)

    with LoopbackServer(serve) as server:
        target = MailServer(Handover.LMTP, "127.0.0.1", server.port, patience=Patience(end=0.5))
        spool = SpooledMailbox(target, RECIPIENT, place, reserve=0)
        names = stage_some(spool, LETTER)
        began = monotonic()
        (error,) = spool.commit(names).values()
        assert monotonic() - began < 5
        spool.close()
    assert type(error) is kind


def test_it_reads_no_reply_when_its_time_is_over(open_spool: OpenSpool) -> None:
    with pytest.raises(DeliveryFailed, match="an endless reply"):
        open_spool(patience=Patience(end=-1.0)).prepare(0)


def test_it_does_not_wait_long_for_a_goodbye(open_spool: OpenSpool, sink: MailSink) -> None:
    spool = open_spool(patience=Patience(goodbye=0.1))
    sink.faults = {("QUIT", 1): Stall()}
    spool.prepare(0)
    spool.close()
    spool.close()
    assert sink.commands[-1] == "quit"


def test_it_sends_a_large_letter_in_pieces(spool: SpooledMailbox, sink: MailSink) -> None:
    letter = LETTER + b".x\r\n" * 100_000
    assert spool.commit(stage_some(spool, letter)) == {}
    assert bodies(sink) == [letter]


def test_it_says_one_command_at_a_time(sink: MailSink, server: LoopbackServer) -> None:
    target = MailServer(Handover.LMTP, "127.0.0.1", server.port)
    session = dialogue.Dialogue(dialogue.connect(target, "mx"), "a>\r\nDATA\r\n<@x.ru", target.patience)
    with pytest.raises(LocalProtocolError):
        session.ask()
    session.close()
    assert "DATA" not in sink.commands


def test_it_reads_no_reply_without_a_connection() -> None:
    with pytest.raises(smtplib.SMTPServerDisconnected):
        BoundedReplies().getreply()


def test_it_speaks_through_a_unix_socket(sink: MailSink, place: RootedPath, tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    with serving_socket(sink, path):
        spool = SpooledMailbox(MailServer(Handover.LMTP, socket=str(path)), RECIPIENT, place, reserve=0)
        assert spool.commit(stage_some(spool, LETTER)) == {}
        spool.close()
    assert bodies(sink) == [LETTER]


def test_it_introduces_itself_in_ascii(server: LoopbackServer, sink: MailSink, place: RootedPath) -> None:
    target = MailServer(Handover.LMTP, "127.0.0.1", server.port)
    spool = SpooledMailbox(target, RECIPIENT, place, reserve=0, host="почта")
    spool.prepare(0)
    spool.close()
    assert sink.commands[0] == "lhlo localhost"
