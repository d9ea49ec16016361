"""Letters handed to a mail server: what it gets, in which words, and what happens when it does not take them."""

import os
import shutil
import smtplib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from threading import Event, Timer
from time import monotonic
from typing import BinaryIO

import pytest

from fetchrules.delivery import dialogue
from fetchrules.delivery import spool as sending
from fetchrules.delivery.dialogue import Deferred, Handover, MailServer, Unanswered
from fetchrules.delivery.outgoing import on_the_wire
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.spool import MAX_SESSIONS, SpooledMailbox, UnderWay
from fetchrules.errors import (
    DeliveryFailed,
    DeliveryRefused,
    DiskFull,
    LocalProtocolError,
    MailboxUnwritable,
    MaildirReplaced,
    RecipientInvalid,
    RecipientUnknown,
)
from tests.delivery.conftest import descriptors
from tests.delivery.test_maildir import LETTER, staged
from tests.servers.faults import Alter, Cut, Stall
from tests.servers.lmtp import END, EVERY, GREETING, Fault, MailSink, serving, serving_socket
from tests.servers.loopback import Hangup, LoopbackServer, Peer
from tests.waiting import until

RECIPIENT = "I.Petrov@example.org"

OpenSpool = Callable[..., SpooledMailbox]


def after(event: Event) -> Alter:
    """The right answer, as soon as this has happened."""
    return Alter(lambda answer: answer if event.wait(10) else b"")


@pytest.fixture
def sink() -> MailSink:
    """What the server got."""
    return MailSink()


@pytest.fixture
def server(sink: MailSink) -> Iterator[LoopbackServer]:
    """An LMTP server."""
    with serving(sink) as running:
        yield running
    assert running.failures == []


@pytest.fixture
def open_spool(server: LoopbackServer, place: RootedPath) -> Iterator[OpenSpool]:
    """Spools for RECIPIENT on the server."""
    with ExitStack() as stack:

        def opener(marker: str | None = None, *, recipient: str = RECIPIENT) -> SpooledMailbox:
            target = MailServer(Handover.LMTP, "127.0.0.1", server.port)
            spool = SpooledMailbox(target, recipient, place, marker, reserve=0, host="mx.example.org")
            stack.callback(spool.close)
            return spool

        yield opener


@pytest.fixture
def spool(open_spool: OpenSpool) -> SpooledMailbox:
    """A new spool."""
    return open_spool()


def waiting_in(place: RootedPath) -> set[str]:
    return {path.name for path in place.path.iterdir()} - {"marker", "seal"}


def stage_some(spool: SpooledMailbox, *letters: bytes) -> list[str]:
    spool.prepare(1000)
    waiting = [staged(spool, letter, str(number)) for number, letter in enumerate(letters)]
    spool.staging.sync(waiting)
    return [letter.name for letter in waiting]


def bodies(sink: MailSink) -> list[bytes]:
    """The letters as they were before the trace was put before them."""
    return [taken.octets.partition(b"\r\nX-Collected-Id: ")[2].partition(b"\r\n")[2] for taken in sink.taken]


def test_it_hands_over_the_letter_unchanged(spool: SpooledMailbox, sink: MailSink) -> None:
    letter = b"From: a@b\r\n\r\n.dots\r\n..\r\n\xd0\x9f\r\n"
    assert spool.commit(stage_some(spool, letter)) == {}
    assert bodies(sink) == [letter]


def test_it_empties_the_spool(spool: SpooledMailbox, place: RootedPath) -> None:
    names = stage_some(spool, LETTER, LETTER)
    assert waiting_in(place) == set(names)
    spool.commit(names)
    assert waiting_in(place) == set()


def test_it_sends_nothing_twice_when_committing_again(spool: SpooledMailbox, sink: MailSink) -> None:
    names = stage_some(spool, LETTER)
    spool.commit(names)
    assert spool.commit(names) == {}
    assert len(sink.taken) == 1


def test_only_a_letter_that_waits_can_come_twice(spool: SpooledMailbox) -> None:
    names = stage_some(spool, LETTER, LETTER)
    assert spool.in_doubt(names) == names
    spool.commit(names)
    assert spool.in_doubt(names) == []


