r"""A rule as a line of its own, in either spelling; how each value in it is written, and read back.

Words come in one order, and nothing is written that is the default.
Blanks: a value as it is, or in quotes with `\\ \" \' \n \t \xHH` inside (`\xHH` is the character U+00HH).
Bars: a value as it is, with `\|` for a bar and `\\` for a backslash; any other backslash stands for itself. The value of an option
loses the blanks around it, so there `\` also keeps a blank, and `\#` is no comment.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fetchrules.rule import FIELDS, OPTIONS, Field, Rule, Spelling
from fetchrules.ruletext.validate import FORBIDDEN

QUOTES = "\"'"

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([\\\"'nt])|(.?))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BAR_ESCAPE = re.compile(r"\\([\\|])")
_BAR_OPTION_ESCAPE = re.compile(r"\\([\\| \t#])")
_HIDDEN_EDGE = re.compile(r"\A[ \t]|[ \t]\Z|(?:\A|(?<=[ \t]))#")


class Phrase(NamedTuple):
    """An option word and its arguments, without quotes."""

    word: str
    values: tuple[str, ...] = ()


def render_rule(rule: Rule, spelling: Spelling) -> str:
    """`rule` as one line, without a line ending. ValueError when a field holds what no line can (CR, LF, NUL)."""
    options = [option_text(word, values, spelling) for word, values in options_of(rule)]
    source = f"{server_text(rule.server)}:{rule.protocol}"
    if spelling is Spelling.BARS:
        return "|".join([source, bar_field(rule.user), bar_field(rule.password), rule.recipient, *options])
    return " ".join([source, blank_field(rule.user), blank_field(rule.password), blank_field(rule.recipient), *options])


def server_text(server: str) -> str:
    """The server as it stands before the colon: an IPv6 address in brackets."""
    return f"[{server}]" if ":" in server else server


def option_text(word: str, values: Sequence[str], spelling: Spelling) -> str:
    """An option with its arguments."""
    written = map(blank_field if spelling is Spelling.BLANKS else bar_option_value, values)
    return " ".join([word, *written])


def options_of(rule: Rule) -> Iterator[Phrase]:
    """The option words that say what differs from the defaults."""
    for field in FIELDS.values():
        for phrases in phrases_of(rule, field):
            yield from phrases


def phrases_of(rule: Rule, field: Field) -> list[tuple[Phrase, ...]]:
    """The words that set `field`, those of each item together; none if it has its default."""
    value = getattr(rule, field.name)
    words = [option for option in field.options if not option.alias]
    if not words or value == field.default:
        return []
    if words[0].of:
        return [(Phrase(words[0].word, _arguments(item)),) for of, item in value if not of]
    if not words[0].takes:
        return [(Phrase(option.word),) for option in words if option.sets == value]
    items = value if field.repeats else (value,)
    return [(Phrase(words[0].word, _arguments(item)), *_hanging_on(rule, field, item)) for item in items]


def _hanging_on(rule: Rule, field: Field, item: object) -> Iterator[Phrase]:
    for option in OPTIONS.values():
        if option.of == field.name:
            values = (value for of, value in getattr(rule, option.field) if of == item)
            yield from (Phrase(option.word, _arguments(value)) for value in values)


def _arguments(value: object) -> tuple[str, ...]:
    return tuple(str(part) for part in (value if isinstance(value, tuple) else (value,)) if part is not None)


def _quoted(value: str, quote: str) -> str:
    escaped = value.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return quote + _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", escaped) + quote


def blank_field(value: str, *, like: str = "") -> str:
    """`value` as a field between blanks: in the quotes of `like`, the text that it replaces, or in quotes if it needs them."""
    _refuse_unwritable(value)
    if like.startswith(tuple(QUOTES)):
        return _quoted(value, like[0])
    bare = value and value[0] != "#" and not any(c in "\"'|" or c.isspace() or not c.isprintable() for c in value)
    return value if bare else _quoted(value, '"')


def bar_field(value: str) -> str:
    """`value` as a login or password between bars."""
    _refuse_unwritable(value)
    return value.replace("\\", "\\\\").replace("|", "\\|")


def bar_option_value(value: str) -> str:
    """`value` as the value of an option between bars."""
    return _HIDDEN_EDGE.sub(lambda match: f"\\{match[0]}", bar_field(value))


def _refuse_unwritable(value: str) -> None:
    """A line break in a field would make two lines of one rule. Such a rule is refused long before it is written."""
    if FORBIDDEN.search(value):
        raise ValueError("a field of a rule holds a character that no line can")


def unquote(text: str) -> tuple[str, list[int]]:
    """The value of `text`, a field in its quotes, and where in the field (from 0) escapes stand that mean nothing."""
    inner = text[1:-1]
    if "\\" not in inner:
        return inner, []
    unknown: list[int] = []

    def replace(match: re.Match[str]) -> str:
        code, known, other = match.groups()
        if code:
            return chr(int(code, 16))
        if known:
            return _LETTERS.get(known, known)
        unknown.append(1 + match.start())
        return f"\\{other}"

    return _ESCAPE.sub(replace, inner), unknown


def read_bar_field(text: str) -> str:
    """The value of a login or password between bars."""
    return _BAR_ESCAPE.sub(r"\1", text) if "\\" in text else text


def read_bar_option_value(text: str) -> str:
    """The value of an option between bars."""
    return _BAR_OPTION_ESCAPE.sub(r"\1", text) if "\\" in text else text
