"""Checks of a rule, field by field and of the fields together. Forms and lines obey the same ones."""

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date, datetime
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from fetchrules.errors import is_harmful
from fetchrules.rule import BOUNDS, MASK, MAX_FOLDERS, MAX_LENGTHS, MAX_PINS, OPTIONS, Auth, Encryption, Protocol, Rule
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.utf7 import encode_folder

_CACHED = 2**15
"""As many names as one big text may hold are checked once each."""

FORBIDDEN = re.compile("[\0\r\n\ud800-\udfff]")
"""Characters that no field may hold: they end a command on the wire, or have no octets."""

SHOWN = ("server", "user", "recipient", "folders")
"""The fields that terminals, logs and pages show. A harmful character in them is refused in a change, but not in a line: rules that
are there already stay as they are, and are polled, until somebody edits them."""

_JOINERS = "\u200c\u200d"
"""Invisible too, but needed to write Persian, Indic languages and some symbols, and so part of names of folders."""

MAX_DIRECTORY_NAME = 255
"""Octets (NAME_MAX)."""
MAX_LOCAL_OCTETS = 64
MAX_DOMAIN_OCTETS = 255
"""RFC 5321, 4.5.3.1."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_ALL_DIGITS = re.compile(r"(?:.*\.)?[0-9]+")
_WITH_PORT = re.compile(r"[^:]+:[0-9]+")
_LOCAL_PART = re.compile(r"[\w=&'~+](?:[\w=&'~+.!#$%*-]{0,62}[\w=&'~+!#$%*-])?")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def server_fault(server: str) -> Code | None:
    """A host name (IDN as written), an IPv4 address, or an IPv6 address without its brackets."""
    if not server:
        return Code.FIELD_EMPTY
    if is_host_name(server) or ("%" not in server and _is_address(IPv6Address, server)):
        return None
    return Code.SERVER_WITH_PORT if _WITH_PORT.fullmatch(server) else Code.SERVER_INVALID


def is_host_name(name: str) -> bool:
    """Whether `name` is a host name (RFC 1123, underscores let pass; RFC 3490 for other scripts) or an IPv4 address."""
    # Results for longer texts are not kept: thousands of them would fill the memory for good.
    return 0 < len(name) <= MAX_LENGTHS["server"] and _is_host_name(name)


@functools.lru_cache(maxsize=_CACHED)
def _is_host_name(name: str) -> bool:
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return False
    if _ALL_DIGITS.fullmatch(name):
        return _is_address(IPv4Address, name)
    return len(name) <= MAX_LENGTHS["server"] and _NAME.fullmatch(name) is not None


def _text_fault(field: str, text: str) -> Code | None:
    """Any text that is not empty and can be sent in one line of a protocol."""
    if not text:
        return Code.FIELD_EMPTY
    if len(text) > MAX_LENGTHS[field]:
        return Code.FIELD_TOO_LONG
    return Code.CHARACTER_FORBIDDEN if FORBIDDEN.search(text) else None


password_fault = functools.partial(_text_fault, "password")
folder_fault = functools.partial(_text_fault, "folders")


def local_folder_fault(name: str) -> Code | None:
    """INBOX, or the name of a Maildir++ folder, levels parted by `/`: no dots, which part levels there, and not too long there."""
    if fault := _text_fault("into", name):
        return fault
    levels = name.split("/")
    proper = name.isprintable() and "." not in name and all(level and level == level.strip() for level in levels)
    fits = len(encode_folder(".".join(levels))) < MAX_DIRECTORY_NAME
    return None if proper and fits and unicodedata.is_normalized("NFC", name) else Code.LOCAL_FOLDER_INVALID


NAME_FAULTS: dict[str, Callable[[str], Code | None]] = {"folders": folder_fault, "into": local_folder_fault}
"""For each field whose word takes a name."""


def recipient_fault(recipient: str) -> Code | None:
    """`local@domain`; the local part may become a directory's name: no slash, no dot at either end, one way to write it (NFC)."""
    if not recipient:
        return Code.FIELD_EMPTY
    if len(recipient) > MAX_LENGTHS["recipient"]:
        return Code.FIELD_TOO_LONG
    return _recipient_fault(recipient)


