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
    STRINGS = "strings"
    """One or more."""
    ENVELOPE = "envelope"
    """A string, perhaps with a number before it; or `no` before the word."""


@dataclass(frozen=True, slots=True)
class Word:
    """An option word. `reason`: why it has no counterpart; None where it has one."""

    takes: Argument
    reason: Reason | None = None


def _words(*groups: tuple[Argument, Reason | None, str]) -> dict[str, Word]:
    return {word: Word(takes, reason) for takes, reason, words in groups for word in words.split()}


SERVER_WORDS = _words(
    (Argument.FLAG, None, "uidl"),
    (Argument.NUMBER, None, "port timeout interval"),
    (Argument.STRING, None, "via protocol service auth"),
    (Argument.STRINGS, Reason.ENVELOPE, "aka localdomains"),
    (Argument.ENVELOPE, Reason.ENVELOPE, "envelope"),
    (Argument.STRING, Reason.ENVELOPE, "qvirtual"),
    (Argument.FLAG, Reason.ENVELOPE, "dns checkalias"),
    (Argument.STRING, Reason.AUTHENTICATION, "principal"),
    (Argument.STRING, Reason.DELIVERY, "esmtpname esmtppassword"),
    (Argument.STRING, Reason.NETWORK, "interface monitor"),
    (Argument.STRING, Reason.COMMANDS, "plugin plugout"),
    (Argument.FLAG, Reason.HEADERS, "tracepolls"),
    (Argument.STRING, Reason.HEADERS, "bad-header"),
)

USER_WORDS = _words(
    (Argument.FLAG, None, "keep flush fetchall ssl sslcertck"),
    (Argument.NUMBER, None, "limit fetchlimit"),
    (Argument.STRING, None, "password smtpname smtpaddress sslproto sslfingerprint"),
    (Argument.STRINGS, None, "is to folder"),
    (Argument.FLAG, Reason.DELIVERY, "lmtp pass8bits"),
    (Argument.STRING, Reason.DELIVERY, "bsmtp"),
    (Argument.STRINGS, Reason.DELIVERY, "smtphost fetchdomains antispam"),
    (Argument.STRING, Reason.COMMANDS, "mda preconnect postconnect"),
    (Argument.FLAG, Reason.OVERSIZED, "limitflush"),
    (Argument.NUMBER, Reason.OVERSIZED, "warnings"),
    (Argument.FLAG, Reason.HEADERS, "rewrite forcecr stripcr dropstatus dropdelivered mimedecode"),
    (Argument.FLAG, Reason.IDLE, "idle"),
    (Argument.STRING, Reason.CERTIFICATES, "sslkey sslcert sslcertfile sslcertpath sslcommonname"),
    (Argument.NUMBER, Reason.TRAFFIC, "fetchsizelimit fastuidl batchlimit"),
    (Argument.NUMBER, Reason.EXPUNGE, "expunge"),
    (Argument.STRING, Reason.NOTES, "properties"),
)

GLOBAL_WORDS = _words(
    (Argument.NUMBER, Reason.SETTINGS, "daemon"),
    (Argument.STRING, Reason.SETTINGS, "logfile idfile pidfile"),
    (Argument.FLAG, Reason.SETTINGS, "syslog"),
    (Argument.STRING, Reason.DELIVERY, "postmaster"),
    (Argument.FLAG, Reason.DELIVERY, "bouncemail spambounce softbounce"),
    (Argument.FLAG, Reason.HEADERS, "invisible"),
    (Argument.FLAG, Reason.DISPLAY, "showdots"),
    (Argument.STRING, Reason.NOTES, "properties"),
)

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
    at = seen = start_of_line = 0
    line = 1
    any_word = False
    while at < len(text):
        if blank := BLANK.match(text, at):
            at = blank.end()
            continue
        while (newline := text.find("\n", seen, at)) >= 0:
            line += 1
            start_of_line = seen = newline + 1
        seen = at
        if comment := COMMENT.match(text, at):
            at = comment.end()
            if not text[start_of_line : comment.start()].strip():
                yield Comment(comment[0].rstrip("\r"), line)
            continue
        kind, value, length = _token(text, at, any_word)
        at += length
        if kind is LexemeKind.KEYWORD and value in NOISE:
            continue
        any_word = kind is LexemeKind.MAP or (kind is LexemeKind.KEYWORD and value in TAKES_ANY_WORD)
        yield Lexeme(kind, value, line, at - length - start_of_line + 1, length)


def _token(text: str, at: int, any_word: bool) -> tuple[LexemeKind, str, int]:
    """Kind, value and length of the token at `at`."""
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
