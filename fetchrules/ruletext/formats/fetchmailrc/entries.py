"""The entries of a .fetchmailrc: servers, their users, and the options of both, as fetchmail's grammar has them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from fetchrules.rule import MAX_RULES
from fetchrules.ruletext.formats.fetchmailrc.tokens import (
    ENTRY_WORDS,
    GLOBAL_WORDS,
    SERVER_WORDS,
    USER_WORDS,
    Argument,
    Comment,
    Lexeme,
    LexemeKind,
    Word,
    tokens_of,
)
from fetchrules.ruletext.problem import Code, Problem

_NUMBER = re.compile("-?[0-9]{1,15}")

MAX_TOKENS = 20 * MAX_RULES
"""Words of a file that are looked at: a rule in it has hardly ever more than a dozen."""

Value = bool | int | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """An option word with its value, and the token of the word."""

    word: str
    value: Value
    token: Lexeme


@dataclass(frozen=True, slots=True)
class LocalName:
    """A name behind `is` or `to`. One that is not `plain` is mapped to another or the wildcard: letters go to several mailboxes."""

    name: str
    plain: bool = True


EVERYBODY = LocalName("*", plain=False)


@dataclass(slots=True)
class User:
    """One user description. `name` is the remote login, `locals` the local names."""

    token: Lexeme
    name: str = ""
    locals: list[LocalName] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)


@dataclass(slots=True)
class ServerEntry:
    """One `poll`, `skip` or `defaults`, with its users."""

    token: Lexeme
    name: str = ""
    settings: list[Setting] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    is_broken: bool = False
    """A mistake ended it early; its settings are not all there."""

    @property
    def verb(self) -> str:
        """`poll`, `skip` or `defaults`."""
        return self.token.value


@dataclass(slots=True)
class File:
    entries: list[ServerEntry] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _SyntaxError(Exception):
    """What stands at `token` (None: the end of the file) cannot stand there."""

    def __init__(self, token: Lexeme | None, expected: str) -> None:
        super().__init__(expected)
        self.token = token
        self.expected = expected


def read_file(text: str) -> File:
    """Every entry of the file; behind a mistake reading goes on with the next entry."""
    parts = list(islice(tokens_of(text), MAX_TOKENS + 1))
    if len(parts) > MAX_TOKENS:
        return File(problems=[Problem(Code.TOO_MANY_OPTIONS, line=parts[-1].line, column=1)])
    file = File(comments=[part for part in parts if isinstance(part, Comment)])
    reader = _Reader([part for part in parts if isinstance(part, Lexeme)])
    while reader.ahead:
        try:
            reader.read_statement(file)
        except _SyntaxError as error:
            file.problems.append(_problem(error, reader.tokens))
            reader.skip_to_next_entry()
    return file


def read_user_options(text: str) -> tuple[list[Setting], list[Problem]]:
    """User options that stand alone, as in a table of PostfixAdmin's."""
    reader = _Reader([part for part in tokens_of(text) if isinstance(part, Lexeme)])
    start = Lexeme(LexemeKind.KEYWORD, "user", 1, 1, 0)
    user = User(start)
    try:
        while reader.ahead:
            reader.read_user_option(user)
    except _SyntaxError as error:
        return user.settings, [_problem(error, reader.tokens)]
    return user.settings, []


def _problem(error: _SyntaxError, tokens: Sequence[Lexeme]) -> Problem:
    """What was found is not repeated: it may be a part of a password."""
    if error.token:
        place = (error.token.line, error.token.column, error.token.length)
    else:
        last = tokens[-1]
        place = (last.line, last.column + last.length, 0)
    line, column, length = place
    code = Code.FOREIGN_VALUE_MISSING if error.expected else Code.FOREIGN_UNEXPECTED
    return Problem(code, line=line, column=column, length=length, word=error.expected)