def test_it_sends_nothing_that_another_is_sending(open_spool: OpenSpool, sink: MailSink) -> None:
    slow, other, answer = open_spool(), open_spool(), Event()
    names = stage_some(slow, LETTER, LETTER)
    other.prepare(0)
    sink.faults = {(END, 1): after(answer)}
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(slow.commit, names)
        until(lambda: bool(sink.taken))
        assert {name: type(error) for name, error in other.commit(names).items()} == {names[0]: UnderWay}
        answer.set()
        assert sending.result() == {}
    assert other.commit(names) == {}
    assert len(sink.taken) == 2


def test_it_sends_nothing_that_another_sent_while_it_opened_the_file(
    open_spool: OpenSpool, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = open_spool(), open_spool()
    names = stage_some(slow, LETTER)
    other.prepare(0)
    lock = sending._lock

    def locking_late(file: FileIO) -> None:
        monkeypatch.setattr(sending, "_lock", lock)
        assert other.commit(names) == {}
        lock(file)

    monkeypatch.setattr(sending, "_lock", locking_late)
    assert slow.commit(names) == {}
    assert len(sink.taken) == 1


def test_it_keeps_one_session_for_everything(spool: SpooledMailbox, server: LoopbackServer, sink: MailSink) -> None:
    spool.commit(stage_some(spool, LETTER, LETTER))
    spool.commit(stage_some(spool, LETTER))
    assert (len(sink.taken), server.connections) == (3, 1)


def test_it_opens_more_sessions_for_many_letters(
    spool: SpooledMailbox, server: LoopbackServer, sink: MailSink, place: RootedPath
) -> None:
    letters = [LETTER + b"%d\r\n" % number for number in range(100)]
    assert spool.commit(stage_some(spool, *letters[:50])) == {}
    assert spool.commit(stage_some(spool, *letters[50:])) == {}
    assert sorted(bodies(sink)) == sorted(letters)
    assert server.connections == MAX_SESSIONS
    assert waiting_in(place) == set()


def test_it_finishes_the_other_sessions_when_one_is_in_doubt(
    spool: SpooledMailbox, sink: MailSink, place: RootedPath
) -> None:
    sink.faults = {(END, 30): Cut(done=True)}
    names = stage_some(spool, *[LETTER] * 64)
    assert [type(error) for error in spool.commit(names).values()] == [Unanswered]
    left = waiting_in(place)
    assert spool.commit(names) == {}
    assert len(sink.taken) == 64 + 1
    assert len(left) == 1


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


def test_it_looks_for_room_before_asking(server: LoopbackServer, place: RootedPath) -> None:
    spool = SpooledMailbox(MailServer(Handover.LMTP, "127.0.0.1", server.port), RECIPIENT, place, reserve=1 << 60)
    with pytest.raises(DiskFull):
        spool.prepare(0)
    spool.close()
    assert server.connections == 0


def test_it_refuses_a_recipient_that_cannot_be_one(place: RootedPath) -> None:
    with pytest.raises(RecipientInvalid):
        SpooledMailbox(MailServer(Handover.LMTP), "a>\r\nRSET@x", place)


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


def test_it_sends_no_letter_that_is_too_large_for_the_server(spool: SpooledMailbox, sink: MailSink) -> None:
    sink.extensions = ("SIZE 1000",)
    names = stage_some(spool, LETTER, LETTER + b"x" * 1000)
    failures = spool.commit(names)
    assert (list(failures), len(sink.taken)) == ([names[1]], 1)
    assert isinstance(failures[names[1]], DeliveryRefused)


def test_it_holds_back_a_letter_that_goes_round_in_circles(spool: SpooledMailbox, sink: MailSink) -> None:
    spool.commit(stage_some(spool, LETTER))
    names = stage_some(spool, sink.taken[0].octets)
    assert isinstance(spool.commit(names)[names[0]], DeliveryRefused)
    assert len(sink.taken) == 1


# Each step of the delivery of the second of three letters fails. What then is certain, and what comes of the others?

REFUSED, LATER, FULL = DeliveryRefused, Deferred, DiskFull


@pytest.mark.parametrize(
    ("step", "nth", "fault", "kind"),
    [
        ("MAIL", 3, b"451 4.3.0 later\r\n", LATER),
        ("MAIL", 3, b"550 5.7.1 no\r\n", REFUSED),
        ("MAIL", 3, b"552-5.2.2 mailbox\r\n552 5.2.2 full\r\n", FULL),
        ("RCPT", 3, b"450 4.2.1 busy\r\n", LATER),
        ("RCPT", 3, b"452 4.2.2 full\r\n", FULL),
        ("RCPT", 3, b"550 5.1.1 unknown\r\n", REFUSED),
        ("DATA", 2, b"451 4.3.0 later\r\n", LATER),
        ("DATA", 2, b"554 5.6.0 no\r\n", REFUSED),
        (END, 2, b"451 4.3.0 later\r\n", LATER),
        (END, 2, b"452 no room\r\n", FULL),
        (END, 2, b"554 5.6.0 no\r\n", REFUSED),
        (END, 2, b"550-5.7.1 it\r\n550 5.7.1 is spam\r\n", REFUSED),
    ],
)
def test_it_says_which_letter_was_not_taken_and_goes_on(
    spool: SpooledMailbox,
    sink: MailSink,
    place: RootedPath,
    step: str,
    nth: int,
    fault: Fault,
    kind: type[DeliveryFailed],
) -> None:
    sink.faults = {(step, nth): fault}
    letters = [LETTER + b"1\r\n", LETTER + b"2\r\n", LETTER + b"3\r\n"]
    names = stage_some(spool, *letters)
    failures = spool.commit(names)
    assert {name: type(error) for name, error in failures.items()} == {names[1]: kind}
    assert bodies(sink) == [letters[0], letters[2]]
    assert waiting_in(place) == {names[1]}
    assert spool.commit(names) == {}
    assert bodies(sink) == [letters[0], letters[2], letters[1]]


ENDS: list[tuple[str, int, Fault]] = [
    ("MAIL", 3, b"421 4.3.2 too many letters in this session\r\n"),
    ("RCPT", 3, b"421 4.3.2 closing\r\n"),
    (END, 2, b"421 4.3.2 closing\r\n"),
    ("MAIL", 3, b"hello?\r\n"),
    ("RCPT", 3, b"hello?\r\n"),
    ("DATA", 2, b"250 what\r\n"),
    ("MAIL", 3, Cut()),
    ("RCPT", 3, Cut()),
    ("DATA", 2, Cut()),
    ("DATA", 2, Cut(done=True)),
    ("MAIL", 3, b"250-" + b"x" * 9000),
    ("MAIL", 3, b"250-x\r\n" * 200),
]
"""How a session ends before the second letter's end: the letter was certainly not taken."""


@pytest.mark.parametrize(("step", "nth", "fault"), ENDS)
def test_it_sends_a_letter_in_another_session_when_one_ends(
    spool: SpooledMailbox, sink: MailSink, server: LoopbackServer, step: str, nth: int, fault: Fault
) -> None:
    sink.faults = {(step, nth): fault}
    letters = [LETTER + b"1\r\n", LETTER + b"2\r\n", LETTER + b"3\r\n"]
    assert spool.commit(stage_some(spool, *letters)) == {}
    assert bodies(sink) == letters
    assert server.connections == 2


@pytest.mark.parametrize(("step", "nth", "fault"), ENDS)
def test_it_fails_when_the_other_session_ends_too(
    spool: SpooledMailbox, sink: MailSink, place: RootedPath, step: str, nth: int, fault: Fault
) -> None:
    sink.faults = {(step, nth): fault, (step, nth + 1): fault}
    letters = [LETTER + b"1\r\n", LETTER + b"2\r\n", LETTER + b"3\r\n"]
    names = stage_some(spool, *letters)
    failures = spool.commit(names)
    assert {name: type(error) for name, error in failures.items()} == {names[1]: DeliveryFailed}
    assert bodies(sink) == [letters[0], letters[2]]
    assert waiting_in(place) == {names[1]}


@pytest.mark.parametrize("step", ["RSET", "NOOP"])
@pytest.mark.parametrize("fault", [b"500 what\r\n", b"421 4.3.2 bye\r\n", b"?\r\n", Cut(), Cut(done=True)])
def test_it_begins_a_new_session_where_the_old_one_went_wrong(
    spool: SpooledMailbox, sink: MailSink, server: LoopbackServer, step: str, fault: Fault
) -> None:
    sink.faults = {(step, 2): fault, ("MAIL", 2): b"451 4.3.0 later\r\n"}
    names = stage_some(spool, LETTER)
    spool.commit(names)
    assert spool.commit(names) == {}
    assert (len(sink.taken), server.connections) == (1, 2)


@pytest.mark.parametrize("fault", [Cut(done=True), Cut(), b"???\r\n", b"354 go on\r\n", b"250-" + b"x" * 9000])
def test_it_goes_on_past_a_letter_whose_last_reply_is_lost(
    spool: SpooledMailbox, sink: MailSink, place: RootedPath, fault: Fault
) -> None:
    sink.faults = {(END, 2): fault}
    names = stage_some(spool, LETTER, LETTER, LETTER)
    assert {name: type(error) for name, error in spool.commit(names).items()} == {names[1]: Unanswered}
    assert waiting_in(place) == {names[1]}


def test_it_begins_no_more_letters_when_two_running_end_their_sessions(
    spool: SpooledMailbox, sink: MailSink, place: RootedPath
) -> None:
    sink.faults = {(END, nth): Cut() for nth in (1, 3, 4)}
    names = stage_some(spool, *[LETTER] * 6)
    failures = spool.commit(names)
    assert [type(failures.get(name)) for name in names] == [
        Unanswered,
        type(None),
        Unanswered,
        Unanswered,
        DeliveryFailed,
        DeliveryFailed,
    ]
    assert waiting_in(place) == failures.keys()


def test_it_sends_the_same_octets_when_it_has_to_send_again(spool: SpooledMailbox, sink: MailSink) -> None:
    sink.faults = {(END, 1): Cut(done=True)}
    names = stage_some(spool, LETTER)
    assert isinstance(spool.commit(names)[names[0]], Unanswered)
    assert spool.commit(names) == {}
    assert sink.taken[0] == sink.taken[1]


def test_it_sends_what_a_crash_left(open_spool: OpenSpool, sink: MailSink) -> None:
    before = open_spool()
    names = stage_some(before, LETTER, LETTER)
    before.commit(names[:1])
    before.close()
    after = open_spool(before.staging.marker)
    after.prepare(0)
    assert after.commit(names) == {}
    assert len(sink.taken) == 2


def test_it_concludes_and_sends_nothing_from_another_spool(
    open_spool: OpenSpool, place: RootedPath, sink: MailSink
) -> None:
    before = open_spool()
    names = stage_some(before, LETTER)
    place.path.rename(place.path.with_name("old"))
    with pytest.raises(MaildirReplaced):
        before.commit(names)
    with pytest.raises(MaildirReplaced):
        before.prepare(0)
    with pytest.raises(MaildirReplaced):
        open_spool(before.staging.marker).prepare(0)
    assert sink.taken == []


def test_it_concludes_nothing_when_the_spool_goes_during_the_commit(
    spool: SpooledMailbox, place: RootedPath, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = stage_some(spool, LETTER)
    carry = sending.Courier.carry

    def carrying(self: sending.Courier, names: list[str]) -> object:
        shutil.rmtree(place.path)
        return carry(self, names)

    monkeypatch.setattr(sending.Courier, "carry", carrying)
    with pytest.raises(MaildirReplaced):
        spool.commit(names)
    assert sink.taken == []


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


def test_it_tries_a_server_that_is_gone_once_a_batch(
    spool: SpooledMailbox, server: LoopbackServer, sink: MailSink, place: RootedPath
) -> None:
    sink.faults = {("MAIL", 3): Cut(), (GREETING, 2): Cut()}
    names = stage_some(spool, *[LETTER] * 5)
    spool.staging.remove(names[4:])
    failures = spool.commit(names)
    assert list(failures) == names[1:4]
    assert server.connections == 2
    assert waiting_in(place) == set(names[1:4])


def test_it_fails_when_nobody_listens(place: RootedPath) -> None:
    with serving(MailSink()) as server:
        port = server.port
    spool = SpooledMailbox(MailServer(Handover.LMTP, "127.0.0.1", port), RECIPIENT, place, reserve=0)
    with pytest.raises(DeliveryFailed, match=f"127.0.0.1:{port}"):
        spool.prepare(0)
    spool.close()


def test_it_waits_longer_for_the_end_of_a_letter_than_for_anything_else(
    spool: SpooledMailbox, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue, "REPLY_SECONDS", 0.2)
    done = Event()
    sink.faults = {(END, 1): after(done)}
    names = stage_some(spool, LETTER)
    Timer(0.6, done.set).start()
    assert spool.commit(names) == {}


def test_it_does_not_wait_for_ever(spool: SpooledMailbox, sink: MailSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "REPLY_SECONDS", 0.2)
    monkeypatch.setattr(dialogue, "END_SECONDS", 0.3)
    sink.faults = {("RCPT", 2): Stall(), ("RCPT", 3): Stall(), (END, 1): Stall()}
    names = stage_some(spool, LETTER)
    assert list(spool.commit(names)) == names
    assert isinstance(spool.commit(names)[names[0]], Unanswered)


@pytest.mark.parametrize(("step", "kind"), [("DATA", DeliveryFailed), (END, Unanswered)])
def test_it_does_not_wait_for_ever_for_a_reply_that_drips(
    step: str, kind: type[DeliveryFailed], place: RootedPath, monkeypatch: pytest.MonkeyPatch
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

    monkeypatch.setattr(dialogue, "END_SECONDS", 0.5)
    with LoopbackServer(serve) as server:
        spool = SpooledMailbox(MailServer(Handover.LMTP, "127.0.0.1", server.port), RECIPIENT, place, reserve=0)
        names = stage_some(spool, LETTER)
        began = monotonic()
        (error,) = spool.commit(names).values()
        assert monotonic() - began < 5
        spool.close()
    assert type(error) is kind


def test_it_reads_no_reply_when_its_time_is_over(spool: SpooledMailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "END_SECONDS", -1.0)
    with pytest.raises(DeliveryFailed, match="an endless reply"):
        spool.prepare(0)


def test_it_begins_no_letter_when_its_time_is_over(
    spool: SpooledMailbox, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = stage_some(spool, LETTER, LETTER)
    spool.staging.remove(names[:1])
    with monkeypatch.context() as slow:
        slow.setattr(sending, "CARRY_SECONDS", -1.0)
        assert list(spool.commit(names)) == names[1:]
    assert sink.taken == []
    assert spool.commit(names) == {}


def test_it_does_not_wait_long_for_a_goodbye(
    spool: SpooledMailbox, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue, "GOODBYE_SECONDS", 0.1)
    sink.faults = {("QUIT", 1): Stall()}
    spool.prepare(0)
    spool.close()
    spool.close()
    assert sink.commands[-1] == "quit"


def test_it_sends_a_large_letter_in_pieces(spool: SpooledMailbox, sink: MailSink) -> None:
    letter = LETTER + b".x\r\n" * 100_000
    assert spool.commit(stage_some(spool, letter)) == {}
    assert bodies(sink) == [letter]


def test_it_is_certain_of_a_letter_cut_in_the_middle(spool: SpooledMailbox, sink: MailSink, place: RootedPath) -> None:
    """The server goes while it is sent: whatever it kept, it has not seen the end."""
    for nth in (1, 2):
        sink.faults = {**sink.faults, ("DATA", nth): b"354 go ahead\r\n", ("RECEIVED:", nth): Cut()}
    names = stage_some(spool, LETTER + b"x" * 20_000_000, LETTER)
    failures = spool.commit(names)
    assert {name: type(error) for name, error in failures.items()} == {names[0]: Deferred}
    assert waiting_in(place) == {names[0]}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"552 5.3.4 too large\r\n", DeliveryRefused),
        (b"451 4.7.1 not now\r\n", Deferred),
        (b"452 4.3.1 no room\r\n", DiskFull),
        (b"421 4.3.2 closing\r\n", DeliveryFailed),
        (b"hm\r\n", DeliveryFailed),
    ],
)
def test_it_hears_why_a_server_hangs_up_in_the_middle_of_a_letter(
    said: bytes, kind: type[DeliveryFailed], place: RootedPath
) -> None:
    def serve(peer: Peer) -> None:
        peer.send(b"220 sink\r\n")
        while peer.read_line() != b"DATA":
            peer.send(b"250 ok\r\n")
        peer.send(b"354 go ahead\r\n")
        peer.read(100_000)
        peer.send(said)
        raise Hangup

    with LoopbackServer(serve) as server:
        spool = SpooledMailbox(MailServer(Handover.LMTP, "127.0.0.1", server.port), RECIPIENT, place, reserve=0)
        names = stage_some(spool, LETTER + b"x" * 20_000_000)
        (error,) = spool.commit(names).values()
        spool.close()
    assert (type(error), error.detail) == (kind, said.decode().strip())
    assert waiting_in(place) == set(names)


@pytest.mark.parametrize(
    ("said", "kind"),
    [(b"552 5.3.4 too large\r\n", DeliveryRefused), (b"250 ok\r\n", Unanswered), (b"", Unanswered)],
)
def test_it_hears_why_a_server_hangs_up_before_the_only_piece_of_a_letter(
    said: bytes, kind: type[DeliveryFailed], place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(peer: Peer) -> None:
        peer.send(b"220 sink\r\n")
        while peer.read_line() != b"DATA":
            peer.send(b"250 ok\r\n")
        peer.send(b"354 go ahead\r\n" + said)
        peer.reset()
        gone.set()
        raise Hangup

    def on_the_wire_late(trace: bytes, file: BinaryIO) -> Iterator[bytes]:
        assert gone.wait(10)
        yield from on_the_wire(trace, file)

    gone = Event()
    monkeypatch.setattr(sending, "on_the_wire", on_the_wire_late)
    with LoopbackServer(serve) as server:
        spool = SpooledMailbox(MailServer(Handover.LMTP, "127.0.0.1", server.port), RECIPIENT, place, reserve=0)
        (error,) = spool.commit(stage_some(spool, LETTER)).values()
        spool.close()
    assert type(error) is kind


def test_it_says_one_command_at_a_time(sink: MailSink, server: LoopbackServer) -> None:
    target = MailServer(Handover.LMTP, "127.0.0.1", server.port)
    session = dialogue.Dialogue(dialogue.connect(target, "mx"), "a>\r\nDATA\r\n<@x.ru")
    with pytest.raises(LocalProtocolError):
        session.ask()
    session.close()
    assert "DATA" not in sink.commands


def test_it_reads_no_reply_without_a_connection() -> None:
    with pytest.raises(smtplib.SMTPServerDisconnected):
        dialogue.BoundedReplies().getreply()


def test_it_goes_on_in_another_session_when_a_letter_breaks_off_in_its_middle(
    spool: SpooledMailbox, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of it must not become the beginning of the next one."""
    names = stage_some(spool, LETTER, LETTER)
    broken: list[BinaryIO] = []

    def breaking(trace: bytes, file: BinaryIO) -> Iterator[bytes]:
        if broken:
            yield from on_the_wire(trace, file)
            return
        broken.append(file)
        yield b"Subject: half\r\n"
        yield b"of a letter\r\n"
        raise OSError("EIO")

    monkeypatch.setattr(sending, "on_the_wire", breaking)
    assert spool.commit(names) == {}
    assert bodies(sink) == [LETTER, LETTER]
    assert not any(b"half" in one.octets for one in sink.taken)


def test_it_gives_up_a_letter_whose_file_cannot_be_read(
    spool: SpooledMailbox, sink: MailSink, place: RootedPath, tmp_path: Path
) -> None:
    names = stage_some(spool, LETTER, LETTER)
    (place.path / names[0]).unlink()
    (place.path / names[0]).symlink_to(tmp_path)
    failures = spool.commit(names)
    assert {name: type(error) for name, error in failures.items()} == {names[0]: MailboxUnwritable}
    assert len(sink.taken) == 1


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


def test_it_tells_a_copy_of_the_spool(spool: SpooledMailbox, place: RootedPath) -> None:
    (name,) = stage_some(spool, LETTER)
    (place.path / "seal").unlink()
    with pytest.raises(MaildirReplaced):
        spool.staging.seal([name, f"{name}.another"])
    spool.staging.seal([name])
    assert spool.staging.sealed


def test_it_finds_leftovers_in_the_spool(spool: SpooledMailbox, place: RootedPath) -> None:
    old, _young = stage_some(spool, LETTER, LETTER)
    os.utime(place.path / old, (0, 0))
    assert spool.staging.leftovers() == [old]
