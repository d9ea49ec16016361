"""From the tokens of a line to a rule, or to everything that is wrong with them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default

from fetchrules.errors import printable
from fetchrules.rule import (
    BOUNDS,
    FIELDS,
    OCTET_SUFFIXES,
    OPTIONS,
    PROTOCOL_WORDS,
    Auth,
    Encryption,
    Option,
    Protocol,
    Rule,
    Spelling,
    Takes,
)
from fetchrules.ruletext.lexer import LEADING, Kind, Lexed, Token, phrases
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.suggest import suggest_protocol
from fetchrules.ruletext.validate import (
    FORBIDDEN,
    NAME_FAULTS,
    TEXT_FAULTS,
    auth_fault,
    fingerprint_fault,
    number_fault,
    plain_fingerprint,
    recipient_fault,
    rule_problems,
)

MAX_OPTION_PROBLEMS = 10
"""How many wrong options of one line are worth a message."""

_MAX_WORD = 40
_NUMBER = re.compile(r"[0-9]{1,15}")
_OCTETS = re.compile(r"([0-9]{1,15})([kmg]?)", re.ASCII | re.IGNORECASE)

Value = str | int | bool | Encryption | Protocol | tuple[object, ...]


@dataclass(slots=True)
class _Reading:
    """One line while it is read: values of fields of `Rule` so far, the token that each came from, problems."""

    lexed: Lexed
    values: dict[str, Value] = default(default_factory=dict)
    places: dict[str, Token] = default(default_factory=dict)
    problems: list[Problem] = default(default_factory=list)

    def complain(self, code: Code, token: Token, *, field: str = "", word: str = "", other: str = "") -> None:
        self.problems.append(_at(Problem(code, field=field, word=word, other=other), token))

    def set(self, name: str, value: Value, token: Token) -> None:
        self.values[name] = value
        self.places[name] = token


def read(lexed: Lexed) -> tuple[Rule | None, tuple[Problem, ...]]:
    """The rule that the tokens spell, if nothing is wrong with them, and all problems in the order of their columns."""
    reading = _Reading(lexed)
    _read_characters(reading)
    if lexed.spelling is not None and not reading.problems:
        _read_leading(reading)
        _read_options(reading)
        _heed_written_check(reading)
    problems = [*lexed.problems, *reading.problems]
    rule = None
    if lexed.spelling is not None and not any(problem.is_error for problem in problems):
        rule = Rule(**reading.values)  # type: ignore[arg-type]  # each field was checked against its own type when it was set
        together = [_at(problem, reading.places[problem.field]) for problem in rule_problems(rule)]
        problems += together
        if any(problem.is_error for problem in together):
            rule = None
    return rule, tuple(sorted(problems, key=lambda problem: problem.column))


def _read_characters(reading: _Reading) -> None:
    for token in reading.lexed.tokens:
        if found := FORBIDDEN.search(token.text):
            at = Token(token.kind, found[0], token.start + found.start())
            reading.complain(Code.CHARACTER_FORBIDDEN, at, word=f"U+{ord(found[0]):04X}")


def _read_leading(reading: _Reading) -> None:
    """server:protocol, login, password, local mailbox."""
    tokens = {token.kind: token for token in reading.lexed.tokens}
    _read_source(reading, tokens)
    for kind in LEADING[1:]:
        token = tokens.get(kind)
        name = kind.value
        if token is None:
            if not _read_missing(reading, kind):
                return
        elif token.value is not None:
            if code_found := TEXT_FAULTS[name](token.value):
                reading.complain(_shifted(reading, token) or code_found, token, field=name)
            else:
                reading.set(name, token.value, token)


def _read_missing(reading: _Reading, kind: Kind) -> bool:
    """Complain about a field that is not there; whether those behind it may still be."""
    tokens = reading.lexed.tokens
    bars = [token for token in tokens if token.kind is Kind.BAR]
    if empty := len(bars) >= LEADING.index(kind):
        column = bars[LEADING.index(kind) - 1].start + 2
    else:
        last = next(token for token in reversed(tokens) if token.kind not in {Kind.BLANK, Kind.COMMENT})
        column = last.start + len(last.text) + 1
    if empty or not reading.lexed.problems:  # a field that cannot be read may have swallowed this one
        code = Code.FIELD_EMPTY if empty else Code.FIELD_MISSING
        reading.problems.append(Problem(code, column=column, field=kind.value))
    return empty


def _read_source(reading: _Reading, tokens: dict[Kind, Token]) -> None:
    server = tokens.get(Kind.SERVER)
    if server is None:
        reading.problems.append(Problem(Code.FIELD_EMPTY, column=1 + reading.lexed.tokens[0].start, field="server"))
    elif server.value is not None:
        bracketed = server.value != server.text
        code = TEXT_FAULTS["server"](server.value)
        if code is None and ":" in server.value and not bracketed:
            code = Code.SERVER_NEEDS_BRACKETS
        elif code is None and bracketed and ":" not in server.value:
            code = Code.SERVER_INVALID
        if code:
            reading.complain(code, server, field="server")
        else:
            reading.set("server", server.value, server)
    _read_protocol(reading, tokens.get(Kind.PROTOCOL), server or reading.lexed.tokens[0])


def _read_protocol(reading: _Reading, token: Token | None, server: Token) -> None:
    if token is None:
        column = server.start + len(server.text) + 1
        reading.problems.append(Problem(Code.PROTOCOL_MISSING, column=column, field="protocol"))
    elif token.value is None:
        return
    elif token.value in PROTOCOL_WORDS:
        protocol, implicit = PROTOCOL_WORDS[token.value]
        reading.set("protocol", protocol, token)
        if implicit:
            reading.set("encryption", Encryption.SSL, token)
    else:
        # A word that resembles nothing may be a misplaced password: it is not repeated.
        word = token.value if suggest_protocol(token.value) else ""
        reading.complain(Code.PROTOCOL_UNKNOWN, token, field="protocol", word=word)


def _shifted(reading: _Reading, recipient: Token) -> Code | None:
    """What a wrong local mailbox with an address further on means: a field before it was split by a blank or bar of its own."""
    if recipient.kind is not Kind.RECIPIENT:
        return None
    later = [token.value for token in reading.lexed.tokens if token.start > recipient.start and token.value]
    if not any("@" in value and recipient_fault(value) is None for value in later):
        return None
    return Code.BLANK_UNQUOTED if reading.lexed.spelling is Spelling.BLANKS else Code.BAR_UNESCAPED


def _read_options(reading: _Reading) -> None:
    """Read the option words and their values, unless the fields before them are out of place."""
    if "recipient" not in reading.values:
        return
    tokens = reading.lexed.tokens
    before = len(reading.problems)
    for word, values in phrases(tokens):
        token = tokens[word]
        if token.value is not None:
            _read_option(reading, token, token.value.lower(), [tokens[index] for index in values])
        found = reading.problems[before:]
        if len(found) >= MAX_OPTION_PROBLEMS and any(problem.is_error for problem in found):
            return
        del reading.problems[before + MAX_OPTION_PROBLEMS :]  # a line with nothing but warnings is a rule: read it all


def _read_option(reading: _Reading, token: Token, word: str, values: Sequence[Token]) -> None:
    option = OPTIONS.get(word)
    if option is None:
        reading.complain(Code.OPTION_UNKNOWN, token, word=printable(word, _MAX_WORD))
    elif (only := FIELDS[option.field].only) and only is not reading.values.get("protocol", only):
        reading.complain(
            Code.OPTION_OF_OTHER_PROTOCOL, token, field=option.field, word=word, other=str(reading.values["protocol"])
        )
    elif not option.takes:
        _assign(reading, option, option.sets, token)
    elif len(values) < len(option.takes) - option.first_optional:
        reading.complain(Code.VALUE_MISSING, token, field=option.field, word=word)
    else:
        _read_arguments(reading, option, values)


def _read_arguments(reading: _Reading, option: Option, values: Sequence[Token]) -> None:
    """Set the field to the arguments, or say what is wrong with them."""
    arguments: list[Value] = []
    for takes, token in zip(option.takes[len(option.takes) - len(values) :], values, strict=True):
        argument = None if token.value is None else _read_argument(reading, option, takes, token, token.value)
        if argument is None:
            return
        arguments.append(argument)
    value: Value = arguments[0]
    if len(option.takes) > 1:
        value = (*[None] * (len(option.takes) - len(values)), *arguments)
    if option.of:
        items = reading.values.get(option.of, ())
        assert isinstance(items, tuple)
        value = (items[-1] if items else "", value)
    _assign(reading, option, value, values[-1])


def _heed_written_check(reading: _Reading) -> None:
    """A written `sslcertck` demands TLS, which the check needs; beside `plaintext`, warn that the word has no effect."""
    written = reading.places.get("sslcertck")
    if written is None or reading.values["sslcertck"] is not True:
        return
    encryption = reading.values.setdefault("encryption", Encryption.AUTO.with_check)
    reading.places.setdefault("encryption", written)
    if encryption is Encryption.PLAINTEXT:
        reading.complain(Code.OPTION_IDLE, written, field="sslcertck", word="sslcertck", other="plaintext")


def _read_argument(reading: _Reading, option: Option, takes: Takes, token: Token, text: str) -> str | int | None:
    """An argument of an option, checked; None after a complaint."""
    if takes is Takes.NAME:
        value, code = text, NAME_FAULTS[option.field](text)
    elif takes is Takes.METHOD:
        return _read_auth(reading, token, text)
    elif takes is Takes.FINGERPRINT:
        value = plain_fingerprint(text)
        code = fingerprint_fault(value)
    else:
        return _read_number(reading, option, takes, token, text)
    if code:
        reading.complain(code, token, field=option.field)
    return None if code else value


def _read_auth(reading: _Reading, token: Token, text: str) -> Auth | None:
    if code := auth_fault(text):
        reading.complain(code, token, field="auth", word=printable(text, _MAX_WORD))
    return None if code else Auth(text.lower())


def _read_number(reading: _Reading, option: Option, takes: Takes, token: Token, text: str) -> int | None:
    found = (_OCTETS if takes is Takes.OCTETS else _NUMBER).fullmatch(text)
    if found is None:
        minimum, maximum = BOUNDS[option.field]
        problem = Problem(Code.NUMBER_INVALID, field=option.field, word=option.word, minimum=minimum, maximum=maximum)
        reading.problems.append(_at(problem, token))
        return None
    number = int(found[1]) * OCTET_SUFFIXES[found[2].lower()] if takes is Takes.OCTETS else int(text)
    if outside := number_fault(option.field, number):
        reading.problems.append(_at(replace(outside, word=option.word), token))
        return None
    return number


def _assign(reading: _Reading, option: Option, value: Value, token: Token) -> None:
    """Set a field by an option. The same value twice is a warning, two different ones are an error."""
    name = option.field
    if FIELDS[name].repeats:
        known = reading.values.get(name, ())
        assert isinstance(known, tuple)
        if value in known:
            reading.complain(Code.OPTION_TWICE, token, field=name, word=option.word)
        else:
            reading.set(name, (*known, value), token)
    elif name not in reading.values:
        reading.set(name, value, token)
    elif reading.values[name] != value:
        other = reading.places[name].text.lower()
        code = Code.OPTION_CONTRADICTED if not option.takes else Code.VALUE_REPEATED
        reading.complain(code, token, field=name, word=option.word, other=other)
    elif reading.places[name].kind is not Kind.PROTOCOL:
        reading.complain(Code.OPTION_TWICE, token, field=name, word=option.word)


def _at(problem: Problem, token: Token) -> Problem:
    return replace(problem, column=token.start + 1, length=len(token.text))
