r"""The tokens of a .fetchmailrc, by the rules of fetchmail 6.4's own lexer (man fetchmail, "Run Control Syntax").

The longest match wins. Behind `user`, `password`, `is`, `to` and `=` the next word is a string, be it a number or a keyword.
Quotes hold no quote of their own kind, not even behind a backslash; `\x22` is the way to write one. Noise words and the marks
`: ; ,` are nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

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
NEGATED = frozenset(
    f"no{word}"
    for word in (
        *(
            "bouncemail",
            "spambounce",
            "uidl",
            "checkalias",
            "dns",
            "envelope",
            "keep",
            "flush",
            "limitflush",
            "fetchall",
        ),
        *(
            "rewrite",
            "forcecr",
            "stripcr",
            "pass8",
            "pass8bits",
            "dropstatus",
            "dropdelivered",
            "mimedec",
            "mimedecode",
        ),
        "idle",
    )
)
"""Where `no` may be written together with its word; `nossl` is a string like any other."""
TAKES_ANY_WORD = frozenset({"user", "password", "is", "to", "auth", "protocol"})


class Kind(Enum):
    """What a token is to the grammar."""

    KEYWORD = "keyword"
    STRING = "string"
    NUMBER = "number"
    MAP = "="
    WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Token:
    """A token and where it stands (from 1). `value` has synonyms and escapes resolved."""

    kind: Kind
    value: str
    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that has its line for itself."""

    text: str
    line: int


def tokens_of(text: str, keywords: frozenset[str]) -> Iterator[Token | Comment]:
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
        kind, value, length = _token(text, at, any_word, keywords)
        at += length
        if kind is Kind.KEYWORD and value in NOISE:
            continue
        any_word = kind is Kind.MAP or (kind is Kind.KEYWORD and value in TAKES_ANY_WORD)
        yield Token(kind, value, line, column, length)


def _token(text: str, at: int, any_word: bool, keywords: frozenset[str]) -> tuple[Kind, str, int]:
    """Kind, value and length of the token at `at`."""
    if text[at] == "=":
        return Kind.MAP, "=", 1
    quoted, word = _QUOTED.match(text, at), _WORD.match(text, at)
    bare = word[0] if word else text[at]
    if quoted and len(quoted[0]) >= len(bare):
        return Kind.STRING, unescape(quoted[0][1:-1]), len(quoted[0])
    if bare == "*":
        return Kind.WILDCARD, bare, 1
    if not any_word:
        name = SYNONYMS.get(bare, bare)
        if name in keywords or name in NOISE:
            return Kind.KEYWORD, name, len(bare)
        if _NUMBER.fullmatch(bare):
            return Kind.NUMBER, bare, len(bare)
        if bare in NEGATED:
            return Kind.KEYWORD, "no", 2
    return Kind.STRING, unescape(bare), len(bare)


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
