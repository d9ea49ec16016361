from contextlib import suppress
from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetchrules.errors import RemoteProtocolError
from fetchrules.remote.imap.fetched import _plain_items, data_items, fetched, internal_date, listing
from fetchrules.remote.imap.syntax import Part, Value, values
from fetchrules.remote.mailbox import Listed

DATES: list[tuple[Value, datetime | None]] = [
    (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)),
    (b" 1-Jan-2024 00:00:00 +0300", datetime(2023, 12, 31, 21, 0, tzinfo=UTC)),
    (b"01-JAN-2024 00:00:00 +0000", datetime(2024, 1, 1, tzinfo=UTC)),
    (b"01-Foo-2024 00:00:00 +0000", None),
    (b"31-Feb-2024 00:00:00 +0000", None),
    (b"01-Jan-2024 00:00:00 +9999", None),
    (b"01-Jan-0001 00:00:00 +2300", None),
    (b"01-Jan-0000 00:00:00 +0000", None),
    (b"yesterday", None),
    (None, None),
    ([b"x"], None),
]


@pytest.mark.parametrize(("value", "expected"), DATES)
def test_it_reads_internal_dates(value: Value, expected: datetime | None) -> None:
    assert internal_date(value) == expected


def test_it_reads_a_listing() -> None:
    line = b'12 (FLAGS (\\Seen \\Answered) UID 34 INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286)'
    (letter,) = fetched([line])
    expected = Listed(34, "34", 4286, seen=True, received=datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC))
    assert letter.listed() == expected
    assert letter.flags == {b"\\seen", b"\\answered"}


DATE = datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
SIZED = b'1 (UID 5 INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 10)'
SPLIT: list[tuple[list[Part], list[tuple[Listed, bool]]]] = [
    ([SIZED, b"1 (UID 5 FLAGS (\\Deleted))"], [(Listed(5, "5", 10, received=DATE), True)]),
    ([b"1 (FLAGS (\\Deleted \\Seen) UID 5)", SIZED], [(Listed(5, "5", 10, seen=True, received=DATE), True)]),
    ([b"1 (UID 5 FLAGS (\\Deleted) RFC822.SIZE 7)", b"1 (UID 5 FLAGS ())"], [(Listed(5, "5", 7), False)]),
    ([b"1 (UID 5 FLAGS (\\Seen) RFC822.SIZE 7)", b"1 (UID 5)"], [(Listed(5, "5", 7, seen=True), False)]),
    ([b"1 (UID 5 FLAGS (\\Deleted))", b"2 (UID 6 RFC822.SIZE 7)"], [(Listed(6, "6", 7), False)]),
]


@pytest.mark.parametrize(("lines", "letters"), SPLIT)
def test_it_puts_together_what_is_told_of_a_letter(lines: list[Part], letters: list[tuple[Listed, bool]]) -> None:
    assert list(listing(lines).values()) == letters


@pytest.mark.parametrize("size", [b"", b" RFC822.SIZE NIL", b" RFC822.SIZE big", b" RFC822.SIZE " + b"9" * 30])
def test_it_takes_an_odd_size_for_no_hint(size: bytes) -> None:
    (letter,) = fetched([b"1 (UID 5" + size + b")"])
    assert letter.listed().size == 0


def test_it_passes_over_letters_without_uid() -> None:
    assert list(fetched([None, b"1 (FLAGS (\\Seen))", b"2 (UID NIL)"])) == []


@pytest.mark.parametrize("line", [b"", b"1", b"1 UID 5", b"1 (UID)", b"1 (UID x)", b"1 (UID 12345678901)"])
def test_it_refuses_what_is_no_answer_to_fetch(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        list(fetched([line]))


LONG: dict[str, list[Part]] = {
    "words": [b"1 FETCH (" + b"a " * 125_000 + b")"],
    "pairs": [b"1 (" + b"a " * 125_000 + b")"],
    "one word": [b"1 (" + b"a" * 250_000 + b")"],
    "keywords": [b"1 (FLAGS (" + b"a " * 125_000 + b") UID)"],
    "blanks before a literal": [(b"1 (" + b" " * 250_000 + b"x {3}", b"abc"), b")"],
    "quotes": [b"1 (" + b'a "' * 83_000 + b")"],
    "braces": [(b"1 (" + b"{1" * 125_000 + b" {3}", b"abc"), b")"],
}
"""Lines as long as they may be."""


@pytest.mark.parametrize("parts", LONG.values(), ids=LONG)
def test_it_takes_as_long_as_a_line_is_long(parts: list[Part]) -> None:
    began = process_time()
    with suppress(RemoteProtocolError):
        data_items(parts)
    assert process_time() - began < 1


TOKENS = st.sampled_from(
    [
        b"UID",
        b"FLAGS",
        b"5",
        b"(",
        b")",
        b"()",
        b'"a b"',
        b'""',
        b"NIL",
        b"\\Seen",
        b" ",
        b" ",
        b" ",
        b"BODY[]<0>",
        b"a}b",
        b"}",
        b'"',
        b"{1}",
    ]
)


@given(st.lists(TOKENS, max_size=12).map(b"".join))
@example(b'FLAGS (\\Seen  NIL) UID 5 INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286')
@example(b"UID 5 ")
@example(b"")
def test_it_reads_plain_lines_the_quick_way_as_it_would_the_long_way(inner: bytes) -> None:
    line = b"12 (" + inner + b")"
    plain = _plain_items(line)
    if plain is not None:
        _, pairs = values([line])
        assert isinstance(pairs, list)
        assert plain == {
            name.upper(): value for name, value in zip(*[iter(pairs)] * 2, strict=True) if isinstance(name, bytes)
        }
