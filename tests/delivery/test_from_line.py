"""An mbox "From " line in front of a letter is not delivered, however the octets come; the fingerprint stays that of what came."""

from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.delivery.disk import open_place
from fetchrules.delivery.fingerprint import Fingerprint
from fetchrules.delivery.from_line import MAX_LINE
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.staging import Staged, StagedFile, staged_name

LETTER = b"From: ivan@a.ru\r\nSubject: a\r\n\r\nbody\r\n"

LINES = [
    b"From ivan@a.ru Sat Feb  1 11:00:00 2020",
    b">From ivan@a.ru Sat Feb  1 11:00:00 2020",
    b"From MAILER-DAEMON Fri Jul  8 12:08 2011",
    b"From - Sat Feb 01 11:00:00 2020",
    b'From "Ivan P"@a.ru Sat Feb  1 11:00:00 MSK 2020',
    b"From ivan@a.ru Sat Feb  1 11:00:00 2020 +0300",
    b"From ivan@a.ru Sat Feb  1 11:00:00 +0300 2020",
    b"From ivan Sat Feb  1 11:00:00 2020 remote from mx",
    b"From ivan@a.ru  Sat, 1 Feb 2020 11:00:00 +0300",
    b"From  Sat Feb  1 11:00:00 2020",
]

AS_THEY_ARE = [
    b"",
    b"F",
    b">From",
    b"From ",
    b"From : ivan@a.ru\r\nSubject: an obsolete spelling, Sat Feb  1 11:00:00 2020\r\n\r\nbody\r\n",
    b"From: ivan@a.ru Sat Feb  1 11:00:00 2020\r\nSubject: a\r\n\r\n",
    b"from ivan@a.ru Sat Feb  1 11:00:00 2020\r\nSubject: a\r\n\r\n",
    b"From Moscow with love, 11:00:00 2020\r\nSubject: a\r\n\r\n",
    b"From ivan@a.ru Sat Feb  1 11:00:00 2020",
    b"From ivan@a.ru Sat Feb  1 11:00:00 2020\r\n",
    b"From ivan@a.ru Sat Feb  1 11:00:00 2020\r\n\r\nno header follows\r\n",
    b"From ivan@a.ru Sat Feb  1 11:00:00 2020\r\n folded\r\n\r\nbody\r\n",
    b"\r\nFrom ivan@a.ru Sat Feb  1 11:00:00 2020\r\nSubject: a\r\n",
    b"Subject: a\r\n\r\nFrom ivan@a.ru Sat Feb  1 11:00:00 2020\r\nbody\r\n",
    b"From " + b"x" * MAX_LINE + b" Sat Feb  1 11:00:00 2020\r\nSubject: a\r\n\r\n",
]

ODD = [
    b"Subject: no separator\r\nand no end",
    b"no header at all",
    b"\r\nno header\r\n",
    b"Subject: NUL\r\n\r\na\0b\r\n",
    b"\0From ivan@a.ru Sat Feb  1 11:00:00 2020\r\nSubject: a\r\n",
    b"Subject: bare\rCR\r\n\r\na\rb\r\r\nc\r",
    b"\rSubject: a\r\n\r\n",
    b"Subject: bare LF\n\nbody\n",
]

SIZES = st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=5)
CUTS = [[1], [2], [3, 1], [5, 40], [4096]]
"""The sizes of the pieces, in turn."""


def staged(directory: Path, letter: bytes, cuts: list[int]) -> tuple[Staged, bytes]:
    """What is known of a letter that came in such pieces, and its file."""
    with open_place(RootedPath(directory)) as held:
        draft = StagedFile(held, staged_name("1", "mx.example.org", 0))
        rest, sizes = letter, cycle(cuts)
        while rest:
            size = next(sizes)
            draft.write(rest[:size])
            rest = rest[size:]
        found = draft.finish()
        file = directory / found.name
        content = file.read_bytes()
        file.unlink()
    return found, content


def unix(letter: bytes) -> bytes:
    return letter.replace(b"\r\n", b"\n")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("staging")


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_it_is_left_out_and_the_fingerprint_stays(directory: Path, line: bytes, end: bytes, cuts: list[int]) -> None:
    received = line + end + LETTER
    found, content = staged(directory, received, cuts)
    assert content == unix(LETTER)
    fingerprint = Fingerprint()
    fingerprint.update(received)
    assert (found.fingerprint, found.header) == (fingerprint.hexdigest(), fingerprint.header)
    lines = unix(received)
    assert (found.size, found.canonical) == (len(received), len(lines) + lines.count(b"\n"))


@pytest.mark.parametrize("letter", [*AS_THEY_ARE, *ODD])
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_other_letters_stay_as_they_are(directory: Path, letter: bytes, cuts: list[int]) -> None:
    assert staged(directory, letter, cuts)[1] == unix(letter)


@given(letter=st.binary(max_size=300), cuts=SIZES)
def test_any_octets_stay_as_they_are(directory: Path, letter: bytes, cuts: list[int]) -> None:
    assert staged(directory, letter, cuts)[1] == unix(letter)


def test_only_one_line_is_left_out(directory: Path) -> None:
    line = b"From ivan@a.ru Sat Feb  1 11:00:00 2020\n"
    assert staged(directory, line + b">" + line + LETTER, [7])[1] == unix(b">" + line + LETTER)
