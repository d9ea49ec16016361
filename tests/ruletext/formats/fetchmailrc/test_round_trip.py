"""Rules that go out as a .fetchmailrc and come back are the same, but for what fetchmail has no words for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.rule import FIELDS, MASK, Auth, Protocol, Rule
from fetchrules.ruletext.document import parse
from fetchrules.ruletext.formats.detection import decode
from fetchrules.ruletext.formats.fetchmailrc.exporter import Lost, export_fetchmailrc, lost_in_fetchmail, quoted
from fetchrules.ruletext.formats.fetchmailrc.importer import import_fetchmailrc
from fetchrules.ruletext.formats.fetchmailrc.tokens import unescape
from tests.ruletext.strategies import SHOWN_FIELD, rules, text_of
from tests.ruletext.test_laws import law

RULE = Rule("mailserver.ru", Protocol.POP3, "petrov", "p", "i.petrov@mydomain.ru")


@law
@given(rules(SHOWN_FIELD))
def test_it_comes_back_as_it_went(rule: Rule) -> None:
    imported = import_fetchmailrc("".join(export_fetchmailrc([rule])))
    lost = {lost.field for lost in lost_in_fetchmail([rule])}
    expected = replace(rule, **{field: FIELDS[field].default for field in lost})  # type: ignore[arg-type]
    if rule.keepdays is not None:
        expected = replace(expected, keep=True)  # or fetchmail would delete at once what is to stay for days
    assert [found.rule for found in imported.found] == [expected]
    assert not imported.errors


@law
@given(st.text(st.characters(codec="utf-8")))
def test_it_quotes_any_text(text: str) -> None:
    assert unescape(quoted(text)[1:-1]) == text
    assert '"' not in quoted(text)[1:-1]


def test_it_says_what_fetchmail_cannot() -> None:
    rules = [RULE, replace(RULE, interval=5, keepdays=7, sslfingerprint=("0" * 64,), auth=Auth.SCRAM_SHA_256)]
    assert list(lost_in_fetchmail(rules)) == [
        Lost(2, field) for field in ("sslfingerprint", "interval", "keepdays", "auth")
    ]
    text = "".join(export_fetchmailrc(rules))
    assert "# interval 5: not in fetchmail\n" in text
    assert "# auth scram-sha-256: not in fetchmail\n" in text


def test_it_says_that_fetchmail_takes_no_flags_along() -> None:
    rule = replace(RULE, protocol=Protocol.IMAP, flags=True)
    assert list(lost_in_fetchmail([rule])) == [Lost(1, "flags")]
    assert "# flags: not in fetchmail\n" in "".join(export_fetchmailrc([rule]))


def test_it_writes_no_password_that_it_does_not_know() -> None:
    assert "password" not in "".join(export_fetchmailrc([replace(RULE, password=MASK)]))


def test_it_keeps_comments_with_their_rules() -> None:
    first = "# top\npoll a.ru proto pop3\n# sales\nuser u pass p is r@a.ru # beside\n"
    imported = import_fetchmailrc(f"{first}# b\nskip b.ru proto pop3 user u pass p is r@a.ru\n# end")
    assert text_of(imported) == "# top\na.ru:pop3 u p r@a.ru\n# sales\n# b\nb.ru:pop3 u p r@a.ru skip\n# end\n"
    assert parse(text_of(imported)).errors == ()


def test_it_completes_local_names_with_the_domain_that_is_given() -> None:
    imported = import_fetchmailrc("poll a.ru proto pop3 user u pass p is ivan here", domain="mydomain.ru")
    assert [found.rule.recipient for found in imported.found] == ["ivan@mydomain.ru"]


def test_it_reads_a_file_that_was_saved_on_windows() -> None:
    text = '# Отдел\r\npoll a.ru proto pop3 \\\r\n user u \r\n\tpass "p\\\r\nq" is r@a.ru\r\n# end\r\n'
    imported = import_fetchmailrc(decode(text.encode("cp1251")))
    assert text_of(imported) == "# Отдел\na.ru:pop3 u pq r@a.ru\n# end\n"
    assert not imported.problems


WORDS = ["poll", "user", "no", "is", "=", '"', "'", "#", "\\", "\n", "keep", "set", "7", "x", "*", ","]


@law
@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_it_survives_any_text(text: str) -> None:
    imported = import_fetchmailrc(text, domain="a.ru")
    assert all(problem.line >= 1 and problem.column >= 1 for problem in imported.problems)


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing\n", "poll", "defaults", "set", "= = =", "poll a.ru proto pop3 user"]
)
def test_it_finds_no_rule_in_a_stump(text: str) -> None:
    assert import_fetchmailrc(text).found == ()
