"""The smallest change of a line: what is written, and what is left alone."""

from dataclasses import replace
from typing import Any

import pytest

from fetchrules.rule import Encryption, Protocol, Rule
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.line import parse_line

EDITS: list[tuple[str, dict[str, Any], str]] = [
    ("a.ru:pop3 u p r@a.ru", {"keep": True}, "a.ru:pop3 u p r@a.ru keep"),
    ("a.ru:pop3 u p r@a.ru # note", {"keep": True}, "a.ru:pop3 u p r@a.ru keep # note"),
    ("a.ru:pop3 u p r@a.ru  keep  ssl", {"keep": False}, "a.ru:pop3 u p r@a.ru  ssl"),
    ("a.ru:pop3 u p r@a.ru NoKeep", {"keep": True}, "a.ru:pop3 u p r@a.ru keep"),
    ("a.ru:pop3 u p r@a.ru keep keep", {"keep": False}, "a.ru:pop3 u p r@a.ru"),
    ("a.ru:pop3 u p r@a.ru limit 5m ssl", {"limit": 7}, "a.ru:pop3 u p r@a.ru limit 7 ssl"),
    ("a.ru:pop3 u p r@a.ru limit 5m ssl", {"keep": True}, "a.ru:pop3 u p r@a.ru limit 5m ssl keep"),
    ("a.ru:pop3 u p r@a.ru limit 5m ssl", {"limit": None}, "a.ru:pop3 u p r@a.ru ssl"),
    ("a.ru:pop3 u p r@a.ru Service 99", {"port": 98}, "a.ru:pop3 u p r@a.ru Service 98"),
    ("a.ru:pop3 u p r@a.ru keepdays 3", {"keepdays": None, "keep": True}, "a.ru:pop3 u p r@a.ru keep"),
    ("a.ru:pop3 u p r@a.ru ssl", {"encryption": Encryption.STARTTLS}, "a.ru:pop3 u p r@a.ru starttls"),
    ("a.ru:pop3s u p r@a.ru", {"encryption": Encryption.AUTO}, "a.ru:pop3 u p r@a.ru"),
    ("a.ru:pop3s u p r@a.ru", {"encryption": Encryption.STARTTLS}, "a.ru:pop3 u p r@a.ru starttls"),
    ("a.ru:POP3S u p r@a.ru", {"protocol": Protocol.IMAP}, "a.ru:imaps u p r@a.ru"),
    ("a.ru:POP3S u p r@a.ru", {"user": "v"}, "a.ru:POP3S v p r@a.ru"),
    ("a.ru:pop3 u p r@a.ru nosslcertck", {"sslcertck": True}, "a.ru:pop3 u p r@a.ru"),
    ("a.ru:pop3 u p r@a.ru SslCertCk", {"sslcertck": False}, "a.ru:pop3 u p r@a.ru nosslcertck starttls"),
    ("a.ru:pop3 u p r@a.ru ssl SslCertCk", {"sslcertck": False}, "a.ru:pop3 u p r@a.ru ssl nosslcertck"),
    ("a.ru:pop3 u p r@a.ru SslCertCk keep", {"encryption": Encryption.AUTO}, "a.ru:pop3 u p r@a.ru keep"),
    ("a.ru:pop3 u p r@a.ru sslcertck", {"encryption": Encryption.SSL}, "a.ru:pop3 u p r@a.ru ssl"),
    ("a.ru:pop3 u p r@a.ru SslCertCk", {"user": "v"}, "a.ru:pop3 v p r@a.ru SslCertCk"),
    ("a.ru:pop3 u p r@a.ru starttls sslcertck", {"encryption": Encryption.AUTO}, "a.ru:pop3 u p r@a.ru"),
    ("a.ru:pop3|u|p|r@a.ru|sslcertck|ssl", {"encryption": Encryption.AUTO}, "a.ru:pop3|u|p|r@a.ru"),
    ("a.ru:pop3s u p r@a.ru sslcertck", {"encryption": Encryption.AUTO}, "a.ru:pop3 u p r@a.ru"),
    ("a.ru:pop3 u p r@a.ru plaintext nosslcertck", {"encryption": Encryption.AUTO}, "a.ru:pop3 u p r@a.ru nosslcertck"),
    ("a.ru:pop3 'u' p r@a.ru", {"user": "it's"}, "a.ru:pop3 'it\\'s' p r@a.ru"),
    ("a.ru:pop3 u p r@a.ru", {"password": "two words"}, 'a.ru:pop3 u "two words" r@a.ru'),
    ("a.ru:pop3 u p r@a.ru", {"server": "2001:db8::1"}, "[2001:db8::1]:pop3 u p r@a.ru"),
    ("a.ru:imap u p r@a.ru folder A folder B", {"folders": ("B",)}, "a.ru:imap u p r@a.ru folder B"),
    (
        "a.ru:imap u p r@a.ru folder A keep",
        {"folders": ("A", "B b")},
        'a.ru:imap u p r@a.ru folder A folder "B b" keep',
    ),
    ("a.ru:imap u p r@a.ru ssl folder B", {"folders": ("A", "B")}, "a.ru:imap u p r@a.ru ssl folder A folder B"),
    ("a.ru:imap u p r@a.ru folder 'A'", {"folders": ("C",)}, "a.ru:imap u p r@a.ru folder 'C'"),
    ("a.ru:pop3|u|p|r@a.ru", {"keep": True}, "a.ru:pop3|u|p|r@a.ru|keep"),
    ("a.ru:pop3|u|p|r@a.ru|ssl| # note", {"keep": True}, "a.ru:pop3|u|p|r@a.ru|ssl|keep # note"),
    ("a.ru:pop3|u|p|r@a.ru | keep | ssl # n", {"keep": False}, "a.ru:pop3|u|p|r@a.ru | ssl # n"),
    ("a.ru:pop3|u|p|r@a.ru|keep|limit 5m", {"limit": 9, "keep": False}, "a.ru:pop3|u|p|r@a.ru|limit 9"),
    ("a.ru:pop3|u|p|r@a.ru|keep", {"keep": False, "skip": True}, "a.ru:pop3|u|p|r@a.ru|skip"),
    ("a.ru:pop3|u|p|r@a.ru", {"password": "a|b\\c d"}, "a.ru:pop3|u|a\\|b\\\\c d|r@a.ru"),
    ("a.ru:imap|u|p|r@a.ru", {"folders": (" A # b",)}, "a.ru:imap|u|p|r@a.ru|folder \\ A \\# b"),
]


