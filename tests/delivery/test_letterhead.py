"""What the journal shows of a letter, from honest letters and from hostile ones."""

import time
from datetime import UTC, datetime, timedelta
from email.header import Header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetchrules.delivery.letterhead import Letterhead, arrival, header_fields, read_date, read_letterhead
from fetchrules.errors import MAX_DETAIL, printable

RUSSIAN = "Счёт за октябрь"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_it_reads_the_fields(end: bytes) -> None:
    lines = [
        b"Received: x",
        b"FROM: Ivan <ivan@x.ru>",
        b"Subject : a",
        b"\tb",
        b" c",
        b"Message-ID:<1@x>",
        b"Date: 1 Feb 2024 03:04:05 +0300",
    ]
    assert read_letterhead(end.join(lines)) == Letterhead("Ivan <ivan@x.ru>", "a b c", "<1@x>")
    assert read_date(end.join(lines)) == datetime(2024, 2, 1, 0, 4, 5, tzinfo=UTC)


def test_it_reads_nothing_from_nothing() -> None:
    assert read_letterhead(b"") == Letterhead()


def test_it_takes_the_first_of_repeated_fields() -> None:
    assert read_letterhead(b"Subject: one\nSubject: two").subject == "one"


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        (b"=?utf-8?B?0J/RgNC40LLQtdGC?=", "Привет"),
        (b"=?koi8-r?Q?=F0=D2=C9=D7=C5=D4?=", "Привет"),
        (b"=?windows-1251?q?=CF=F0=E8=E2=E5=F2?=", "Привет"),
        (b"=?WINDOWS-1251*ru?q?=CF=F0=E8=E2=E5=F2?=", "Привет"),
        (b"=?iso-8859-1?Q?a_b=5F?= c", "a b_ c"),
        (b"Re: =?utf-8?q?a?=  =?utf-8?q?b?= c  =?utf-8?q?d?=", "Re: ab c d"),
        (b"=?utf-8?q?a?=\n =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?B?0J8=?= =?utf-8?B?0Q==?= =?utf-8?B?gA==?=", "Пр"),
        (b"=?utf-8?B?0J8=?= =?koi8-r?Q?=D2?=", "Пр"),
        (b"=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        (b"=?utf-8?B?0J/RgNC40LLQtdG?=", "Привет"[:5] + "\ufffd"),
        (b"=?utf-8?B?0J/RgNC40LLQtdGCA?=", "Привет"),
        (b"=?utf-8?B?@@@?=", ""),
        (b"=?no-such-charset?B?0J/RgNC40LLQtdGC?=", "Привет"),
        (b"=?cp9999?B?0J/RgNC40LLQtdGC?=", "Привет"),
        (b"=?idna?q?a=00?=", "a\\u0000"),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (b"=?utf-8?q?unfinished", "=?utf-8?q?unfinished"),
        ("Привет".encode(), "Привет"),
        ("Привет".encode("cp1251"), "Привет"),
        ("Привет".encode("koi8-r"), "Привет"),
        (b"a\0b\x1b[31m", "a\\u0000b\\u001b[31m"),
        ("a\u202eb".encode(), "a\\u202eb"),
        (b"=?utf-7?q?+2AA-?=", "\\ud800"),
        (b"  spaces \t inside  ", "spaces inside"),
    ],
)
def test_it_decodes_a_subject(value: bytes, subject: str) -> None:
    assert read_letterhead(b"Subject: " + value).subject == subject


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=100))
def test_it_reads_what_others_encode(subject: str) -> None:
    encoded = Header(subject, "utf-8", header_name="Subject").encode()
    assert read_letterhead(f"Subject: {encoded}".encode()).subject == printable(subject)


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (b"Mon, 01 Jan 2024 10:00:00 +0300 (MSK)", datetime(2024, 1, 1, 7, tzinfo=UTC)),
        (b"Mon, 01 Jan 2024 10:00:00 -0000", datetime(2024, 1, 1, 10, tzinfo=UTC)),
        (b"1 Jan 24 10:00 GMT", datetime(2024, 1, 1, 10, tzinfo=UTC)),
        (b"yesterday", None),
        (b"", None),
        (b"1 Jan 2024 10:00:00 +99999999999999999999", None),
        (b"99 Jan 2024 10:00:00 +0000", None),
        (b"1 Jan 99999999999999999999 10:00:00 +0000", None),
        (b"\xff\xff", None),
    ],
)
def test_it_reads_a_date(value: bytes, date: datetime | None) -> None:
    assert read_date(b"Date: " + value) == date


