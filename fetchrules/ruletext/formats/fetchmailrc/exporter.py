"""From rules to a .fetchmailrc that fetchmail 6.4 reads. Fields without a counterpart go into comments, and are listed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fetchrules.rule import MASK, Auth, Encryption, Rule

HEADER = "# For fetchmail 6.4 and later; it wants mode 0600."

_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f]')
_GREATEST_NUMBER = 2**31 - 1
_INEXPRESSIBLE = ("into", "sslfingerprint", "interval", "keepdays")
_AUTH = {
    Auth.ANY: "",
    Auth.PASSWORD: "auth password",
    Auth.CRAM_MD5: "auth cram-md5",
    Auth.APOP: "",  # a protocol of its own there
}


@dataclass(frozen=True, slots=True)
class Lost:
    """Something of a rule (from 1, in the order of the export) that fetchmail has no words for."""

    rule: int
    field: str


def export_fetchmailrc(rules: Iterable[Rule]) -> Iterator[str]:
    """The file in pieces: one entry a rule. A rule whose password is masked goes without one, and fetchmail asks for it."""
    yield HEADER + "\n"
    for rule in rules:
        yield "\n"
        yield from (f"# {field}{_shown(getattr(rule, field))}: not in fetchmail\n" for field in _lost_fields(rule))
        yield _entry(rule)


def _shown(value: object) -> str:
    """The value behind its word, with the blank between them; a word that switches something on has none."""
    if value is True:
        return ""
    if not isinstance(value, tuple):
        return f" {value}"
    return "".join(_shown(item) for item in value if item)


def lost_in_fetchmail(rules: Iterable[Rule]) -> Iterator[Lost]:
    """What the export of `rules` leaves out."""
    for number, rule in enumerate(rules, 1):
        yield from (Lost(number, field) for field in _lost_fields(rule))


def _lost_fields(rule: Rule) -> list[str]:
    """In fetchmail a pin is MD5, an interval counts poll cycles, there is no `keepdays` nor `flags`, and numbers have 32 bits."""
    lost = [field for field in _INEXPRESSIBLE if getattr(rule, field) not in {None, ()}]
    if rule.auth not in _AUTH:
        lost.append("auth")
    if rule.flags:
        lost.append("flags")
    if rule.limit and rule.limit > _GREATEST_NUMBER:
        lost.append("limit")
    return lost


def _entry(rule: Rule) -> str:
    return f"{' '.join(_server(rule))}\n    {' '.join(_user(rule))}\n"


def _server(rule: Rule) -> Iterator[str]:
    protocol = Auth.APOP if rule.auth is Auth.APOP else rule.protocol
    yield f"{'skip' if rule.skip else 'poll'} {quoted(rule.server)} protocol {protocol}"
    if rule.port is not None:
        yield f"service {rule.port}"
    if rule.timeout is not None:
        yield f"timeout {rule.timeout}"
    if method := _AUTH.get(rule.auth):
        yield method
    if rule.uidl:
        yield "uidl"


def _user(rule: Rule) -> Iterator[str]:
    yield f"user {quoted(rule.user)} there"
    if rule.password != MASK:
        yield f"with password {quoted(rule.password)}"
    yield f"is {quoted(rule.recipient)} here"
    if rule.folders:
        yield "folder " + ", ".join(quoted(folder) for folder in rule.folders)
    # Without `keep`, fetchmail would delete at once the letters that keepdays leaves for days.
    yield from (
        word for word in ("keep", "flush", "fetchall") if getattr(rule, word) or (word == "keep" and rule.keepdays)
    )
    match rule.encryption:
        case Encryption.SSL:
            yield "ssl"
        case Encryption.STARTTLS:
            yield 'sslproto "auto"'
        case Encryption.PLAINTEXT:
            yield 'sslproto ""'
        case Encryption.AUTO:
            pass
    if not rule.sslcertck:
        yield "no sslcertck"
    if rule.limit is not None and rule.limit <= _GREATEST_NUMBER:
        yield f"limit {rule.limit}"
    if rule.fetchlimit is not None:
        yield f"fetchlimit {rule.fetchlimit}"


def quoted(text: str) -> str:
    """`text` as a string of fetchmail's. It cannot hold a quote of its own kind, so a quote is written as an octet."""
    return '"' + _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text) + '"'
