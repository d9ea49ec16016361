from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetchrules.errors import RemoteProtocolError
from fetchrules.remote.imap.grammar import (
    Items,
    Literal,
    Piece,
    Status,
    StatusLine,
    Streamed,
    Value,
    _plain_items,
    data_items,
    flags_of,
    internal_date,
    number,
    status_line,
    uid_of,
    uid_set,
    values,
)
from fetchrules.remote.imap.listing import listing
from fetchrules.remote.imap.protocol import Fetched, quoted
from fetchrules.remote.mailbox import Listed

STATUS_LINES = [
    (b"OK", StatusLine(Status.OK)),
    (b"OK ", StatusLine(Status.OK)),
    (b"OK  done", StatusLine(Status.OK, "done")),
    (b"ok done", StatusLine(Status.OK, "done")),
    (b"NO [ALERT] Too many", StatusLine(Status.NO, "[ALERT] Too many", "ALERT")),
    (b"NO [alert] Too many", StatusLine(Status.NO, "[alert] Too many", "ALERT")),
    (b"NO Too many [ALERT]", StatusLine(Status.NO, "Too many [ALERT]")),
    (b"OK [UIDVALIDITY 5] valid", StatusLine(Status.OK, "[UIDVALIDITY 5] valid", "UIDVALIDITY", "5")),
    (b"OK [UIDVALIDITY  5]", StatusLine(Status.OK, "[UIDVALIDITY  5]", "UIDVALIDITY", "5")),
    (b"OK [CAPABILITY IMAP4rev1 ID]", StatusLine(Status.OK, "[CAPABILITY IMAP4rev1 ID]", "CAPABILITY", "IMAP4rev1 ID")),
    (
        b"NO [WEBALERT https://x.y/z?a=1] log in",
        StatusLine(Status.NO, "[WEBALERT https://x.y/z?a=1] log in", "WEBALERT", "https://x.y/z?a=1"),
    ),
    (b"OK [SABFAA==]", StatusLine(Status.OK, "[SABFAA==]")),
    (b"OK [ not a code", StatusLine(Status.OK, "[ not a code")),
    (b"OK [] empty", StatusLine(Status.OK, "[] empty")),
    (b"BAD what?", StatusLine(Status.BAD, "what?")),
    (b"BYE", StatusLine(Status.BYE)),
    (b"PREAUTH hello", StatusLine(Status.PREAUTH, "hello")),
    ("NO ящик занят".encode(), StatusLine(Status.NO, "ящик занят")),
    (b"NO \xff", StatusLine(Status.NO, "\ufffd")),
]

NO_STATUS_LINES = [b"", b" OK", b"OKAY", b"OK\tdone", b"NOT", b"+OK", b"FETCH", b"OK nul \0", b"\0"]


@pytest.mark.parametrize(("octets", "expected"), STATUS_LINES)
def test_it_reads_status_responses(octets: bytes, expected: StatusLine) -> None:
    assert status_line(octets) == expected


@pytest.mark.parametrize("octets", NO_STATUS_LINES)
def test_it_takes_nothing_else_for_a_status_response(octets: bytes) -> None:
    assert status_line(octets) is None


READ: list[tuple[list[Piece], list[Value]]] = [
    ([b"1 (UID 5)"], [b"1", [b"UID", b"5"]]),
    ([b"()"], [[]]),
    ([b""], []),
    ([b"  a   b "], [b"a", b"b"]),
    ([b'"a (b) {3} \\" \\\\ c"'], [b'a (b) {3} " \\ c']),
    ([b"NIL nil"], [None, None]),
    ([b'"NIL"'], [b"NIL"]),
    ([b"(\\Seen $Label) BODY[]<0>"], [[b"\\Seen", b"$Label"], b"BODY[]<0>"]),
    ([b"(a}b } x{3} $a{b})"], [[b"a}b", b"}", b"x{3}", b"$a{b}"]]),
    ([b"{3}"], [b"{3}"]),
    ([b"(a} ", Literal(b"x"), b")"], [[b"a}", b"x"]]),
    ([b"1 (BODY[]", Literal(b")\r\n"), b" UID 5)"], [b"1", [b"BODY[]", b")\r\n", b"UID", b"5"]]),
    ([b"1 (BODY[]", Literal(None), b")"], [b"1", [b"BODY[]", Streamed.VALUE]]),
    ([b"", Literal(b""), b"", Literal(b"x"), b""], [b"", b"x"]),
    ([b"", Literal(b"NIL"), b""], [b"NIL"]),
    ([b"(UID 5) FLAGS ())"], [[b"UID", b"5"], b"FLAGS", []]),
]