_PIECES = [
    b"Subject:",
    b"From: ",
    b"Date:",
    b"Message-ID: ",
    b"\n",
    b"\r\n ",
    b"=?",
    b"utf-8",
    b"?b?",
    b"?Q?",
    b"?=",
    b"=",
    b"utf-7",
    b"\0",
]


@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=8)).map(b"".join) | st.binary(max_size=500))
@example(b"Date: =?")
def test_it_never_raises(head: bytes) -> None:
    letterhead = read_letterhead(head)
    for text in (letterhead.sender, letterhead.subject, letterhead.message_id):
        assert text == printable(text)
        assert len(text) <= MAX_DETAIL
    date = read_date(head)
    assert date is None or date.tzinfo is not None


@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=8)).map(b"".join))
@example(b"Subject\t:a\r\n b\nSUBJECT: c\nFrom: d\r")
@example(b"\nSubject: a\n\tb\n\nFrom:")
@example(b" Subject: a\nSubject: b")
def test_it_reads_the_fields_as_they_are_parted_one_by_one(head: bytes) -> None:
    fields: dict[bytes, bytes] = {}
    for name, value in header_fields(head):
        fields.setdefault(name, value)
    wanted = (b"from", b"subject", b"message-id")
    alone = [read_letterhead(b"Subject:" + fields.get(name, b"")).subject for name in wanted]
    found = read_letterhead(head)
    assert [found.sender, found.subject, found.message_id] == alone


@given(st.text(max_size=60))
def test_it_never_raises_for_a_date(text: str) -> None:
    read_date(b"Date: " + text.encode("utf-8", "surrogatepass"))


@given(
    st.sampled_from(["utf-7", "utf-16", "iso-2022-jp", "gb18030", "big5", "euc-kr", "tis-620", "cp037", "koi8-t"]),
    st.binary(),
)
def test_it_never_raises_for_a_charset(charset: str, octets: bytes) -> None:
    quoted = "".join(f"={octet:02X}" for octet in octets)
    read_letterhead(f"Subject: =?{charset}?q?{quoted}?=".encode())


@pytest.mark.parametrize(
    "unit",
    [
        b"=?utf-8?q?a?= ",
        b"=?",
        b"=?a*",
        b"=?utf-8?b?",
        b"?=",
        b"\n ",
        b"a",
        b":",
        b"Subject:\n",
        b" ",
        b"=?a?q?\xff?=",
        b"(",
        b"\xd0",
    ],
)
def test_it_takes_no_time_over_a_hostile_head(unit: bytes) -> None:
    hostile = unit * (16384 // len(unit))
    began = time.process_time()
    for field in (b"Subject: ", b"From: ", b"Date: ", b"Message-ID: ", b""):
        read_letterhead(field + hostile)
    assert time.process_time() - began < 1


SENT, TRACED, TOLD, NOW = (datetime(2020, 2, 1, hour, tzinfo=UTC) for hour in (7, 8, 9, 10))
DATE = b"Date: Sat, 1 Feb 2020 07:00:00 +0000\n"
FIRST = b"Received: by c.example; Sat, 1 Feb 2020 07:30:00 +0000\n"
LAST = b"X: y\nRECEIVED : from c.example (HELO; x) by d.example\n\tid 1; Sat, 1 Feb 2020 11:00:00 +0300 (MSK)\n"


@pytest.mark.parametrize(
    ("told", "head", "arrived"),
    [
        (TOLD, LAST + DATE, TOLD),
        (None, LAST + FIRST + DATE, TRACED),
        (None, DATE, SENT),
        (None, b"Received: by d.example\n" + DATE, SENT),
        (None, b"Received: by d.example; yesterday\n" + DATE, SENT),
        (None, b"Subject: a\n", None),
        (NOW + timedelta(seconds=1), LAST, TRACED),
        (None, LAST.replace(b"2020", b"2036") + DATE, SENT),
        (None, DATE.replace(b"2020", b"2036"), None),
        (None, DATE.replace(b"2020", b"1936"), None),
        (datetime(1969, 12, 31, tzinfo=UTC), b"", None),
    ],
)
def test_it_tells_when_a_letter_arrived(told: datetime | None, head: bytes, arrived: datetime | None) -> None:
    assert arrival(told, head, NOW) == arrived
