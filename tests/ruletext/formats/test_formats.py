"""Which format a file is in, and in which encoding."""

from dataclasses import fields
from pathlib import Path

import pytest

from fetchrules.rule import Rule
from fetchrules.ruletext.formats.detection import Format, decode, detect, import_foreign
from fetchrules.ruletext.formats.fetchmailrc.tokens import SERVER_WORDS, USER_WORDS
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


DOCUMENTED = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", [field.name for field in fields(Rule)])
def test_it_documents_every_key_of_json(field: str) -> None:
    assert f"`{field}`" in DOCUMENTED.partition("## JSON")[2].partition("## PostfixAdmin")[0]


@pytest.mark.parametrize(
    "word", [word for word, option in (SERVER_WORDS | USER_WORDS).items() if option.reason is None]
)
def test_it_documents_every_word_of_fetchmail_that_has_a_counterpart(word: str) -> None:
    assert f"`{word}" in DOCUMENTED.partition("## fetchmailrc")[2].partition("## JSON")[0]


@pytest.mark.parametrize("form", Format)
def test_it_documents_every_format(form: Format) -> None:
    assert f"`{form}`" in DOCUMENTED.partition("##")[0]
