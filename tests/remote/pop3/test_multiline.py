"""Bodies are cut into blocks everywhere: a law says that it makes no difference."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.demo.pop3 import stuffed
from fetchrules.remote.pop3.protocol import MultilineBody

BODIES = [
    (b".\r\n", b""),
    (b"\r\n.\r\n", b"\r\n"),
    (b"one\r\n.\r\n", b"one\r\n"),
    (b"..\r\n.\r\n", b".\r\n"),
    (b"...\r\n..\r\n.\r\n", b"..\r\n.\r\n"),
    (b".unstuffed\r\n.\r\n", b"unstuffed\r\n"),
    (b"a\r\n..b\r\n\r\n..\r\n.\r\n", b"a\r\n.b\r\n\r\n.\r\n"),
    (b"bare\n.\nlf\r\n.\r\n", b"bare\n.\nlf\r\n"),
    (b"bare\n.\r\nhalf\r\n.\r\n", b"bare\n.\r\nhalf\r\n"),
    (b"cr\r.\rcr\r\n.\r\n", b"cr\r.\rcr\r\n"),
    (b"\r\r\n.\r\r\n.\r\n", b"\r\r\n\r\r\n"),
    (b"a\r\n.\n\r\n.\r\n", b"a\r\n\n\r\n"),
    (b"nul\0\r\n\xff\xfe\r\n.\r\n", b"nul\0\r\n\xff\xfe\r\n"),
]

nasty = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"a", b"\r\n.", b"\r\n.\r"])).map(b"".join)


def read(blocks: list[bytes]) -> tuple[bytes, bytes]:
    """(the body, what was left behind it) of a body that comes in `blocks`."""
    body, data, rest = MultilineBody(), b"", b""
    for block in blocks:
        if body.ended:
            rest += block
        else:
            more, behind = body.feed(block)
            data, rest = data + more, rest + behind
    assert body.ended
    return data, rest


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize(("octets", "expected"), BODIES)
def test_it_unstuffs_a_body(octets: bytes, expected: bytes) -> None:
    assert read([octets + b"+OK next\r\n"]) == (expected, b"+OK next\r\n")


@pytest.mark.parametrize(("octets", "expected"), BODIES)
def test_it_unstuffs_a_body_that_comes_octet_by_octet(octets: bytes, expected: bytes) -> None:
    assert read([bytes([octet]) for octet in octets]) == (expected, b"")


@given(nasty, st.lists(st.integers(min_value=0)))
def test_it_gives_back_what_was_stuffed_however_it_is_cut(data: bytes, places: list[int]) -> None:
    letter = data + b"\r\n"
    assert read(cut(stuffed(letter), places)) == (letter, b"")


@given(nasty, st.lists(st.integers(min_value=0)))
def test_it_does_not_care_how_any_octets_are_cut(data: bytes, places: list[int]) -> None:
    octets = data + b"\r\n.\r\n+OK"
    assert read(cut(octets, places)) == read([octets])


def test_it_never_holds_more_than_a_terminator_can_take() -> None:
    body = MultilineBody()
    given, _ = body.feed(b"x" * 100_000 + b"\r\n.\r")
    assert len(given) == 100_000
