"""Debian's fetchmail is the judge: it reads our exports, and we read its files, as the same servers, users, flags and options."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetchrules.rule import MASK, Auth, Encryption, Protocol, Rule
from fetchrules.ruletext.formats.fetchmailrc.exporter import export_fetchmailrc
from fetchrules.ruletext.formats.fetchmailrc.importer import import_fetchmailrc
from tests.ruletext.formats.fetchmailrc.oracle import configdump, needs_fetchmail
from tests.ruletext.strategies import rules

CORPUS = Path(__file__).parents[2] / "corpus" / "fetchmailrc"
FULL = Rule(
    "mail.example.org",
    Protocol.IMAP,
    "sales there",
    'it\'s "quoted" \\ and # more',
    "sales@mydomain.ru",
    keep=True,
    flush=True,
    fetchall=True,
    encryption=Encryption.SSL,
    sslcertck=False,
    port=1993,
    uidl=True,
    folders=("INBOX", "Sent Items", "keep"),
    limit=1_000_000,
    fetchlimit=50,
    timeout=120,
    skip=True,
)
PRINTABLE = "".join(map(chr, range(32, 127)))
PLAIN = Rule("pop.example.org", Protocol.POP3, "12345", "with", "keep@mydomain.ru")


Said = dict[str, object]


def said_by_rule(rule: Rule) -> Said:
    protos = {Encryption.STARTTLS: "auto", Encryption.PLAINTEXT: ""}
    return {
        "server": rule.server,
        "active": not rule.skip,
        "protocol": "APOP" if rule.auth is Auth.APOP else rule.protocol.upper(),
        "auth": rule.auth if rule.auth in {Auth.PASSWORD, Auth.CRAM_MD5} else "any",
        "service": str(rule.port) if rule.port else None,
        "timeout": rule.timeout or 300,
        "uidl": rule.uidl,
        "remote": rule.user,
        "password": None if rule.password == MASK else rule.password,
        "localnames": [rule.recipient],
        "keep": rule.keep or rule.keepdays is not None,
        "flush": rule.flush,
        "fetchall": rule.fetchall,
        "limit": rule.limit if rule.limit and rule.limit < 2**31 else 0,
        "fetchlimit": rule.fetchlimit or 0,
        "ssl": rule.encryption is Encryption.SSL,
        "sslproto": protos.get(rule.encryption),
        "sslcertck": rule.sslcertck,
        "mailboxes": list(rule.folders),
    }


def said_by_fetchmail(servers: list[dict[str, Any]]) -> list[Said]:
    said = []
    for server in servers:
        for user in server["users"]:
            names = (
                "remote",
                "localnames",
                "keep",
                "flush",
                "fetchall",
                "limit",
                "fetchlimit",
                "ssl",
                "sslproto",
                "sslcertck",
            )
            one: Said = {name: server[name] for name in ("active", "protocol", "auth", "service", "timeout", "uidl")}
            one |= {name: user[name] for name in (*names, "mailboxes")}
            said.append({**one, "server": server["via"] or server["pollname"], "password": user["password"] or None})
    return said


@needs_fetchmail
@pytest.mark.parametrize(
    "rule",
    [
        FULL,
        PLAIN,
        replace(PLAIN, password=MASK),
        replace(PLAIN, auth=Auth.APOP),
        replace(PLAIN, auth=Auth.PASSWORD, encryption=Encryption.SSL),
        replace(PLAIN, auth=Auth.CRAM_MD5),
        replace(PLAIN, auth=Auth.PLAIN),
        replace(PLAIN, server="2001:db8::1", encryption=Encryption.STARTTLS),
        replace(PLAIN, encryption=Encryption.PLAINTEXT, port=1110, keep=True),
    ],
)
def test_it_writes_a_file_that_fetchmail_reads_as_we_do(rule: Rule, tmp_path: Path) -> None:
    text = "".join(export_fetchmailrc([rule]))
    assert said_by_fetchmail(configdump(tmp_path, text)) == [said_by_rule(rule)]


def is_dumped_faithfully(rule: Rule) -> bool:
    """`--configdump` prints octets that are not printable ASCII as nonsense."""
    texts = (rule.server, rule.user, rule.password, rule.recipient, *rule.folders)
    return all(text.isascii() and text.isprintable() for text in texts)


@needs_fetchmail
@settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(rules(st.text(PRINTABLE, min_size=1, max_size=12)).filter(is_dumped_faithfully), min_size=1, max_size=8)
)
def test_it_writes_any_rules_so_that_fetchmail_reads_them(tmp_path: Path, given_rules: list[Rule]) -> None:
    text = "".join(export_fetchmailrc(given_rules))
    assert said_by_fetchmail(configdump(tmp_path, text)) == [said_by_rule(rule) for rule in given_rules]


@needs_fetchmail
@pytest.mark.parametrize("name", ["every-mapped-option", "lexis", "defaults", "defaults-of-users"])
def test_it_reads_a_file_as_fetchmail_does(name: str, tmp_path: Path) -> None:
    text = (CORPUS / f"{name}.rc").read_text(encoding="utf-8")
    ours = [comparable(said_by_rule(found.rule)) for found in import_fetchmailrc(text).found]
    assert ours == [comparable(said) for said in said_by_fetchmail(configdump(tmp_path, text))]


def comparable(said: Said) -> Said:
    """Without a password that `--configdump` cannot print."""
    password = str(said["password"])
    return said if password.isascii() and password.isprintable() else {**said, "password": "…"}


@needs_fetchmail
@pytest.mark.parametrize("name", ["left-out", "no-counterpart"])
def test_it_has_only_words_that_fetchmail_knows_in_its_corpus(name: str, tmp_path: Path) -> None:
    assert configdump(tmp_path, (CORPUS / f"{name}.rc").read_text(encoding="utf-8"))


@needs_fetchmail
@pytest.mark.parametrize("line", (CORPUS / "mistakes.rc").read_text(encoding="utf-8").splitlines()[:4])
def test_it_refuses_what_fetchmail_refuses(line: str, tmp_path: Path) -> None:
    assert import_fetchmailrc(line).errors
    with pytest.raises(AssertionError, match=r"error|option"):
        configdump(tmp_path, line + "\n")