BROKEN: list[list[Piece]] = [[b")"], [b"("], [b"(()"], [b'"a'], [b'a"b'], [b"a)"], [b"(" * 100 + b")" * 100]]


@pytest.mark.parametrize(("pieces", "expected"), READ)
def test_it_reads_values(pieces: list[Piece], expected: list[Value]) -> None:
    assert values(pieces) == expected


@pytest.mark.parametrize("pieces", BROKEN)
def test_it_refuses_what_cannot_be_read(pieces: list[Piece]) -> None:
    with pytest.raises(RemoteProtocolError):
        values(pieces)


def test_it_reads_lists_in_lists_to_some_depth() -> None:
    assert values([b"(" * 19 + b")" * 19])
    with pytest.raises(RemoteProtocolError, match="deep"):
        values([b"(" * 20 + b")" * 20])


PIECES = st.binary(max_size=30) | st.none().map(Literal) | st.binary(max_size=5).map(Literal)


@given(st.lists(PIECES, max_size=4))
def test_it_breaks_in_one_way_only(pieces: list[Piece]) -> None:
    for read in (values, data_items):
        with suppress(RemoteProtocolError):
            read(pieces)


@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])))
def test_it_quotes_so_that_it_can_be_read_again(text: str) -> None:
    assert values([b'"%s"' % quoted(text).encode()]) == [text.encode()]


ITEMS: list[tuple[list[Piece], Items]] = [
    ([b"(UID 5)"], {b"UID": b"5"}),
    ([b"(uid 5 flags (\\seen))"], {b"UID": b"5", b"FLAGS": [b"\\seen"]}),
    ([b"( UID  5 )"], {b"UID": b"5"}),
    ([b"()"], {}),
    ([b'(X "a (b" UID 5)'], {b"X": b"a (b", b"UID": b"5"}),
    ([b"(X NIL UID 5)"], {b"X": None, b"UID": b"5"}),
    ([b"(X (NIL nil a))"], {b"X": [None, None, b"a"]}),
    ([b"(X $a{5} UID 5)"], {b"X": b"$a{5}", b"UID": b"5"}),
    ([b"(UID 5 BODY[]", Literal(None), b")"], {b"UID": b"5", b"BODY[]": Streamed.VALUE}),
    ([b"(BODY[]", Literal(b"x"), b" UID 5)"], {b"BODY[]": b"x", b"UID": b"5"}),
    ([b"(UID 5 BODY[] )"], {b"UID": b"5", b"BODY[]": None}),
    ([b"(UID 5 BODY[HEADER])"], {b"UID": b"5", b"BODY[HEADER]": None}),
    ([b"(BODY[]", Literal(None), b") UID 5 FLAGS ())"], {b"BODY[]": Streamed.VALUE, b"UID": b"5", b"FLAGS": []}),
    ([b"(UID 5) FLAGS (a)"], {b"UID": b"5", b"FLAGS": [b"a"]}),
    ([b"((a) b UID 5)"], {b"UID": b"5"}),
]


@pytest.mark.parametrize(("pieces", "expected"), ITEMS)
def test_it_reads_the_items_of_an_answer_to_fetch(pieces: list[Piece], expected: Items) -> None:
    assert data_items(pieces) == expected


