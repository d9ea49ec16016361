"""Which format a file is in, and in which encoding."""

import pytest

from fetchrules.ruletext.formats import Format, decode, detect, import_foreign
from fetchrules.ruletext.problem import Code


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", Format.TEXT),
        ("# poll\n", Format.TEXT),
        ("poll.mail.ru:pop3 u p r@a.ru", Format.TEXT),
        ("# c\n\n  poll mail.ru", Format.FETCHMAILRC),
        ("defaults\nproto pop3", Format.FETCHMAILRC),
        ("set daemon 300", Format.FETCHMAILRC),
        ("\ufeff {}", Format.JSON),
        ("id;MAILBOX;src_server;src_user\n", Format.POSTFIXADMIN),
    ],
)
def test_it_tells_formats_apart(text: str, form: Format) -> None:
    assert detect(text) is form


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("почта".encode(), "почта"),
        ("почта".encode("utf-8-sig"), "\ufeffпочта"),
        ("почта".encode("cp1251"), "почта"),
        ("почта".encode("utf-16"), "почта"),
        (b"\xff\xfe", ""),
        (b"\x98\x98", "\ufffd\ufffd"),
    ],
)
def test_it_reads_the_encodings_of_old_files(octets: bytes, text: str) -> None:
    assert decode(octets) == text


@pytest.mark.parametrize("form", [Format.FETCHMAILRC, Format.JSON, Format.POSTFIXADMIN])
def test_it_refuses_a_file_that_is_too_long(form: Format) -> None:
    assert [problem.code for problem in import_foreign("x" * 5_000_001, form).problems] == [Code.TEXT_TOO_LONG]


def test_it_does_not_import_what_needs_no_import() -> None:
    with pytest.raises(ValueError, match="parsed"):
        import_foreign("", Format.TEXT)
