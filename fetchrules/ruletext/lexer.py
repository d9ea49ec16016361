"""A line's text cut into tokens. Joined, they give the text back, whatever the text is."""

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from fetchrules.rule import OPTIONS, Option, Spelling, Takes
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.render import QUOTES, read_bar_field, read_bar_option_value, unquote
from fetchrules.ruletext.suggest import suggest_option


class Kind(Enum):
    """The kinds of tokens."""

    BLANK = "blank"
    BAR = "bar"
    COMMENT = "comment"
    SERVER = "server"
    COLON = "colon"
    PROTOCOL = "protocol"
    USER = "user"
    PASSWORD = "password"  # noqa: S105 (a kind of token)
    RECIPIENT = "recipient"
    WORD = "word"
    VALUE = "value"
    STRAY = "stray"
    """Text that cannot be read; a problem says why."""


class Token(NamedTuple):
    """A piece of a line. `start` counts from 0 in characters; `value` is what the text stands for, None where it is broken."""

    kind: Kind
    text: str
    start: int
    value: str | None = None


class Lexed(NamedTuple):
    """A line's tokens and what is wrong with their form. No spelling: the line holds no rule."""

    spelling: Spelling | None
    tokens: tuple[Token, ...]
    problems: tuple[Problem, ...]


MAX_TOKENS = 1000
"""Tokens of a line that are looked at."""

MAX_UNKNOWN = 100
"""Words of a line that may be no options; behind them it is not looked into any further."""

_MAX_SUGGESTIONS = 10
"""Unknown words of a line that are compared with the known ones, which takes time."""

LEADING = (Kind.SERVER, Kind.USER, Kind.PASSWORD, Kind.RECIPIENT)
"""The fields that every rule has, in their order."""

_MARKS = re.compile("\ufeff*")
_EMPTY = re.compile(r"([\s\ufeff]*)(#.*)?", re.DOTALL)
_BARS = re.compile(r"[ \t\ufeff]*+[^ \t|]*+[ \t]*+\|")
"""Possessive, because a line of blanks could otherwise be divided in very many ways."""
_BLANKS = re.compile(r"[ \t]+")
_RAW = re.compile(r"[^ \t]+")
_QUOTED = {quote: re.compile(rf"{quote}(?:[^{quote}\\]|\\.)*{quote}", re.DOTALL) for quote in QUOTES}
_ODD_BLANK = re.compile(r"[^\S \t]")

_BAR_FIELD = re.compile(r"(?:[^|\\]|\\[|\\]|\\)*")
_BAR_OPTION = re.compile(r"(?:[^|\\#]|\\.#*|\\|(?<![| \t])#)*", re.DOTALL)
_TRIMMED = re.compile(r"([ \t]*)((?:[ \t]*(?:\\.|[^ \t\\]|\\\Z))*)([ \t]*)", re.DOTALL)
_CHUNK = re.compile(r"(?:\\.|[^ \t\\]|\\)+", re.DOTALL)


def lex(text: str) -> Lexed:
    """Cut one line (its ending not included) into tokens."""
    if empty := _EMPTY.fullmatch(text):
        blank, comment = empty[1], empty[2]
        tokens = [Token(Kind.BLANK, blank, 0)] if blank else []
        if comment:
            tokens.append(Token(Kind.COMMENT, comment, len(blank)))
        return Lexed(None, tuple(tokens), ())
    cutter: _BarCutter | _BlankCutter = _BarCutter(text) if _BARS.match(text) else _BlankCutter(text)
    cutter.take(Kind.BLANK, _match(_MARKS, text, 0))  # files that were joined keep their marks
    cutter.cut()
    return Lexed(cutter.spelling, tuple(cutter.tokens), tuple(cutter.problems))


