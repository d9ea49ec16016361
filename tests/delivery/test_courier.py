"""Letters carried to a mail server in sessions: which was taken, and what becomes of the others, when something fails."""

from collections.abc import Iterator
from threading import Event
from typing import BinaryIO

import pytest

from fetchrules.delivery import spool as sending
from fetchrules.delivery.dialogue import Deferred, Handover, MailServer, Patience, Unanswered
from fetchrules.delivery.outgoing import on_the_wire
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.spool import MAX_SESSIONS, SpooledMailbox
from fetchrules.errors import (
    DeliveryFailed,
    DeliveryRefused,
    DiskFull,
)
from tests.delivery.conftest import RECIPIENT, OpenSpool
from tests.delivery.spooling import bodies, stage_some, waiting_in
from tests.delivery.test_maildir import LETTER
from tests.servers.faults import Cut
from tests.servers.lmtp import END, GREETING, Fault, MailSink
from tests.servers.loopback import Hangup, LoopbackServer, Peer


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


def test_it_begins_no_letter_when_its_time_is_over(open_spool: OpenSpool, sink: MailSink) -> None:
    slow = open_spool(patience=Patience(carry=-1.0))
    names = stage_some(slow, LETTER, LETTER)
    slow.staging.remove(names[:1])
    assert list(slow.commit(names)) == names[1:]
    assert sink.taken == []
    patient = open_spool(slow.staging.marker)
    patient.prepare(0)
    assert patient.commit(names) == {}


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
