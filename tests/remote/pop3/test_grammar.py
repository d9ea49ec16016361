from time import monotonic

import pytest

from fetchrules.errors import RemoteProtocolError
from fetchrules.remote.mailbox import Listed
from fetchrules.remote.pop3 import grammar
from fetchrules.remote.pop3.grammar import (
    Status,
    StatusLine,
    capabilities,
    drop_listing,
    scan_listings,
    status_line,
    unique_id_listings,
)

STATUS_LINES = [
    (b"+OK", StatusLine(Status.OK)),
    (b"+OK ", StatusLine(Status.OK)),
    (b"+OK 2 320", StatusLine(Status.OK, "2 320")),
    (b"+OK\tready", StatusLine(Status.OK, "ready")),
    (b"+OK, ready", StatusLine(Status.OK, ", ready")),
    (b"+OK [XYZ] fine", StatusLine(Status.OK, "[XYZ] fine", "XYZ")),
    (b"-ERR", StatusLine(Status.ERR)),
    (b"-ERR no such message", StatusLine(Status.ERR, "no such message")),
    (b"-ERR [IN-USE] busy", StatusLine(Status.ERR, "[IN-USE] busy", "IN-USE")),
    (b"-ERR [sys/temp] later", StatusLine(Status.ERR, "[sys/temp] later", "SYS/TEMP")),
    (b"-ERR [ not a code", StatusLine(Status.ERR, "[ not a code")),
    (b"-ERR [] empty", StatusLine(Status.ERR, "[] empty")),
    (b"-ERR busy [IN-USE]", StatusLine(Status.ERR, "busy [IN-USE]")),
    ("-ERR ящик занят".encode(), StatusLine(Status.ERR, "ящик занят")),
    (b"-ERR \xff\xfe", StatusLine(Status.ERR, "\ufffd\ufffd")),
    (b"+ ", StatusLine(Status.CONTINUE)),
    (b"+", StatusLine(Status.CONTINUE)),
    (b"+ Zm9v", StatusLine(Status.CONTINUE, "Zm9v")),
]

NO_STATUS_LINES = [
    b"",
    b"OK",
    b"+ok",
    b"-err",
    b"+OKAY",
    b"-ERROR",
    b"+KO",
    b" +OK",
    b"* OK IMAP4rev1 ready",
    b"220 mail.example.org ESMTP",
    b"HTTP/1.1 400 Bad Request",
    b"+OK one\n+OK two",
    b"+OK nul \0",
]


@pytest.mark.parametrize(("line", "expected"), STATUS_LINES)
def test_it_reads_status_lines(line: bytes, expected: StatusLine) -> None:
    assert status_line(line) == expected


@pytest.mark.parametrize("line", NO_STATUS_LINES)
def test_it_takes_nothing_else_for_a_status_line(line: bytes) -> None:
    assert status_line(line) is None


def test_it_reads_capabilities() -> None:
    announced = capabilities(b"TOP\r\nSASL PLAIN LOGIN\r\nuidl\r\nEXPIRE 60\r\n\r\n")
    assert announced.has("TOP")
    assert announced.has("UIDL")
    assert "PLAIN" in announced.parameters("SASL")
    assert "CRAM-MD5" not in announced.parameters("SASL")
    assert not announced.has("STLS")
    assert not announced.has("PLAIN")
    assert "EXPIRE 60" in announced.lines


def test_it_ignores_an_empty_capability() -> None:
    assert not capabilities(b" \r\n").has("TOP")


def test_it_looks_at_so_many_capabilities_and_no_more() -> None:
    body = b"".join(b"X-%d\r\n" % number for number in range(100_000))
    assert 100 < len(capabilities(body).lines) < 10_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2 320", 2), ("0 0", 0), ("2 320 octets", 2), ("1000000000 1", 10**9), ("2", None), ("", None), ("a b", None)],
)
def test_it_reads_the_number_of_letters_that_stat_announces(text: str, expected: int | None) -> None:
    assert drop_listing(text) == expected