class _Cutter:
    """A line that is being cut, in either spelling: the place that is reached, and the tokens and problems so far."""

    spelling: Spelling

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.unknown = 0
        self.tokens: list[Token] = []
        self.problems: list[Problem] = []

    def take(self, kind: Kind, text: str, value: str | None = None) -> None:
        """The next characters are a token."""
        if text:
            self.tokens.append(Token(kind, text, self.at, value))
            self.at += len(text)

    def is_overfull(self) -> bool:
        """Whether the line has more than any rule needs. Then its rest becomes one token."""
        if self.at == len(self.text) or (len(self.tokens) < MAX_TOKENS and self.unknown < MAX_UNKNOWN):
            return False
        self.complain(Code.TOO_MANY_OPTIONS, self.at, len(self.text) - self.at)
        self.take(Kind.STRAY, self.text[self.at :])
        return True

    def complain(self, code: Code, start: int, length: int, word: str = "") -> None:
        """Note a problem of form at `start` (from 0)."""
        self.problems.append(Problem(code, column=start + 1, length=length, word=word))

    def take_source(self, text: str) -> None:
        """`server:protocol`; without a colon all of it is the server."""
        bracket = text.rfind("]") + 1 if text.startswith("[") else 0
        colon = text.rfind(":", bracket)
        server = text if colon < 0 else text[:colon]
        readable = not _ODD_BLANK.search(text)
        host = server[1:-1] if bracket == len(server) > 1 else server
        self.take(Kind.SERVER, server, host if readable else None)
        if colon >= 0:
            protocol = text[colon + 1 :]
            self.take(Kind.COLON, ":")
            self.take(Kind.PROTOCOL, protocol, protocol.lower() if readable else None)


class _BlankCutter(_Cutter):
    """Fields between blanks, quoted where they must be."""

    spelling = Spelling.BLANKS

    def cut(self) -> None:
        kinds = self._kinds()
        while self.at < len(self.text) and not self.is_overfull():
            if blank := _BLANKS.match(self.text, self.at):
                self.take(Kind.BLANK, blank[0])
            elif self.text[self.at] == "#":
                self.take(Kind.COMMENT, self.text[self.at :])
            else:
                self._field(next(kinds))

    def _kinds(self) -> Iterator[Kind]:
        """What each field is: a word is followed by a value for each argument, until the next field is an option again."""
        yield from LEADING
        while True:
            yield Kind.WORD
            word = (self.tokens[-2].value or "").lower()  # a blank stands between
            option = OPTIONS.get(word)
            if option is None:
                self.unknown += 1
                option = OPTIONS.get(suggest_option(word)) if self.unknown <= _MAX_SUGGESTIONS else None
            for number, takes in enumerate(option.takes if option else ()):
                ahead = _match(_RAW, self.text, self.at)
                if takes is not Takes.NAME and ahead.lower() in OPTIONS:
                    break
                if not _is_left_out(option, number, ahead):
                    yield Kind.VALUE

    def _field(self, kind: Kind) -> None:
        start = self.at
        if self.text[start] in QUOTES and kind is not Kind.SERVER:
            self._quoted_field(kind)
            return
        raw = _match(_RAW, self.text, start)
        if odd := _ODD_BLANK.search(raw):
            self.complain(Code.ODD_BLANK, start + odd.start(), 1, f"U+{ord(odd[0]):04X}")
        if kind is Kind.SERVER:
            self.take_source(raw)
        else:
            self.take(kind, raw, None if odd else raw)

    def _quoted_field(self, kind: Kind) -> None:
        start = self.at
        closed = _QUOTED[self.text[start]].match(self.text, start)
        if closed is None:
            self.complain(Code.QUOTE_OPEN, start, 1, self.text[start])
            self.take(kind, self.text[start:])
            return
        tail = _RAW.match(self.text, closed.end())
        if tail:
            self.complain(Code.QUOTE_TAIL, tail.start(), len(tail[0]))
        value, unknown = unquote(closed[0])
        for position in unknown:
            self.complain(Code.ESCAPE_UNKNOWN, start + position, 2)
        self.take(kind, closed[0] + (tail[0] if tail else ""), None if tail or unknown else value)


