"""A staged letter on its way to a mail server: its octets, its envelope, and letters that go round in circles."""

import io
import re
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.delivery.outgoing import BLOCK, COLLECTED, MAX_HOPS, Outgoing, on_the_wire, read_outgoing
from fetchrules.delivery.staging import StagedName, staged_name

NAME = StagedName.parse(staged_name("key", "mx", 1_700_000_000))
TRACE = b"Received: by us\r\n"


def outgoing(letter: bytes, recipient: str = "petrov@x.ru", name: StagedName = NAME) -> Outgoing:
    return read_outgoing(io.BytesIO(letter), name, recipient, "mx")


def wire(letter: bytes) -> bytes:
    return b"".join(on_the_wire(TRACE, io.BytesIO(letter)))


def received(octets: bytes) -> bytes:
    """What a server makes of the octets after DATA, by RFC 5321 §4.5.2."""
    lines = octets.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:-2])


@pytest.mark.parametrize(
    ("letter", "octets"),
    [
        (b"", b"Received: by us\r\n.\r\n"),
        (b"a", b"Received: by us\r\na\r\n.\r\n"),
        (b"a\n", b"Received: by us\r\na\r\n.\r\n"),
        (b".\n", b"Received: by us\r\n..\r\n.\r\n"),
        (b".", b"Received: by us\r\n..\r\n.\r\n"),
        (b"a\n.b\n..\n", b"Received: by us\r\na\r\n..b\r\n...\r\n.\r\n"),
        (b"a\r\n\r.\r\n\r", b"Received: by us\r\na\r\n..\r\n.\r\n"),
        (b"\r", b"Received: by us\r\n.\r\n"),
    ],
)
def test_it_writes_the_wire(letter: bytes, octets: bytes) -> None:
    assert wire(letter) == octets


@given(st.lists(st.sampled_from([b"\n", b".", b"\r", b"a", b"\n.\n", b"\xff"])).map(b"".join), st.integers(-3, 3))
def test_it_says_the_same_wherever_blocks_end(end: bytes, shift: int) -> None:
    letter = b"x" * (BLOCK + shift) + end + b"y" * BLOCK + end
    octets = wire(letter)
    text = letter.replace(b"\r", b"")
    lines = text if text.endswith(b"\n") else text + b"\n"
    assert received(octets) == TRACE + lines.replace(b"\n", b"\r\n")
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", octets) is None


def test_it_sends_a_small_letter_in_one_piece() -> None:
    assert len(list(on_the_wire(TRACE, io.BytesIO(b"x\n" * 1000)))) == 1


def test_it_ends_with_the_terminator_whatever_the_size() -> None:
    pieces = list(on_the_wire(TRACE, io.BytesIO(b"x\n" * BLOCK)))
    assert pieces[-1].endswith(b".\r\n")
    assert max(map(len, pieces)) <= 4 * BLOCK


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b"\xff", b"\n\n"])).map(b"".join))
def test_it_knows_the_size_on_the_wire(letter: bytes) -> None:
    whole = letter if letter.endswith(b"\n") else letter + b"\n"
    result = outgoing(whole)
    assert result.octets == len(received(b"".join(on_the_wire(result.trace, io.BytesIO(whole)))))
    assert result.eight_bit == (b"\xff" in letter)


def test_it_puts_a_trace_before_the_letter() -> None:
    trace = outgoing(b"Subject: x\n\n").trace.decode()
    received_field, collected, rest = re.split(r"\r\n(?!\t)", trace)
    assert rest == ""
    assert received_field.startswith(f"Received: by mx (utm-mail) id {NAME.unique};")
    assert parsedate_to_datetime(received_field.partition(";")[2].strip()).timestamp() == NAME.seconds
    assert re.fullmatch(rf"{COLLECTED}: {NAME.key_hash}\.[0-9a-f]{{16}}", collected)


def test_it_gives_a_letter_one_id_however_often_it_is_collected() -> None:
    again = StagedName.parse(staged_name("key", "mx2", 1_800_000_000))
    ids = {_id_of(outgoing(b"", name=name)) for name in (NAME, again)}
    assert len(ids) == 1


def test_it_gives_another_id_to_another_letter_or_recipient() -> None:
    other = StagedName.parse(staged_name("other", "mx", 1_700_000_000))
    ids = [_id_of(outgoing(b"")), _id_of(outgoing(b"", name=other)), _id_of(outgoing(b"", "ivanov@x.ru"))]
    assert len(set(ids)) == 3


def _id_of(letter: Outgoing) -> str:
    return letter.trace.decode().partition(f"{COLLECTED}: ")[2].strip()


@pytest.mark.parametrize(
    ("header", "sender"),
    [
        (b"Return-Path: <ivan@x.ru>\n", "ivan@x.ru"),
        (b"RETURN-PATH:<ivan@x.ru> \n", "ivan@x.ru"),
        (b"A: b\nReturn-Path: <a@x>\nReturn-Path: <b@x>\n", "a@x"),
        ("Return-Path: <иван@x.рф>\n".encode(), "иван@x.рф"),
        (b"Return-Path: <>\n", ""),
        (b"", ""),
        (b"Return-Path: ivan@x.ru\n", ""),
        (b"Return-Path: <ivan>\n", ""),
        (b"Return-Path: <iv an@x>\n", ""),
        (b'Return-Path: <"a\\"b"@x>\n', ""),
        (b"Return-Path: <a@x>\r> RCPT TO:<b@x>\n", ""),
        (b"Return-Path: <a\0@x>\n", ""),
        (b"Return-Path: <\xff@x>\n", ""),
        (b"Return-Path: <" + b"a" * 300 + b"@x>\n", ""),
        (b"\nReturn-Path: <body@x>\n", ""),
    ],
)
def test_it_takes_the_sender_from_return_path(header: bytes, sender: str) -> None:
    assert outgoing(header + b"\nbody\n").sender == sender


def test_it_recognises_a_letter_that_it_has_sent_to_this_mailbox() -> None:
    before = outgoing(b"")
    again = outgoing(
        b"Received: x\n" + before.trace.replace(b"\r\n", b"\n") + b"\nbody",
        name=StagedName.parse(staged_name("2", "h", 1)),
    )
    assert "loop" in again.loop


def test_it_sends_on_what_was_collected_for_somebody_else() -> None:
    before = outgoing(b"", "ivanov@x.ru").trace.replace(b"\r\n", b"\n")
    assert outgoing(before + b"\nbody").loop == ""


@pytest.mark.parametrize(("hops", "loops"), [(0, False), (MAX_HOPS - 1, False), (MAX_HOPS, True), (1000, True)])
def test_it_counts_hops(hops: int, loops: bool) -> None:
    assert bool(outgoing(b"received: by x\n" * hops + b"\nReceived: body").loop) == loops


@given(st.binary())
def test_it_takes_any_octets(letter: bytes) -> None:
    result = outgoing(letter)
    assert result.sender.isprintable()
    wire(letter)
