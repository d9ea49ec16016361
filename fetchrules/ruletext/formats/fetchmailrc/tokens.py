r"""The words and tokens of a .fetchmailrc, by the rules of fetchmail 6.4's own lexer (man fetchmail, "Run Control Syntax").

The longest match wins. Behind `user`, `password`, `is`, `to` and `=` the next word is a string, be it a number or a keyword.
Quotes hold no quote of their own kind, not even behind a backslash; `\x22` is the way to write one. Noise words and the marks
`: ; ,` are nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from fetchrules.ruletext.formats.foreign import Reason

BLANK = re.compile(r"[ \t\r\n\ufeff;:,]+|\\\r?\n")
COMMENT = re.compile(r"#[^\n]*")
_QUOTED = re.compile(r'"[^"]*"|\'[^\']*\'')
_WORD = re.compile(r"[^=;:, \t\r\n]+")
_NUMBER = re.compile(r"-?[0-9]+")
_ESCAPE = re.compile(r"\\(?:[xX]([0-9A-Fa-f]{0,2})|(0[0-7]{0,2})|([0-9]{1,3})|(\r?\n|\Z)|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "b": "\b", "r": "\r"}

NOISE = frozenset({"and", "has", "options", "wants", "with"})
SYNONYMS = {
    "authenticate": "auth",
    "folders": "folder",
    "local": "localdomains",
    "mimedec": "mimedecode",
    "pass": "password",
    "pass8": "pass8bits",
    "post": "postconnect",
    "pre": "preconnect",
    "preauth": "auth",
    "preauthenticate": "auth",
    "proto": "protocol",
    "server": "poll",
    "smtp": "smtphost",
    "username": "user",
}
NEGATED = re.compile(
    "no(?:bouncemail|spambounce|uidl|checkalias|dns|envelope|keep|flush|limitflush|fetchall|rewrite|forcecr|stripcr"
    "|pass8(?:bits)?|dropstatus|dropdelivered|mimedec(?:ode)?|idle)"
)
"""Where `no` may be written together with its word; `nossl` is a string like any other."""
TAKES_ANY_WORD = frozenset({"user", "password", "is", "to", "auth", "protocol"})


class Argument(Enum):
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

    takes: Argument
    reason: Reason | None = None


SERVER_WORDS: dict[str, Word] = {
    "via": Word(Argument.STRING),
    "protocol": Word(Argument.STRING),
    "port": Word(Argument.NUMBER),
    "service": Word(Argument.WORD),
    "timeout": Word(Argument.NUMBER),
    "uidl": Word(Argument.FLAG),
    "interval": Word(Argument.NUMBER),
    "aka": Word(Argument.STRINGS, Reason.ENVELOPE),
    "localdomains": Word(Argument.STRINGS, Reason.ENVELOPE),
    "envelope": Word(Argument.ENVELOPE, Reason.ENVELOPE),
    "qvirtual": Word(Argument.STRING, Reason.ENVELOPE),
    "dns": Word(Argument.FLAG, Reason.ENVELOPE),
    "checkalias": Word(Argument.FLAG, Reason.ENVELOPE),
    "auth": Word(Argument.STRING, Reason.AUTHENTICATION),
    "principal": Word(Argument.STRING, Reason.AUTHENTICATION),
    "esmtpname": Word(Argument.STRING, Reason.DELIVERY),
    "esmtppassword": Word(Argument.STRING, Reason.DELIVERY),
    "interface": Word(Argument.STRING, Reason.NETWORK),
    "monitor": Word(Argument.STRING, Reason.NETWORK),
    "plugin": Word(Argument.STRING, Reason.COMMANDS),
    "plugout": Word(Argument.STRING, Reason.COMMANDS),
    "tracepolls": Word(Argument.FLAG, Reason.HEADERS),
    "bad-header": Word(Argument.STRING, Reason.HEADERS),
}

USER_WORDS: dict[str, Word] = {
    "is": Word(Argument.NAMES),
    "to": Word(Argument.NAMES),
    "password": Word(Argument.STRING),
    "folder": Word(Argument.STRINGS),
    "smtpname": Word(Argument.STRING),
    "smtpaddress": Word(Argument.STRING),
    "keep": Word(Argument.FLAG),
    "flush": Word(Argument.FLAG),
    "fetchall": Word(Argument.FLAG),
    "limit": Word(Argument.NUMBER),
    "fetchlimit": Word(Argument.NUMBER),
    "ssl": Word(Argument.FLAG),
    "sslproto": Word(Argument.STRING),
    "sslcertck": Word(Argument.FLAG),
    "sslfingerprint": Word(Argument.STRING),
    "smtphost": Word(Argument.STRINGS, Reason.DELIVERY),
    "fetchdomains": Word(Argument.STRINGS, Reason.DELIVERY),
    "antispam": Word(Argument.NUMBERS, Reason.DELIVERY),
    "mda": Word(Argument.STRING, Reason.COMMANDS),
    "bsmtp": Word(Argument.STRING, Reason.DELIVERY),
    "lmtp": Word(Argument.FLAG, Reason.DELIVERY),
    "preconnect": Word(Argument.STRING, Reason.COMMANDS),
    "postconnect": Word(Argument.STRING, Reason.COMMANDS),
    "limitflush": Word(Argument.FLAG, Reason.OVERSIZED),
    "warnings": Word(Argument.NUMBER, Reason.OVERSIZED),
    "rewrite": Word(Argument.FLAG, Reason.HEADERS),
    "forcecr": Word(Argument.FLAG, Reason.HEADERS),
    "stripcr": Word(Argument.FLAG, Reason.HEADERS),
    "pass8bits": Word(Argument.FLAG, Reason.DELIVERY),
    "dropstatus": Word(Argument.FLAG, Reason.HEADERS),
    "dropdelivered": Word(Argument.FLAG, Reason.HEADERS),
    "mimedecode": Word(Argument.FLAG, Reason.HEADERS),
    "idle": Word(Argument.FLAG, Reason.IDLE),
    "sslkey": Word(Argument.STRING, Reason.CERTIFICATES),
    "sslcert": Word(Argument.STRING, Reason.CERTIFICATES),
    "sslcertfile": Word(Argument.STRING, Reason.CERTIFICATES),
    "sslcertpath": Word(Argument.STRING, Reason.CERTIFICATES),
    "sslcommonname": Word(Argument.STRING, Reason.CERTIFICATES),
    "fetchsizelimit": Word(Argument.NUMBER, Reason.TRAFFIC),
    "fastuidl": Word(Argument.NUMBER, Reason.TRAFFIC),
    "batchlimit": Word(Argument.NUMBER, Reason.TRAFFIC),
    "expunge": Word(Argument.NUMBER, Reason.EXPUNGE),
    "properties": Word(Argument.STRING, Reason.NOTES),
}

GLOBAL_WORDS: dict[str, Word] = {
    "daemon": Word(Argument.NUMBER, Reason.SETTINGS),
    "postmaster": Word(Argument.STRING, Reason.DELIVERY),
    "bouncemail": Word(Argument.FLAG, Reason.DELIVERY),
    "spambounce": Word(Argument.FLAG, Reason.DELIVERY),
    "softbounce": Word(Argument.FLAG, Reason.DELIVERY),
    "logfile": Word(Argument.STRING, Reason.SETTINGS),
    "idfile": Word(Argument.STRING, Reason.SETTINGS),
    "pidfile": Word(Argument.STRING, Reason.SETTINGS),
    "syslog": Word(Argument.FLAG, Reason.SETTINGS),
    "invisible": Word(Argument.FLAG, Reason.HEADERS),
    "showdots": Word(Argument.FLAG, Reason.DISPLAY),
    "properties": Word(Argument.STRING, Reason.NOTES),
}

ENTRY_WORDS = frozenset({"poll", "skip", "defaults", "set"})

KEYWORDS = frozenset({*SERVER_WORDS, *USER_WORDS, *GLOBAL_WORDS, *ENTRY_WORDS, "user", "here", "there", "no"})


class LexemeKind(Enum):
    """What a token is to the grammar."""

    KEYWORD = "keyword"
    STRING = "string"
    NUMBER = "number"
    MAP = "="
    WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A token and where it stands (from 1). `value` has synonyms and escapes resolved."""

    kind: LexemeKind
    value: str
    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that has its line for itself."""

    text: str
    line: int


def tokens_of(text: str) -> Iterator[Lexeme | Comment]:
    """The tokens of the file, and the comments that stand on lines of their own."""
    position = _Positions(text)
    at = 0
    any_word = False
    while at < len(text):
        if blank := BLANK.match(text, at):
            at = blank.end()
            continue
        line, column = position.of(at)
        if comment := COMMENT.match(text, at):
            at = comment.end()
            if not text[position.start : comment.start()].strip():
                yield Comment(comment[0].rstrip("\r"), line)
            continue
        kind, value, length = _token(text, at, any_word)
        at += length
        if kind is LexemeKind.KEYWORD and value in NOISE:
            continue
        any_word = kind is LexemeKind.MAP or (kind is LexemeKind.KEYWORD and value in TAKES_ANY_WORD)
        yield Lexeme(kind, value, line, column, length)


def _token(text: str, at: int, any_word: bool) -> tuple[LexemeKind, str, int]:
    """LexemeKind, value and length of the token at `at`."""
    if text[at] == "=":
        return LexemeKind.MAP, "=", 1
    quoted, word = _QUOTED.match(text, at), _WORD.match(text, at)
    bare = word[0] if word else text[at]
    if quoted and len(quoted[0]) >= len(bare):
        return LexemeKind.STRING, unescape(quoted[0][1:-1]), len(quoted[0])
    if bare == "*":
        return LexemeKind.WILDCARD, bare, 1
    if not any_word:
        name = SYNONYMS.get(bare, bare)
        if name in KEYWORDS or name in NOISE:
            return LexemeKind.KEYWORD, name, len(bare)
        if _NUMBER.fullmatch(bare):
            return LexemeKind.NUMBER, bare, len(bare)
        if NEGATED.fullmatch(bare):
            return LexemeKind.KEYWORD, "no", 2
    return LexemeKind.STRING, unescape(bare), len(bare)


def unescape(text: str) -> str:
    """A string with its escapes resolved. They name octets; those above 127 are read as UTF-8 where they are, else as Latin-1."""
    if "\\" not in text:
        return text
    octets = bytearray()
    end = 0
    for found in _ESCAPE.finditer(text):
        octets += text[end : found.start()].encode("utf-8", "surrogatepass") + _escaped(found)
        end = found.end()
    octets += text[end:].encode("utf-8", "surrogatepass")
    decoded = octets.decode("utf-8", "surrogateescape")
    return "".join(chr(ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c for c in decoded)


def _escaped(found: re.Match[str]) -> bytes:
    hexadecimal, octal, decimal, joined, other = found.groups()
    if hexadecimal is not None:
        return bytes([int(hexadecimal or "0", 16)])
    if octal is not None:
        return bytes([int(octal, 8)])
    if decimal is not None:
        return bytes([int(decimal) & 0xFF])
    if joined is not None:
        return b""
    return _LETTERS.get(other, other).encode("utf-8", "surrogatepass")


class _Positions:
    """Line and column of growing offsets into a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.line = 1
        self.start = 0
        self.seen = 0

    def of(self, offset: int) -> tuple[int, int]:
        """Line and column of `offset`, which is not before the one asked for last."""
        while (newline := self.text.find("\n", self.seen, offset)) >= 0:
            self.line += 1
            self.start = self.seen = newline + 1
        self.seen = offset
        return self.line, offset - self.start + 1
