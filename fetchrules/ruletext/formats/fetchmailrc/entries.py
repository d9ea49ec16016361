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
from fetchrules.ruletext.formats.foreign import UnreadableEntry
from fetchrules.ruletext.problem import Code, Problem

_NUMBER = re.compile("-?[0-9]{1,15}")

MAX_TOKENS = 20 * MAX_RULES
"""Words that a file may have: few rules have more than a dozen."""

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
    """Whether a mistake ended it early, so that settings may be missing."""

    @property
    def verb(self) -> str:
        return self.token.value


@dataclass(slots=True)
class File:
    entries: list[ServerEntry] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_file(text: str) -> File:
    """Every entry of the file. After a mistake, reading continues at the next entry."""
    parts = list(islice(tokens_of(text), MAX_TOKENS + 1))
    if len(parts) > MAX_TOKENS:
        return File(problems=[Problem(Code.TOO_MANY_OPTIONS, line=parts[-1].line, column=1)])
    file = File(comments=[part for part in parts if isinstance(part, Comment)])
    parser = _Parser([part for part in parts if isinstance(part, Lexeme)])
    while parser.ahead:
        try:
            parser.read_statement(file)
        except UnreadableEntry as error:
            file.problems.append(error.problem)
            parser.skip_to_next_entry()
    return file


def read_user_options(text: str) -> tuple[list[Setting], list[Problem]]:
    """User options that stand alone, as in PostfixAdmin's table."""
    parser = _Parser([part for part in tokens_of(text) if isinstance(part, Lexeme)])
    user = User(Lexeme(LexemeKind.KEYWORD, "user", 1, 1, 0))
    try:
        while parser.ahead:
            parser.read_user_option(user)
    except UnreadableEntry as error:
        return user.settings, [error.problem]
    return user.settings, []


class _Parser:
    """A cursor over the tokens. Methods raise UnreadableEntry at a token that cannot stand where it does."""

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
        while self.ahead and not self.next_is(*ENTRY_WORDS):
            self.at += 1

    def unexpected(self, token: Lexeme | None, *, behind: str = "") -> UnreadableEntry:
        """An error at `token` (None: the end of the file), where the value of the word `behind` was expected, if one was.

        The token is not repeated: it may be a part of a password.
        """
        code = Code.FOREIGN_VALUE_MISSING if behind else Code.FOREIGN_UNEXPECTED
        last = self.tokens[-1]
        if token is None:
            return UnreadableEntry(Problem(code, line=last.line, column=last.column + last.length, word=behind))
        return UnreadableEntry(Problem(code, line=token.line, column=token.column, length=token.length, word=behind))

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
            raise self.unexpected(self.ahead)

    def _read_entry(self, entry: ServerEntry) -> None:
        if entry.verb != "defaults":
            entry.name = self._string(entry.verb)
        while self._option_ahead(SERVER_WORDS):
            entry.settings.append(self._setting(SERVER_WORDS))
        nameless = self._option_ahead(USER_WORDS)
        if nameless:  # `user` may be missing before the options of an only user
            entry.users.append(User(entry.token))
        while self.ahead and not self.next_is(*ENTRY_WORDS):
            if self.next_is("user") and not nameless:
                entry.users.append(User(self.take()))
                self._read_names(entry.users[-1], "user")
            elif entry.users and self._option_ahead(USER_WORDS):
                self.read_user_option(entry.users[-1])
            else:
                raise self.unexpected(self.ahead)

    def read_user_option(self, user: User) -> None:
        if self.next_is("is", "to"):
            self._read_names(user, self.take().value)
        else:
            user.settings.append(self._setting(USER_WORDS))

    def _read_names(self, user: User, word: str) -> None:
        """The names behind `word`: local ones, but a login behind `user` or before `there`."""
        names = self._names(word)
        if self.next_is("there") or (word == "user" and not self.next_is("here")):
            if len(names) > 1 or not (names[0].plain or names[0] == EVERYBODY):
                raise self.unexpected(self.tokens[self.at - 1])
            user.name = names[0].name
        else:
            user.locals += names
        if self.next_is("here", "there"):
            self.take()

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
            raise self.unexpected(self.ahead, behind=word)
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
            raise self.unexpected(self.ahead)
        token = self.take()
        takes = words[token.value].takes
        if negated:
            if takes not in {Argument.FLAG, Argument.ENVELOPE}:
                raise self.unexpected(token)
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
            case Argument.STRINGS:
                return self._strings(word)
            case Argument.ENVELOPE:
                if self.ahead_is(LexemeKind.NUMBER):
                    self.take()
                return self._string(word)
            case Argument.STRING:
                return self._string(word)

    def _number(self, word: str) -> int:
        token = self.ahead
        if token is None or not _NUMBER.fullmatch(token.value):
            raise self.unexpected(token, behind=word)
        return int(self.take().value)

    def _string(self, word: str) -> str:
        if not self.ahead_is(LexemeKind.STRING, LexemeKind.NUMBER, LexemeKind.WILDCARD):
            raise self.unexpected(self.ahead, behind=word)
        return self.take().value

    def _strings(self, word: str) -> tuple[str, ...]:
        strings = [self._string(word)]
        while self.ahead_is(LexemeKind.STRING, LexemeKind.NUMBER, LexemeKind.WILDCARD):
            strings.append(self.take().value)
        return tuple(strings)
