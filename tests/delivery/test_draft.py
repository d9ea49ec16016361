"""What is known of a letter once it is staged: its sizes, and the print of its header, however it was cut."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.delivery.disk import open_place
from fetchrules.delivery.fingerprint import MAX_HEADER, head_print
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.staging import Staged, StagedFile, staged_name
from tests.delivery.test_fingerprint import letters

CUTS = st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=5)
LONG = b"A: b\r\n" * (60 * 1024)
"""A header of 300 KiB, its CRs not counted."""


def stage(directory: Path, letter: bytes, cuts: list[int]) -> Staged:
    with open_place(RootedPath(directory)) as held:
        draft = StagedFile(held, staged_name("1", "mx.example.org", 0))
        for piece in pieces(letter, cuts):
            draft.write(piece)
        staged = draft.finish()
        draft.discard()
    return staged


def pieces(letter: bytes, cuts: list[int]) -> Iterator[bytes]:
    for size in cycle(cuts):
        if not letter:
            return
        yield letter[:size]
        letter = letter[size:]


def lines(text: bytes) -> list[bytes]:
    return [line + b"\n" for line in text.removesuffix(b"\n").split(b"\n")] if text else []


def header_alone(letter: bytes) -> bytes:
    """The header's lines as a server sends them, without the blank line."""
    header = b""
    for line in lines(letter.replace(b"\r", b"")):
        if line == b"\n":
            break
        header += line
    return header.replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("staging")


@given(letters, CUTS, st.sampled_from([b"", b"\r\n", b"\n", b"\r\n\r\n\r\n"]))
def test_a_header_fetched_alone_has_the_print_of_the_whole_letters(
    directory: Path, letter: bytes, cuts: list[int], blank_lines: bytes
) -> None:
    assert stage(directory, letter, cuts).header == head_print(header_alone(letter) + blank_lines)


@pytest.mark.parametrize(
    ("letter", "alone"),
    [
        (b"Subject: a\r\n\r\nbody\r\n", b"Subject: a\r\n\r\n"),
        (b"Subject: a\r\nStatus: RO\r\n\r\nbody\r\n", b"Subject: a\r\nX-UIDL: 1\r\n\r\n"),
        (b"Subject: a\n\nbody", b"Subject: a\r\n\r\n"),
        (b"Subject: a\r\n", b"Subject: a\r\n\r\n"),
        (b"Subject: a", b"Subject: a\r\n\r\n"),
        (b"Subject: a", b"Subject: a"),
        (b"\r\nbody", b"\r\n"),
        (b"\r\nbody", b""),
        (b"", b"\r\n"),
        (LONG + b"\r\nbody", LONG + b"\r\n"),
        (LONG + b"\r\nbody", LONG),
        (LONG + b"\r\nbody", LONG + b"Subject: beyond what is looked at\r\n\r\n"),
        (b"A" * MAX_HEADER, b"A" * MAX_HEADER + b"\r\n\r\n"),
        (b"A" * (MAX_HEADER - 1), b"A" * (MAX_HEADER - 1) + b"\r\n\r\n"),
        (b"A" * (MAX_HEADER + 1), b"A" * (MAX_HEADER + 1) + b"\r\n\r\n"),
    ],
)
def test_it_knows_the_header_again(directory: Path, letter: bytes, alone: bytes) -> None:
    assert stage(directory, letter, [4096]).header == head_print(alone)


@pytest.mark.parametrize("other", [b"Subject: b\r\n\r\n", b"Subject: a\r\nX: y\r\n\r\n", b"", b"\r\nSubject: a\r\n"])
def test_another_header_has_another_print(directory: Path, other: bytes) -> None:
    assert stage(directory, b"Subject: a\r\n\r\nbody", [7]).header != head_print(other)


@given(letters, CUTS)
def test_it_counts_each_line_end_as_two_octets(directory: Path, letter: bytes, cuts: list[int]) -> None:
    staged = stage(directory, letter, cuts)
    bare = letter.replace(b"\r\n", b"\n")
    assert (staged.size, staged.canonical) == (len(letter), len(bare) + bare.count(b"\n"))


@pytest.mark.parametrize(
    ("letter", "canonical"), [(b"", 0), (b"a\r\nb\nc", 7), (b"\r\r\n\r", 4), (b"\n\n", 4), (b"a\r\n\r\n", 5)]
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_it_counts_a_lone_cr_as_one(directory: Path, letter: bytes, canonical: int, size: int) -> None:
    assert stage(directory, letter, [size]).canonical == canonical