def test_it_reads_scan_listings() -> None:
    assert scan_listings(b"1 120\r\n2 200\r\n") == {1: 120, 2: 200}
    assert scan_listings(b"") == {}
    assert scan_listings(b" 1  120 \r\n2 200 recent\r\n") == {1: 120, 2: 200}


def test_it_keeps_an_absurd_size_within_what_a_database_holds() -> None:
    assert scan_listings(b"1 9999999999999999999\r\n")[1] < 2**63


@pytest.mark.parametrize(
    "body", [b"\r\n", b"1\r\n", b"1 big\r\n", b"one 120\r\n", b"1 120\n2 200\r\n", b"1234567890 1\r\n", b"1 -1\r\n"]
)
def test_it_refuses_what_is_no_scan_listing(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        scan_listings(body)


def test_it_reads_unique_id_listings() -> None:
    body = b"1 whqtswO00WBw418f9t5JxYwZ\r\n2 QhdPYR:00WBw1Ph7x7 \r\n"
    assert unique_id_listings(body) == {1: "whqtswO00WBw418f9t5JxYwZ", 2: "QhdPYR:00WBw1Ph7x7"}


def test_it_gives_a_printable_name_for_one_that_is_none() -> None:
    uids = unique_id_listings(b"1 \xe9\r\n2 \xe8\r\n")
    assert uids[1] != uids[2]
    assert all(Listed(1, uid, 1).has_name for uid in uids.values())


def test_it_shortens_an_endless_unique_id_and_tells_two_apart() -> None:
    uids = unique_id_listings(b"1 " + b"a" * 1000 + b"\r\n2 " + b"a" * 999 + b"\r\n")
    assert uids[1] != uids[2]
    assert all(Listed(1, uid, 1).has_name for uid in uids.values())
    assert uids == unique_id_listings(b"1 " + b"a" * 1000 + b"\r\n2 " + b"a" * 999 + b"\r\n")


@pytest.mark.parametrize("line", [b"2\r\n", b"2 \r\n", b"2 \t \r\n"])
def test_it_takes_a_blank_unique_id_for_none(line: bytes) -> None:
    assert unique_id_listings(b"1 one\r\n" + line) == {1: "one", 2: ""}


@pytest.mark.parametrize("name", [b"a b", b"a\tb", b"\0", b"\x05", b"\x7f", b"a\rb", b"x" * 1100])
def test_it_tells_letters_apart_by_names_that_are_none(name: bytes) -> None:
    uids = unique_id_listings(b"1 " + name + b"\r\n2 " + name + b"!\r\n3 " + name + b" \r\n")
    assert uids[1] == uids[3] != uids[2]
    assert all(Listed(1, uid, 1).has_name for uid in uids.values())


@pytest.mark.parametrize(
    "body",
    [
        b"".join(b"%d a name  with blanks \x05\r\n" % number for number in range(300_000)),
        b"1" + b" " * 8_000_000 + b"x\r\n",
        b"1 " + b"x " * 4_000_000 + b"\r\n",
        b"".join(b"%d " % number + b" " * 30_000 + b"x\r\n" for number in range(200)),
    ],
    ids=["many lines", "blanks", "a name of blanks", "many lines of blanks"],
)
def test_it_reads_unique_ids_in_linear_time(body: bytes) -> None:
    began = monotonic()
    unique_id_listings(body)
    assert monotonic() - began < 5


@pytest.mark.parametrize("body", [b"x y\r\n", b"1x\r\n", b"1 a\nb\r\n", b"1 a\n", b"1234567890 a\r\n", b"\r\n"])
def test_it_refuses_what_is_no_unique_id_listing(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        unique_id_listings(body)


def test_it_believes_so_many_lines_of_a_listing_and_no_more_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "LETTERS_MAX", 2)
    assert scan_listings(b"1 1\r\n2 1\r\n3 1\r\n") == {2: 1, 3: 1}