@functools.lru_cache(maxsize=_CACHED)
def _recipient_fault(recipient: str) -> Code | None:
    local, _, domain = recipient.rpartition("@")
    proper = (
        _LOCAL_PART.fullmatch(local)
        and len(local.lower().encode()) <= MAX_LOCAL_OCTETS
        and len(domain.encode()) <= MAX_DOMAIN_OCTETS
        and ".." not in local
        and unicodedata.is_normalized("NFC", recipient)
        and is_host_name(domain)
        and not _is_address(IPv4Address, domain)
    )
    return None if proper else Code.RECIPIENT_INVALID


def plain_fingerprint(text: str) -> str:
    """A fingerprint as it is stored: colons do not count, nor does case."""
    return text.replace(":", "").lower()


def fingerprint_fault(fingerprint: str) -> Code | None:
    """SHA-256 in lower-case hex. Sixteen octets are fetchmail's MD5, which protects nothing today."""
    if _FINGERPRINT.fullmatch(fingerprint):
        return None
    return Code.FINGERPRINT_MD5 if re.fullmatch("[0-9a-f]{32}", fingerprint) else Code.FINGERPRINT_INVALID


_UNSUPPORTED = frozenset(
    {"oauth2", "oauthbearer", "xoauth2", "ntlm", "msn", "gssapi", "kerberos", "kerberos_v4", "kerberos_v5"}
    | {"external", "otp", "ssh", "digest-md5", "scram-sha-512"}
)
"""fetchmail's other ways to log in, and those of other programs."""


def auth_fault(method: str) -> Code | None:
    """A word of `Auth`, in any case. A client may stand behind `oauth2` and a colon."""
    word = method.lower()
    if word in list(Auth):
        return None
    return Code.AUTH_UNSUPPORTED if word.partition(":")[0] in _UNSUPPORTED else Code.AUTH_UNKNOWN


def number_fault(field: str, value: int) -> Problem | None:
    """`value` against the bounds of `field`."""
    minimum, maximum = BOUNDS[field]
    if minimum <= value <= maximum:
        return None
    return Problem(Code.NUMBER_OUT_OF_RANGE, field=field, minimum=minimum, maximum=maximum)


TEXT_FAULTS: dict[str, Callable[[str], Code | None]] = {
    "server": server_fault,
    "user": functools.partial(_text_fault, "user"),
    "password": password_fault,
    "recipient": recipient_fault,
}


def problems_of(rule: Rule) -> tuple[Problem, ...]:
    """Everything to say about a rule that does not come from a text: errors and warnings, with their fields and without a place."""
    return (*_field_problems(rule), *rule_problems(rule))


def harmful_character(text: str) -> str:
    """The first character of `text` that would act on a terminal or a page instead of being shown, if there is one."""
    if text.isprintable():
        return ""
    return next((c for c in text if is_harmful(c) and c not in _JOINERS), "")


def _field_problems(rule: Rule) -> Iterator[Problem]:
    for field, fault in TEXT_FAULTS.items():
        if code := fault(getattr(rule, field)):
            yield Problem(code, field=field)
    for field in BOUNDS:
        value = getattr(rule, field)
        if value is not None and (problem := number_fault(field, value)):
            yield problem
    for field, fault, items in (
        ("folders", folder_fault, rule.folders),
        ("into", local_folder_fault, [name for _, name in rule.into]),
        ("sslfingerprint", fingerprint_fault, rule.sslfingerprint),
    ):
        yield from (Problem(code, field=field, word=item) for item in items if (code := fault(item)))
    for field in SHOWN:
        value = getattr(rule, field)
        if found := harmful_character(value if isinstance(value, str) else "".join(value)):
            yield Problem(Code.CHARACTER_HARMFUL, field=field, word=f"U+{ord(found):04X}")


