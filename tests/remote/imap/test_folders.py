"""Names of folders, as people write them and as servers spell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.errors import RemoteProtocolError
from fetchrules.remote.imap.grammar import Folder, Literal, Piece, folder, values
from fetchrules.utf7 import decode_folder, encode_folder

NAMES = [
    ("INBOX", "INBOX"),
    ("Входящие", "&BBIERQQ+BDQETwRJBDgENQ-"),
    ("Архив/2024", "&BBAEQARFBDgEMg-/2024"),
    ("AT&T", "AT&-T"),
    ("a & Я", "a &- &BC8-"),
    ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("😀", "&2D3eAA-"),
    ('quo"te\\', 'quo"te\\'),
]


@pytest.mark.parametrize(("name", "written"), NAMES)
def test_it_writes_and_reads_modified_utf_7(name: str, written: str) -> None:
    assert encode_folder(name) == written
    assert decode_folder(written) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_it_reads_what_it_wrote(name: str) -> None:
    written = encode_folder(name)
    assert written.isascii()
    assert decode_folder(written) == name


@pytest.mark.parametrize("name", ["AT&T", "a&b", "&", "&!-", "Входящие", "&2D0-"])
def test_it_takes_a_name_that_is_no_modified_utf_7_as_it_is(name: str) -> None:
    assert decode_folder(name) == name


LISTED: list[tuple[list[Piece], Folder | None]] = [
    ([b'(\\HasNoChildren) "/" "INBOX"'], Folder("INBOX", "INBOX", "/")),
    ([b'(\\Noselect \\HasChildren) "/" "[Gmail]"'], None),
    ([b'(\\NOSELECT) "/" "[Gmail]"'], None),
    ([b'(\\NonExistent) "/" gone'], None),
    ([b"() NIL &BBAEQARFBDgEMg-"], Folder("Архив", "&BBAEQARFBDgEMg-")),
    ([b'() "/"', Literal(b'a "b"'), b""], Folder('a "b"', 'a "b"', "/")),
    ([b'(NIL) "." a.b ("CHILDINFO" ("SUBSCRIBED"))'], Folder("a.b", "a.b", ".")),
    ([b'() "\\\\" "a\\\\b"'], Folder("a\\b", "a\\b", "\\")),
    (['() "/" "Входящие"'.encode()], Folder("Входящие", "Входящие", "/")),
    ([b'() "/" "\xcf\xf0"'], Folder("\ufffd\ufffd", "\udccf\udcf0", "/")),
]


@pytest.mark.parametrize(("pieces", "expected"), LISTED)
def test_it_reads_a_folder(pieces: list[Piece], expected: Folder | None) -> None:
    assert folder(values(pieces)) == expected


@pytest.mark.parametrize("line", [b"", b'"/" INBOX', b'() "/" NIL', b"() INBOX", b'() "/" ()'])
def test_it_refuses_what_is_no_folder(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        folder(values([line]))
