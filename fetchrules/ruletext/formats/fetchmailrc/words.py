"""fetchmail's option words: where each may stand, what it takes, and why those without a counterpart here have none."""

from dataclasses import dataclass
from enum import Enum

from fetchrules.ruletext.formats.foreign import Reason


class Takes(Enum):
    """What follows an option word of fetchmail's."""

    FLAG = "flag"
    """Nothing; `no` may stand before it."""
    NUMBER = "number"
    STRING = "string"
    WORD = "word"
    """A string or a number."""
    STRINGS = "strings"
    """One or more."""
    NUMBERS = "numbers"
    ENVELOPE = "envelope"
    """A number, if any, and a string; or `no` before it."""
    NAMES = "names"
    """Local names, mapped or not, then `here` or `there`."""


@dataclass(frozen=True, slots=True)
class Word:
    """An option word. `reason`: why it has no counterpart; None where it has one."""

    takes: Takes
    reason: Reason | None = None


SERVER_WORDS: dict[str, Word] = {
    "via": Word(Takes.STRING),
    "protocol": Word(Takes.STRING),
    "port": Word(Takes.NUMBER),
    "service": Word(Takes.WORD),
    "timeout": Word(Takes.NUMBER),
    "uidl": Word(Takes.FLAG),
    "interval": Word(Takes.NUMBER),
    "aka": Word(Takes.STRINGS, Reason.ENVELOPE),
    "localdomains": Word(Takes.STRINGS, Reason.ENVELOPE),
    "envelope": Word(Takes.ENVELOPE, Reason.ENVELOPE),
    "qvirtual": Word(Takes.STRING, Reason.ENVELOPE),
    "dns": Word(Takes.FLAG, Reason.ENVELOPE),
    "checkalias": Word(Takes.FLAG, Reason.ENVELOPE),
    "auth": Word(Takes.STRING, Reason.AUTHENTICATION),
    "principal": Word(Takes.STRING, Reason.AUTHENTICATION),
    "esmtpname": Word(Takes.STRING, Reason.DELIVERY),
    "esmtppassword": Word(Takes.STRING, Reason.DELIVERY),
    "interface": Word(Takes.STRING, Reason.NETWORK),
    "monitor": Word(Takes.STRING, Reason.NETWORK),
    "plugin": Word(Takes.STRING, Reason.COMMANDS),
    "plugout": Word(Takes.STRING, Reason.COMMANDS),
    "tracepolls": Word(Takes.FLAG, Reason.HEADERS),
    "bad-header": Word(Takes.STRING, Reason.HEADERS),
}

USER_WORDS: dict[str, Word] = {
    "is": Word(Takes.NAMES),
    "to": Word(Takes.NAMES),
    "password": Word(Takes.STRING),
    "folder": Word(Takes.STRINGS),
    "smtpname": Word(Takes.STRING),
    "smtpaddress": Word(Takes.STRING),
    "keep": Word(Takes.FLAG),
    "flush": Word(Takes.FLAG),
    "fetchall": Word(Takes.FLAG),
    "limit": Word(Takes.NUMBER),
    "fetchlimit": Word(Takes.NUMBER),
    "ssl": Word(Takes.FLAG),
    "sslproto": Word(Takes.STRING),
    "sslcertck": Word(Takes.FLAG),
    "sslfingerprint": Word(Takes.STRING),
    "smtphost": Word(Takes.STRINGS, Reason.DELIVERY),
    "fetchdomains": Word(Takes.STRINGS, Reason.DELIVERY),
    "antispam": Word(Takes.NUMBERS, Reason.DELIVERY),
    "mda": Word(Takes.STRING, Reason.COMMANDS),
    "bsmtp": Word(Takes.STRING, Reason.DELIVERY),
    "lmtp": Word(Takes.FLAG, Reason.DELIVERY),
    "preconnect": Word(Takes.STRING, Reason.COMMANDS),
    "postconnect": Word(Takes.STRING, Reason.COMMANDS),
    "limitflush": Word(Takes.FLAG, Reason.OVERSIZED),
    "warnings": Word(Takes.NUMBER, Reason.OVERSIZED),
    "rewrite": Word(Takes.FLAG, Reason.HEADERS),
    "forcecr": Word(Takes.FLAG, Reason.HEADERS),
    "stripcr": Word(Takes.FLAG, Reason.HEADERS),
    "pass8bits": Word(Takes.FLAG, Reason.DELIVERY),
    "dropstatus": Word(Takes.FLAG, Reason.HEADERS),
    "dropdelivered": Word(Takes.FLAG, Reason.HEADERS),
    "mimedecode": Word(Takes.FLAG, Reason.HEADERS),
    "idle": Word(Takes.FLAG, Reason.IDLE),
    "sslkey": Word(Takes.STRING, Reason.CERTIFICATES),
    "sslcert": Word(Takes.STRING, Reason.CERTIFICATES),
    "sslcertfile": Word(Takes.STRING, Reason.CERTIFICATES),
    "sslcertpath": Word(Takes.STRING, Reason.CERTIFICATES),
    "sslcommonname": Word(Takes.STRING, Reason.CERTIFICATES),
    "fetchsizelimit": Word(Takes.NUMBER, Reason.TRAFFIC),
    "fastuidl": Word(Takes.NUMBER, Reason.TRAFFIC),
    "batchlimit": Word(Takes.NUMBER, Reason.TRAFFIC),
    "expunge": Word(Takes.NUMBER, Reason.EXPUNGE),
    "properties": Word(Takes.STRING, Reason.NOTES),
}

GLOBAL_WORDS: dict[str, Word] = {
    "daemon": Word(Takes.NUMBER, Reason.SETTINGS),
    "postmaster": Word(Takes.STRING, Reason.DELIVERY),
    "bouncemail": Word(Takes.FLAG, Reason.DELIVERY),
    "spambounce": Word(Takes.FLAG, Reason.DELIVERY),
    "softbounce": Word(Takes.FLAG, Reason.DELIVERY),
    "logfile": Word(Takes.STRING, Reason.SETTINGS),
    "idfile": Word(Takes.STRING, Reason.SETTINGS),
    "pidfile": Word(Takes.STRING, Reason.SETTINGS),
    "syslog": Word(Takes.FLAG, Reason.SETTINGS),
    "invisible": Word(Takes.FLAG, Reason.HEADERS),
    "showdots": Word(Takes.FLAG, Reason.DISPLAY),
    "properties": Word(Takes.STRING, Reason.NOTES),
}

ENTRY_WORDS = frozenset({"poll", "skip", "defaults", "set"})

KEYWORDS = frozenset({*SERVER_WORDS, *USER_WORDS, *GLOBAL_WORDS, *ENTRY_WORDS, "user", "here", "there", "no"})