class _BarCutter(_Cutter):
    """Fields between bars. Login and password are taken as they are; other fields lose the blanks around them and a comment."""

    spelling = Spelling.BARS

    def cut(self) -> None:
        """The four leading fields, then one option a field, until the line or a comment ends it."""
        for kind in LEADING:
            self._leading(kind)
            if not self._bar():
                break
        else:
            self._option()
            while not self.is_overfull() and self._bar():
                self._option()
        self.take(Kind.COMMENT, self.text[self.at :])

    def _bar(self) -> bool:
        if self.at < len(self.text) and self.text[self.at] == "|":
            self.take(Kind.BAR, "|")
            return True
        return False

    def _leading(self, kind: Kind) -> None:
        if kind in {Kind.USER, Kind.PASSWORD}:
            field = _match(_BAR_FIELD, self.text, self.at)
            self.take(kind, field, read_bar_field(field))
            return
        field, after = self._trimmed()
        if kind is Kind.SERVER:
            self.take_source(field)
        else:
            self.take(kind, field, read_bar_option_value(field))
        self.take(Kind.BLANK, after)

    def _option(self) -> None:
        field, after = self._trimmed()
        word = _match(_CHUNK, field, 0)
        self.take(Kind.WORD, word, word)
        gap = _match(_BLANKS, field, len(word))
        self.take(Kind.BLANK, gap)
        self._rest_of_option(word, field[len(word) + len(gap) :])
        self.take(Kind.BLANK, after)

    def _rest_of_option(self, word: str, rest: str) -> None:
        """The rest of a field behind its option word: its values, then text that needs a bar before it."""
        option = OPTIONS.get(word.lower())
        if option is None:
            self.unknown += 1
            self.take(Kind.STRAY, rest)
            return
        for number, takes in enumerate(option.takes, 1):
            chunk = _match(_CHUNK, rest, 0)
            if _is_left_out(option, number - 1, chunk):
                continue
            if number == len(option.takes) and takes is Takes.NAME:
                self.take(Kind.VALUE, rest, read_bar_option_value(rest))
                return
            self.take(Kind.VALUE, chunk, chunk)
            rest = rest[len(chunk) :]
            if number < len(option.takes):
                gap = _match(_BLANKS, rest, 0)
                self.take(Kind.BLANK, gap)
                rest = rest[len(gap) :]
        if rest:
            stray = rest.lstrip(" \t")
            known = _match(_CHUNK, stray, 0).lower() in OPTIONS
            code = Code.BAR_EXPECTED if known else Code.VALUE_UNEXPECTED
            self.complain(code, self.at + len(rest) - len(stray), len(stray), word.lower())
            self.take(Kind.STRAY, rest)

    def _trimmed(self) -> tuple[str, str]:
        """Take the blanks before the next field; the field, and the blanks behind it."""
        parts = _TRIMMED.fullmatch(_match(_BAR_OPTION, self.text, self.at))
        assert parts is not None  # it matches any text
        self.take(Kind.BLANK, parts[1])
        return parts[2], parts[3]


def phrases(tokens: Sequence[Token]) -> list[tuple[int, list[int]]]:
    """The indexes of each option word among `tokens`, and of its arguments."""
    found: list[tuple[int, list[int]]] = []
    for index, token in enumerate(tokens):
        if token.kind is Kind.WORD:
            found.append((index, []))
        elif token.kind is Kind.VALUE:
            found[-1][1].append(index)
    return found


def _is_left_out(option: Option | None, number: int, text: str) -> bool:
    """Whether `text` is not the first argument of `option`, a number that may be missing, but the next one."""
    return option is not None and option.first_optional and number == 0 and not text.isdecimal()


def _match(pattern: re.Pattern[str], text: str, at: int) -> str:
    found = pattern.match(text, at)
    return found[0] if found else ""