@pytest.mark.parametrize(
    "line", [b"", b"UID 5", b"UID 5)", b"(UID)", b"(UID 5 FLAGS)", b"5 (UID 5)", b"(UID 5", b"NIL"]
)
def test_it_refuses_what_is_no_answer_to_fetch(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        data_items([line])


@pytest.mark.parametrize(
    ("uid", "expected"), [(b"5", 5), (b"4294967295", 4294967295), (b"0005", 5), (None, None), (b"0", 0)]
)
def test_it_reads_uids(uid: Value, expected: int | None) -> None:
    assert uid_of({b"UID": uid}) == expected


def test_it_knows_no_uid_where_none_is_told() -> None:
    assert uid_of({b"FLAGS": []}) is None


@pytest.mark.parametrize("uid", [b"x", b"", b"-5", b"5.0", b"12345678901", [b"5"], Streamed.VALUE, "\u0665".encode()])
def test_it_refuses_a_uid_that_is_no_number(uid: Value) -> None:
    with pytest.raises(RemoteProtocolError):
        uid_of({b"UID": uid})


NUMBERS: list[tuple[Value, int | None]] = [
    (b"0", 0),
    (b"4286", 4286),
    (b"9.3736e+06", 9_373_600),
    (b"1E6", 1_000_000),
    (b"1.5e3", 1500),
    (b"9" * 19, 2**62),
    (b"1e99", 2**62),
    (b"9" * 20, None),
    (b"1.5", None),
    (b"1e999", None),
    (b"-1", None),
    (b"big", None),
    (b"", None),
    (None, None),
    ([b"5"], None),
    (Streamed.VALUE, None),
]


@pytest.mark.parametrize(("value", "expected"), NUMBERS)
def test_it_reads_sizes(value: Value, expected: int | None) -> None:
    assert number(value) == expected


FLAGS: list[tuple[Items, set[bytes]]] = [
    ({b"FLAGS": [b"\\Seen", b"$Label", b"\\DELETED"]}, {b"\\seen", b"$label", b"\\deleted"}),
    ({b"FLAGS": [None, [b"\\Seen"], b"x", Streamed.VALUE]}, {b"x"}),
    ({b"FLAGS": []}, set()),
    ({b"FLAGS": None}, set()),
    ({b"FLAGS": b"\\Seen"}, set()),
    ({}, set()),
]


@pytest.mark.parametrize(("items", "expected"), FLAGS)
def test_it_reads_flags_in_any_case(items: Items, expected: set[bytes]) -> None:
    assert flags_of(items) == expected


DATES: list[tuple[Value, datetime | None]] = [
    (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)),
    (b" 1-Jan-2024 00:00:00 +0300", datetime(2023, 12, 31, 21, 0, tzinfo=UTC)),
    (b"1-Jan-2024 00:00:00 +0000", datetime(2024, 1, 1, tzinfo=UTC)),
    (b"01-JAN-2024 00:00:00 +0000", datetime(2024, 1, 1, tzinfo=UTC)),
    (b"01-Foo-2024 00:00:00 +0000", None),
    (b"31-Feb-2024 00:00:00 +0000", None),
    (b"01-Jan-2024 00:00:00 +9999", None),
    (b"01-Jan-0001 00:00:00 +2300", None),
    (b"01-Jan-0000 00:00:00 +0000", None),
    (b"yesterday", None),
    (None, None),
    ([b"x"], None),
    (Streamed.VALUE, None),
]


@pytest.mark.parametrize(("value", "expected"), DATES)
def test_it_reads_internal_dates(value: Value, expected: datetime | None) -> None:
    assert internal_date(value) == expected


def fetched(*lines: bytes) -> list[Fetched]:
    """Answers to FETCH, behind their asterisks."""
    return [Fetched(int(line.split()[0]), data_items([line.partition(b" FETCH ")[2]])) for line in lines]


def test_it_reads_a_listing() -> None:
    line = b'12 FETCH (FLAGS (\\Seen \\Answered) UID 34 INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286)'
    received = datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
    expected = Listed(34, "34", 4286, seen=True, received=received, answered=True)
    assert listing(fetched(line), 100) == {34: (expected, False)}


DATE = datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
SIZED = b'1 FETCH (UID 5 INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 10)'
SPLIT: list[tuple[list[bytes], list[tuple[Listed, bool]]]] = [
    ([SIZED, b"1 FETCH (UID 5 FLAGS (\\Deleted))"], [(Listed(5, "5", 10, received=DATE), True)]),
    ([b"1 FETCH (FLAGS (\\Deleted \\Seen) UID 5)", SIZED], [(Listed(5, "5", 10, seen=True, received=DATE), True)]),
    (
        [b"1 FETCH (UID 5 FLAGS (\\Deleted) RFC822.SIZE 7)", b"1 FETCH (UID 5 FLAGS ())"],
        [(Listed(5, "5", 7), False)],
    ),
    ([b"1 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 7)", b"1 FETCH (UID 5)"], [(Listed(5, "5", 7, seen=True), False)]),
    (
        [b"1 FETCH (UID 5 FLAGS (\\FLAGGED \\answered) RFC822.SIZE 7)", b"1 FETCH (UID 5)"],
        [(Listed(5, "5", 7, starred=True, answered=True), False)],
    ),
    (
        [b"1 FETCH (UID 5 FLAGS (\\Flagged \\Answered) RFC822.SIZE 7)", b"1 FETCH (UID 5 FLAGS (\\Seen))"],
        [(Listed(5, "5", 7, seen=True), False)],
    ),
    ([b"1 FETCH (UID 5 FLAGS (\\Deleted))", b"2 FETCH (UID 6 RFC822.SIZE 7)"], [(Listed(6, "6", 7), False)]),
    ([b"1 FETCH (FLAGS (\\Seen))", b"2 FETCH (UID NIL)"], []),
    ([b"101 FETCH (UID 5 RFC822.SIZE 7)"], []),
]


