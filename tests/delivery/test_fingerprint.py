"""The fingerprint against a reference that reads line by line, and its laws."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.delivery.fingerprint import MAX_HEAD, MAX_HEADER, Fingerprint

LETTER = b"From: a@b\nSubject: hello\n\nStatus: body, not header\n"

_PIECES = [
    b"Status: RO",
    b"X-UIDL:x",
    b"x-mozilla-keys:",
    b"X-Status",
    b" folded",
    b"\tfolded",
    b"A: b",
    b"\n",
    b"\r\n",
    b"\r",
]
letters = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=6), max_size=30).map(b"".join)


def fingerprint(*chunks: bytes) -> Fingerprint:
    result = Fingerprint()
    for chunk in chunks:
        result.update(chunk)
    return result


def reference(letter: bytes) -> str:
    """What the module's first sentences say, one line at a time."""
    kept, in_header, dropping = [], True, False
    for line in (
        letter.replace(b"\r", b"").splitlines(keepends=True) if b"\n" in letter else [letter.replace(b"\r", b"")]
    ):
        if in_header and line == b"\n":
            in_header = False
        elif in_header and line[:1] not in (b" ", b"\t"):
            name = line.partition(b":")[0].rstrip(b" \t").lower() if b":" in line else b""
            mozilla = name.startswith(b"x-mozilla-") and all(33 <= octet <= 126 for octet in name)
            dropping = mozilla or name in {b"status", b"x-status", b"x-uidl", b"x-keywords"}
        if not (in_header and dropping):
            kept.append(line)
    return hashlib.sha256(b"".join(kept)).hexdigest()


def lines_of(letter: bytes) -> list[bytes]:
    return [line + b"\n" for line in letter.split(b"\n")]


@given(letters)
def test_it_agrees_with_a_reader_of_lines(letter: bytes) -> None:
    text = letter.replace(b"\r", b"")
    assert fingerprint(letter).hexdigest() == _by_lines(text)


def _by_lines(text: bytes) -> str:
    kept, in_header, dropping = b"", True, False
    rest = text
    while rest:
        end = rest.find(b"\n") + 1 or len(rest)
        line, rest = rest[:end], rest[end:]
        if line == b"\n":
            in_header = False
        if in_header and line[:1] not in (b" ", b"\t"):
            dropping = _is_volatile(line)
        if not (in_header and dropping):
            kept += line
    return hashlib.sha256(kept).hexdigest()


def _is_volatile(line: bytes) -> bool:
    name, colon, _ = line.partition(b":")
    name = name.rstrip(b" \t").lower()
    mozilla = name.startswith(b"x-mozilla-") and all(33 <= octet <= 126 for octet in name)
    return bool(colon) and (mozilla or name in {b"status", b"x-status", b"x-uidl", b"x-keywords"})


@given(letters, st.lists(st.integers(min_value=1, max_value=9), min_size=1))
def test_it_does_not_depend_on_how_the_letter_was_cut(letter: bytes, sizes: list[int]) -> None:
    whole = fingerprint(letter)
    cut = Fingerprint()
    rest, turn = letter, 0
    while rest:
        size = sizes[turn % len(sizes)]
        cut.update(rest[:size])
        rest, turn = rest[size:], turn + 1
    assert (cut.hexdigest(), cut.head) == (whole.hexdigest(), whole.head)


@pytest.mark.parametrize(
    "variant",
    [
        LETTER.replace(b"\n", b"\r\n"),
        b"\r" + LETTER,
        b"Status: RO\n" + LETTER,
        LETTER.replace(b"\n\n", b"\nX-Status: \n\n"),
        LETTER.replace(b"Subject", b"x-uidl : abc\n folded\n\tagain\nSubject"),
        LETTER.replace(b"Subject", b"X-KEYWORDS: \nX-Mozilla-Status2: 0001\n \nSubject"),
    ],
)
def test_it_is_equal_for_copies_that_a_mail_program_touched(variant: bytes) -> None:
    assert fingerprint(variant).hexdigest() == fingerprint(LETTER).hexdigest() == hashlib.sha256(LETTER).hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        LETTER.replace(b"hello", b"Hello"),
        LETTER + b"\n",
        LETTER.replace(b"Status: body, not header", b""),
        b"Status-Of: x\n" + LETTER,
        b"X-Mozilla: x\n" + LETTER,
        b" Status: x\n" + LETTER,
        b"\n" + LETTER,
    ],
)
def test_it_differs_for_another_letter(other: bytes) -> None:
    assert fingerprint(other).hexdigest() != fingerprint(LETTER).hexdigest()


def test_it_gives_the_head_up_to_the_blank_line() -> None:
    assert fingerprint(LETTER.replace(b"\n", b"\r\n")).head == b"From: a@b\nSubject: hello\n"


def test_it_gives_the_head_of_a_letter_without_a_body() -> None:
    assert fingerprint(b"Subject: only", b" this").head == b"Subject: only this"


def test_it_gives_no_head_for_a_letter_that_begins_with_its_body() -> None:
    assert fingerprint(b"\r", b"\nbody").head == b""


def test_it_caps_the_head() -> None:
    header = b"X: " + b"y" * MAX_HEAD + b"\n"
    assert fingerprint(header + b"\nbody").head == fingerprint(header).head == header[:MAX_HEAD]


@pytest.mark.parametrize("beyond", [-11, -10, -2, -1, 0, 1, 1000])
@pytest.mark.parametrize("size", [4096, MAX_HEADER - 1, MAX_HEADER, MAX_HEADER + 1, 1 << 20])
def test_it_searches_a_bounded_header_only(beyond: int, size: int) -> None:
    """A volatile field counts once the header is longer than MAX_HEADER, at the same octet however the letter is cut."""
    volatile = b"Status: RO\n"
    filler = b"A: " + b"b" * (MAX_HEADER + beyond - 4) + b"\n"
    letter = filler + volatile + b"\nbody"
    chunks = [letter[at : at + size] for at in range(0, len(letter), size)]
    inside = len(filler) + len(volatile) <= MAX_HEADER
    expected = filler + b"\nbody" if inside else filler + _cut(volatile, MAX_HEADER - len(filler)) + b"\nbody"
    assert fingerprint(*chunks).hexdigest() == hashlib.sha256(expected).hexdigest()


def _cut(volatile: bytes, inside: int) -> bytes:
    """What stays of a field of which `inside` octets still belong to the header: nothing of these if they show the name."""
    return volatile[inside:] if inside >= len(b"Status:") else volatile


def test_it_may_be_asked_before_the_end() -> None:
    letter = fingerprint(LETTER[:30])
    assert letter.hexdigest() == hashlib.sha256(LETTER[:30]).hexdigest()
    letter.update(LETTER[30:])
    assert letter.hexdigest() == fingerprint(LETTER).hexdigest()
