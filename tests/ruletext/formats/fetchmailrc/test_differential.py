"""Files written at random: what fetchmail understands of them, user by user and option by option, we understand as well."""

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fetchrules.rule import MASK, Encryption, Rule
from fetchrules.ruletext.formats.detection import Format, detect
from fetchrules.ruletext.formats.fetchmailrc.importer import import_fetchmailrc
from tests.ruletext.formats.fetchmailrc.handwriting import Hand
from tests.ruletext.formats.fetchmailrc.oracle import configdump, needs_fetchmail

DOMAIN = "mydomain.ru"
WHO_CALLS = getpass.getuser()
"""fetchmail's answer where a file names no login or no local name."""
PORTS = {"pop3s": "995", "imaps": "993"}
AUTH = {"password": "password", "cram-md5": "cram-md5"}
PROTOCOLS = {"110": "pop3", "995": "pop3", "143": "imap", "993": "imap"}

Said = tuple[object, ...]


def users_of(servers: list[dict[str, Any]]) -> Iterator[Said]:
    """The users whose letters all go to one local mailbox, over a protocol that is known."""
    for server in servers:
        port = PORTS.get(server["service"], server["service"])
        protocol = {"AUTO": PROTOCOLS.get(port), "APOP": "pop3"}.get(
            server["protocol"].upper(), server["protocol"].lower()
        )
        for user in server["users"]:
            recipient = recipient_of(user)
            if protocol and recipient and user["remote"] != WHO_CALLS:
                yield (
                    server["via"] or server["pollname"],
                    bool(server["active"]),
                    protocol,
                    "apop" if server["protocol"].upper() == "APOP" else AUTH.get(server["auth"], "any"),
                    port and int(port),
                    server["timeout"],
                    bool(server["uidl"]),
                    user["remote"],
                    user["password"] or MASK,
                    recipient,
                    *(bool(user[name]) for name in ("keep", "flush", "fetchall", "ssl")),
                    not user["ssl"] and (bool(user["sslproto"]) or (user["sslproto"] is None and checks(user))),
                    checks(user),
                    user["limit"] or None,
                    user["fetchlimit"] or None,
                    tuple(user["mailboxes"]) if protocol == "imap" else (),
                )


def checks(user: dict[str, Any]) -> bool:
    """The dump does not tell a written `sslcertck` from the default: both demand TLS of fetchmail, the first of us too."""
    return bool(user["sslcertck"] or user["sslfingerprint"])


def recipient_of(user: dict[str, Any]) -> str | None:
    """The one local mailbox."""
    if user["smtpname"]:
        return str(user["smtpname"])
    match user["localnames"]:
        case [str(name)] if name not in {"*", WHO_CALLS}:
            return name if "@" in name else f"{name}@{user['smtpaddress'] or DOMAIN}"
        case _:
            return None


def said_by(rule: Rule) -> Said:
    flags = (rule.keep, rule.flush, rule.fetchall, rule.encryption is Encryption.SSL)
    return (
        rule.server,
        not rule.skip,
        rule.protocol,
        rule.auth,
        rule.port,
        rule.timeout or 300,
        rule.uidl,
        rule.user,
        rule.password,
        rule.recipient,
        *flags,
        rule.encryption is Encryption.STARTTLS or (rule.encryption is Encryption.AUTO and rule.sslcertck),
        rule.sslcertck,
        rule.limit,
        rule.fetchlimit,
        rule.folders,
    )


@needs_fetchmail
@pytest.mark.parametrize("seed", range(10))
def test_it_understands_what_fetchmail_understands(seed: int, tmp_path: Path) -> None:
    text = Hand(seed).file()
    imported = import_fetchmailrc(text, DOMAIN)
    assert not imported.errors
    assert [said_by(found.rule) for found in imported.found] == list(users_of(configdump(tmp_path, text)))
    assert detect(text) is Format.FETCHMAILRC