@pytest.mark.parametrize(("before", "change", "after"), EDITS)
def test_it_writes_what_changed_and_nothing_else(before: str, change: dict[str, Any], after: str) -> None:
    line = parse_line(before, number=7, ending="\r\n")
    assert line.rule is not None
    edited = edit(line, replace(line.rule, **change))
    assert edited.text == after
    assert (edited.number, edited.ending, edited.spelling) == (7, "\r\n", line.spelling)


def test_it_returns_the_line_itself_where_nothing_changes() -> None:
    line = parse_line("a.ru:pop3  u p r@a.ru KEEP")
    assert line.rule is not None
    assert edit(line, line.rule) is line


@pytest.mark.parametrize(
    "rule",
    [
        Rule("a..ru", Protocol.POP3, "u", "p", "r@a.ru"),
        Rule("a.ru", Protocol.POP3, "u", "", "r@a.ru"),
        Rule("a.ru", Protocol.POP3, "u", "p\nb.ru:pop3 u p r@a.ru", "r@a.ru"),
        Rule("a.ru", Protocol.POP3, "u", "p", "r@a.ru", folders=("A",)),
        Rule("a.ru", Protocol.POP3, "u", "p", "r@a.ru keep"),
    ],
)
def test_it_refuses_a_rule_that_no_line_can_say(rule: Rule) -> None:
    with pytest.raises(ValueError, match="rule"):
        edit(parse_line("a.ru:pop3 u p r@a.ru"), rule)


def test_it_refuses_a_line_without_a_rule() -> None:
    with pytest.raises(ValueError, match="only a line with a rule"):
        edit(parse_line("# nothing"), Rule("a.ru", Protocol.POP3, "u", "p", "r@a.ru"))
