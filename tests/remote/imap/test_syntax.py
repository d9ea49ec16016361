import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.remote.imap.syntax import Part, Value, quoted, responses, uid_set, values

READ: list[tuple[list[Part], list[Value]]] = [
    ([b"1 (UID 5)"], [b"1", [b"UID", b"5"]]),
    ([b"()"], [[]]),
    ([b""], []),
    ([b'"a (b) {3} \\" \\\\ c"'], [b'a (b) {3} " \\ c']),
    ([b"NIL nil"], [None, None]),
    ([b'"NIL"'], [b"NIL"]),
    ([b"(\\Seen $Label) BODY[]<0>"], [[b"\\Seen", b"$Label"], b"BODY[]<0>"]),
    ([b"(a}b } x{3} $a{b})"], [[b"a}b", b"}", b"x{3}", b"$a{b}"]]),
    ([(b"(a}  {1}", b"x"), b")"], [[b"a}", b"x"]]),
    ([(b"1 (BODY[] {3}", b")\r\n"), b" UID 5)"], [b"1", [b"BODY[]", b")\r\n", b"UID", b"5"]]),
    ([(b"{0}", b""), (b" ~{1}", b"x"), b""], [b"", b"x"]),
]

BROKEN: list[list[Part]] = [[b")"], [b"("], [b"(()"], [b'"a'], [b"{3}"], [b"(" * 100 + b")" * 100]]


@pytest.mark.parametrize(("parts", "expected"), READ)
def test_it_reads_values(parts: list[Part], expected: list[Value]) -> None:
    assert values(parts) == expected


@pytest.mark.parametrize("parts", BROKEN)
def test_it_refuses_what_cannot_be_read(parts: list[Part]) -> None:
    with pytest.raises(RemoteProtocolError):
        values(parts)


@given(st.lists(st.binary(max_size=30) | st.tuples(st.binary(max_size=30), st.binary(max_size=5)), max_size=4))
def test_it_breaks_in_one_way_only(parts: list[Part]) -> None:
    with contextlib.suppress(RemoteProtocolError):
        values(parts)


def test_it_finds_the_ends_of_responses() -> None:
    flat: list[Part | None] = [b"1", (b"2 {1}", b"x"), (b" {1}", b"y"), b")", None, b"3"]
    assert list(responses(flat)) == [[b"1"], [(b"2 {1}", b"x"), (b" {1}", b"y"), b")"], [b"3"]]


@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])))
def test_it_quotes_so_that_it_can_be_read_again(text: str) -> None:
    assert values([quoted(text).encode()]) == [text.encode()]


@pytest.mark.parametrize("nasty", ["a\rb", 'a\n" LOGOUT', "a\0"])
def test_it_quotes_nothing_that_would_begin_another_command(nasty: str) -> None:
    with pytest.raises(LocalProtocolError):
        quoted(nasty)


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
