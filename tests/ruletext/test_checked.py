"""Whoever writes `sslcertck` gets the check: there is nothing to check without TLS, so it is demanded."""

import csv
import io
import json
from dataclasses import replace

import pytest

from fetchrules.rule import Encryption, Protocol, Rule, Spelling
from fetchrules.ruletext.formats.exchange import export_json, import_json
from fetchrules.ruletext.formats.fetchmailrc.exporter import export_fetchmailrc
from fetchrules.ruletext.formats.fetchmailrc.importer import import_fetchmailrc
from fetchrules.ruletext.formats.foreign import Imported
from fetchrules.ruletext.formats.postfixadmin import import_postfixadmin
from fetchrules.ruletext.line import parse_line
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.render import render_rule

AUTO, SSL, STARTTLS, PLAINTEXT = Encryption.AUTO, Encryption.SSL, Encryption.STARTTLS, Encryption.PLAINTEXT
RULE = Rule("a.ru", Protocol.POP3, "u", "p", "r@a.ru")


@pytest.mark.parametrize(
    ("words", "encryption", "check"),
    [
        ("", AUTO, True),
        ("sslcertck", STARTTLS, True),
        ("SSLcertck keep", STARTTLS, True),
        ("nosslcertck", AUTO, False),
        ("ssl sslcertck", SSL, True),
        ("sslcertck starttls", STARTTLS, True),
        ("plaintext sslcertck", PLAINTEXT, True),
    ],
)
@pytest.mark.parametrize("spelling", Spelling)
def test_it_reads_the_word_in_a_line(spelling: Spelling, words: str, encryption: Encryption, check: bool) -> None:
    separator = "|" if spelling is Spelling.BARS else " "
    line = parse_line(separator.join(["a.ru:pop3", "u", "p", "r@a.ru", *words.split()]))
    assert line.rule is not None
    assert (line.rule.encryption, line.rule.sslcertck) == (encryption, check)


def test_it_reads_the_s_of_the_protocol_as_tls_enough() -> None:
    line = parse_line("a.ru:pop3s u p r@a.ru sslcertck")
    assert line.rule is not None
    assert line.rule.encryption is SSL


def test_it_says_that_the_word_counts_for_nothing_beside_plaintext() -> None:
    problems = parse_line("a.ru:pop3 u p r@a.ru plaintext sslcertck").problems
    assert [(problem.code, problem.word, problem.column) for problem in problems] == [
        (Code.OPTION_IDLE, "sslcertck", 32)
    ]


@pytest.mark.parametrize(
    ("words", "encryption", "check"),
    [
        ("", AUTO, True),
        ("sslcertck", STARTTLS, True),
        ("no sslcertck", AUTO, False),
        ("ssl sslcertck", SSL, True),
        ('sslproto "" sslcertck', PLAINTEXT, True),
        ("sslfingerprint '00:11'", STARTTLS, True),
    ],
)
def test_it_reads_the_word_in_a_fetchmailrc(words: str, encryption: Encryption, check: bool) -> None:
    text = f"poll a.ru protocol pop3 user u there with password p is r@a.ru here {words}\n"
    assert only(import_fetchmailrc(text)) == replace(RULE, encryption=encryption, sslcertck=check)


def test_it_reads_the_word_among_the_defaults_of_a_fetchmailrc() -> None:
    text = "defaults protocol pop3 user u there sslcertck\npoll a.ru user u there with password p is r@a.ru here\n"
    assert only(import_fetchmailrc(text)) == replace(RULE, encryption=STARTTLS)


@pytest.mark.parametrize(
    ("said", "encryption"),
    [
        ({}, AUTO),
        ({"sslcertck": True}, STARTTLS),
        ({"sslcertck": True, "encryption": "auto"}, STARTTLS),
        ({"sslcertck": True, "encryption": "ssl"}, SSL),
    ],
)
def test_it_reads_the_word_in_json(said: dict[str, object], encryption: Encryption) -> None:
    rule = {"server": "a.ru", "protocol": "pop3", "user": "u", "password": "p", "recipient": "r@a.ru", **said}
    text = json.dumps({"format": "utm-mail-rules", "version": 1, "rules": [rule]})
    assert only(import_json(text)) == replace(RULE, encryption=encryption)


@pytest.mark.parametrize(
    ("columns", "encryption", "check"),
    [
        ({}, AUTO, True),
        ({"sslcertck": "1"}, STARTTLS, True),
        ({"sslcertck": "0"}, AUTO, False),
        ({"sslcertck": "1", "usessl": "1"}, SSL, True),
        ({"sslfingerprint": "00:11"}, STARTTLS, True),
        ({"extra_options": "sslcertck"}, STARTTLS, True),
        ({"extra_options": "sslcertck ssl"}, SSL, True),
        ({"extra_options": "no sslcertck"}, AUTO, False),
    ],
)
def test_it_reads_the_word_in_a_table_of_postfixadmin(
    columns: dict[str, str], encryption: Encryption, check: bool
) -> None:
    row = {"mailbox": "r@a.ru", "src_server": "a.ru", "src_user": "u", "src_password": "cA==", "protocol": "POP3"}
    table = io.StringIO()
    writer = csv.DictWriter(table, [*row, *columns])
    writer.writeheader()
    writer.writerow(row | columns)
    assert only(import_postfixadmin(table.getvalue())) == replace(RULE, encryption=encryption, sslcertck=check)


def test_it_survives_every_format() -> None:
    rule = parse_line("a.ru:pop3 u p r@a.ru sslcertck").rule
    assert rule is not None
    assert parse_line(render_rule(rule, Spelling.BARS)).rule == rule
    assert only(import_json("".join(export_json([rule])))) == rule
    assert only(import_fetchmailrc("".join(export_fetchmailrc([rule])))) == rule


def only(imported: Imported) -> Rule:
    assert not imported.errors
    (found,) = imported.found
    return found.rule