def rule_problems(rule: Rule) -> Iterator[Problem]:
    """Errors and warnings about fields that are right one by one, but not together."""
    if rule.folders and rule.protocol is not Protocol.IMAP:
        yield Problem(Code.OPTION_OF_OTHER_PROTOCOL, field="folders", word="folder", other=rule.protocol)
    if rule.flags and rule.protocol is not Protocol.IMAP:
        yield Problem(Code.OPTION_OF_OTHER_PROTOCOL, field="flags", word="flags", other=rule.protocol)
    if len(rule.folders) > MAX_FOLDERS:
        yield Problem(Code.TOO_MANY_FOLDERS, field="folders", maximum=MAX_FOLDERS)
    if {of for of, _ in rule.into} - set(rule.folders or ("",)):
        yield Problem(Code.INTO_WITHOUT_FOLDER, field="into", word="into", other="folder")
    if len({of for of, _ in rule.into}) < len(rule.into):
        yield Problem(Code.VALUE_REPEATED, field="into", word="into")
    if len(rule.sslfingerprint) > MAX_PINS:
        yield Problem(Code.TOO_MANY_PINS, field="sslfingerprint", maximum=MAX_PINS)
    if rule.user != rule.user.strip(" \t"):
        yield Problem(Code.BLANK_AT_EDGE, field="user")
    if rule.password != MASK and not rule.password.strip("*"):
        yield Problem(Code.PASSWORD_OF_ASTERISKS, field="password")
    if rule.auth is Auth.APOP and rule.protocol is not Protocol.POP3:
        yield Problem(Code.OPTION_OF_OTHER_PROTOCOL, field="auth", word=f"auth {rule.auth}", other=rule.protocol)
    yield from _mail_warnings(rule)
    yield from _tls_warnings(rule)


def passing_fault(rule: Rule) -> Code | None:
    """Why the letters on the server cannot count as collected, or None: they must stay there and be judged by our ledger alone."""
    if not rule.leaves:
        return Code.PRESENT_DELETED
    return None if rule.judged_by_ledger else Code.PRESENT_BY_MARKS


def read_day(text: str, today: date) -> date | Code:
    """The day since which letters are collected, as ISO 8601 or Russians write it, or what is wrong with it."""
    for form in ("%Y-%m-%d", "%d.%m.%Y"):
        try:
            day = datetime.strptime(text.strip(), form).date()  # noqa: DTZ007 (a day has no time zone)
        except ValueError:
            continue
        return Code.SINCE_FUTURE if day > today else day
    return Code.SINCE_INVALID


def _mail_warnings(rule: Rule) -> Iterator[Problem]:
    if rule.keepdays is not None:
        if rule.keep:
            yield Problem(Code.KEEP_KEEPDAYS, field="keepdays")
        yield from (_idle(word, "keepdays") for word in ("flush", "fetchall") if getattr(rule, word))
        return
    if rule.keep and rule.fetchall:
        yield Problem(Code.KEEP_FETCHALL, field="fetchall")
    if rule.flush and rule.fetchall:
        yield _idle("flush", "fetchall")
    elif rule.flush and not rule.keep:
        yield Problem(Code.NOKEEP_FLUSH, field="flush")


def _tls_warnings(rule: Rule) -> Iterator[Problem]:
    if rule.encryption is Encryption.PLAINTEXT:
        if rule.sslfingerprint:
            yield _idle("sslfingerprint", "plaintext")
        if not rule.sslcertck:
            yield _idle("nosslcertck", "plaintext")
    if rule.shows_password:
        yield Problem(Code.PASSWORD_SHOWN, field="auth", word=f"auth {rule.auth}")
    implicit = rule.encryption is Encryption.SSL
    if rule.port in ((110, 143) if implicit else (995, 993)):
        yield Problem(Code.PORT_UNUSUAL, field="port")


def _idle(word: str, beside: str) -> Problem:
    return Problem(Code.OPTION_IDLE, field=OPTIONS[word].field, word=word, other=beside)


def _is_address(version: type[IPv4Address | IPv6Address], text: str) -> bool:
    try:
        version(text)
    except AddressValueError:
        return False
    return True