class _Reader:
    """A cursor over the tokens. Methods raise _SyntaxError at what they cannot use."""

    def __init__(self, tokens: Sequence[Lexeme]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def ahead(self) -> Lexeme | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def ahead_is(self, *kinds: LexemeKind) -> bool:
        return self.ahead is not None and self.ahead.kind in kinds

    def next_is(self, *words: str) -> bool:
        return self.ahead is not None and self.ahead.kind is LexemeKind.KEYWORD and self.ahead.value in words

    def take(self) -> Lexeme:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def skip_to_next_entry(self) -> None:
        """Behind a mistake: on to the next word that begins an entry."""
        while self.ahead and not self.next_is(*ENTRY_WORDS):
            self.at += 1

    def read_statement(self, file: File) -> None:
        """A global option or an entry."""
        if self.next_is("set"):
            self.take()
            file.settings.append(self._setting(GLOBAL_WORDS))
        elif self.next_is("poll", "skip", "defaults"):
            entry = ServerEntry(self.take(), is_broken=True)
            file.entries.append(entry)
            self._read_entry(entry)
            entry.is_broken = False
        else:
            raise _SyntaxError(self.ahead, "")

    def _read_entry(self, entry: ServerEntry) -> None:
        if entry.verb != "defaults":
            entry.name = self._string(entry.verb)
        while self._option_ahead(SERVER_WORDS):
            entry.settings.append(self._setting(SERVER_WORDS))
        if self._option_ahead(USER_WORDS):  # the first user may go without `user`
            entry.users.append(User(entry.token))
        while self.ahead and not self.next_is(*ENTRY_WORDS):
            if self.next_is("user") and not self._is_nameless(entry):
                entry.users.append(self._user())
            elif entry.users and self._option_ahead(USER_WORDS):
                self.read_user_option(entry.users[-1])
            else:
                raise _SyntaxError(self.ahead, "")

    @staticmethod
    def _is_nameless(entry: ServerEntry) -> bool:
        """Whether its options stand without a user: they would not be those of a user that is named behind them."""
        return bool(entry.users) and entry.users[0].token is entry.token

    def _user(self) -> User:
        user = User(self.take())
        names = self._names("user")
        if self.next_is("here"):
            self.take()
            user.locals += names
        else:
            user.name = self._login(names)
            if self.next_is("there"):
                self.take()
        return user

    def read_user_option(self, user: User) -> None:
        if not self.next_is("is", "to"):
            user.settings.append(self._setting(USER_WORDS))
            return
        names = self._names(self.take().value)
        if self.next_is("there"):
            user.name = self._login(names)
            self.take()
        else:
            if self.next_is("here"):
                self.take()
            user.locals += names

    def _login(self, names: Sequence[LocalName]) -> str:
        """The one name that was read, as a login; a mapping is none."""
        if len(names) > 1 or not (names[0].plain or names[0] == EVERYBODY):
            raise _SyntaxError(self.tokens[self.at - 1], "")
        return names[0].name

    def _names(self, word: str) -> list[LocalName]:
        names: list[LocalName] = []
        while self.ahead_is(LexemeKind.STRING, LexemeKind.WILDCARD, LexemeKind.NUMBER):
            token = self.take()
            mapped = self.ahead_is(LexemeKind.MAP)
            if mapped:
                self.take()
                self._string(word)
            names.append(LocalName(token.value, plain=not mapped and token.kind is not LexemeKind.WILDCARD))
        if not names:
            raise _SyntaxError(self.ahead, word)
        return names

    def _option_ahead(self, words: dict[str, Word]) -> bool:
        if self.next_is("no") and self.at + 1 < len(self.tokens):
            return self.tokens[self.at + 1].value in words
        return self.next_is(*words)

    def _setting(self, words: dict[str, Word]) -> Setting:
        negated = self.next_is("no")
        if negated:
            self.take()
        if not self.next_is(*words):
            raise _SyntaxError(self.ahead, "")
        token = self.take()
        takes = words[token.value].takes
        if negated:
            if takes not in {Argument.FLAG, Argument.ENVELOPE}:
                raise _SyntaxError(token, "")
            return Setting(token.value, False, token)
        return Setting(token.value, self._value(token.value, takes), token)

    def _value(self, word: str, takes: Argument) -> Value:
        if self.ahead_is(LexemeKind.MAP):
            self.take()
        match takes:
            case Argument.FLAG:
                return True
            case Argument.NUMBER:
                return self._number(word)
            case Argument.STRINGS | Argument.NUMBERS | Argument.NAMES:
                return self._strings(word)
            case Argument.ENVELOPE:
                if self.ahead_is(LexemeKind.NUMBER):
                    self.take()
                return self._string(word)
            case Argument.STRING | Argument.WORD:
                return self._string(word)

    def _number(self, word: str) -> int:
        token = self.ahead
        if token is None or not _NUMBER.fullmatch(token.value):
            raise _SyntaxError(token, word)
        return int(self.take().value)

    def _string(self, word: str) -> str:
        if not self.ahead_is(LexemeKind.STRING, LexemeKind.NUMBER, LexemeKind.WILDCARD):
            raise _SyntaxError(self.ahead, word)
        return self.take().value

    def _strings(self, word: str) -> tuple[str, ...]:
        strings = [self._string(word)]
        while self.ahead_is(LexemeKind.STRING, LexemeKind.NUMBER, LexemeKind.WILDCARD):
            strings.append(self.take().value)
        return tuple(strings)