@pytest.mark.parametrize(("lines", "letters"), SPLIT)
def test_it_puts_together_what_is_told_of_a_letter(lines: list[bytes], letters: list[tuple[Listed, bool]]) -> None:
    assert list(listing(fetched(*lines), 100).values()) == letters


@pytest.mark.parametrize("size", [b"NIL", b"big", b"9" * 30])
def test_it_takes_an_odd_size_for_no_hint(size: bytes) -> None:
    letters = listing(fetched(b"1 FETCH (UID 5 RFC822.SIZE " + size + b")"), 100)
    assert letters == {5: (Listed(5, "5", 0), False)}


LONG: dict[str, list[Piece]] = {
    "words": [b"1 FETCH (" + b"a " * 125_000 + b")"],
    "pairs": [b"(" + b"a " * 125_000 + b")"],
    "one word": [b"(" + b"a" * 250_000 + b")"],
    "keywords": [b"(FLAGS (" + b"a " * 125_000 + b") UID)"],
    "keywords without end": [b"(FLAGS (" + b"a " * 125_000],
    "pairs that end in a quote": [b"(" + b"a b " * 60_000 + b'"'],
    "lists side by side": [b"(" + b"a () " * 50_000 + b"x)"],
    "blanks": [b"(" + b" " * 250_000 + b"x"],
    "blanks before a literal": [b"(" + b" " * 250_000 + b"x", Literal(b"abc"), b")"],
    "quotes": [b"(" + b'a "' * 83_000 + b")"],
    "backslashes": [b'("' + b"\\" * 250_000],
    "braces": [b"(" + b"{1" * 125_000, Literal(b"abc"), b")"],
    "literals": [b"(", *[piece for _ in range(50_000) for piece in (Literal(b""), b" ")], b")"],
}
"""Lines as long as they may be."""


@pytest.mark.parametrize("pieces", LONG.values(), ids=LONG)
def test_it_takes_as_long_as_a_line_is_long(pieces: Sequence[Piece]) -> None:
    began = process_time()
    with suppress(RemoteProtocolError):
        data_items(pieces)
    assert process_time() - began < 1


@pytest.mark.parametrize(
    "octets",
    [
        b"OK " + b"[" * 250_000,
        b"OK [" + b"A" * 250_000,
        b"OK [A" + b" " * 250_000,
        b"OK" + b" " * 250_000,
        b"OK" + b" " * 250_000 + b"\0",
        b"OK [A " + b"]" * 250_000,
    ],
)
def test_it_takes_as_long_as_a_status_response_is_long(octets: bytes) -> None:
    began = process_time()
    status_line(octets)
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
@example(b"NIL UID")
@example(b"")
def test_it_reads_plain_lines_the_quick_way_as_it_would_the_long_way(inner: bytes) -> None:
    line = b"(" + inner + b")"
    plain = _plain_items(line)
    if plain is not None:
        (pairs,) = values([line])
        assert isinstance(pairs, list)
        assert plain == {
            name.upper(): value for name, value in zip(*[iter(pairs)] * 2, strict=True) if isinstance(name, bytes)
        }


@pytest.mark.parametrize(
    ("uids", "expected"),
    [([5], "5"), ([1, 2, 3], "1:3"), ([3, 1, 2, 2], "1:3"), ([1, 3, 4, 9], "1,3:4,9"), ([], "")],
)
def test_it_writes_short_sets(uids: list[int], expected: str) -> None:
    assert uid_set(uids) == expected


@given(st.frozensets(st.integers(1, 100)))
def test_it_names_in_a_set_what_it_was_given(uids: frozenset[int]) -> None:
    named = set()
    for part in filter(None, uid_set(uids).split(",")):
        first, _, last = part.partition(":")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == uids
