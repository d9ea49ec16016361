"""A rule as a line of its own, in either spelling: the words in one order, nothing said that goes without saying."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fetchrules.rule import FIELDS, OPTIONS, Field, Rule, Spelling
from fetchrules.ruletext.quoting import bar_field, bar_option_value, blank_field


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
    return " ".join([word, *(option_value_text(value, spelling) for value in values)])


def option_value_text(value: str, spelling: Spelling) -> str:
    """The argument of an option as it stands behind its word."""
    return blank_field(value) if spelling is Spelling.BLANKS else bar_option_value(value)


def options_of(rule: Rule) -> Iterator[Phrase]:
    """The option words that say what differs from the defaults."""
    for field in FIELDS.values():
        for phrases in phrases_of(rule, field):
            yield from phrases


def phrases_of(rule: Rule, field: Field) -> list[tuple[Phrase, ...]]:
    """What the line says of `field`: nothing where it has its default, else its words, those of each item together."""
    value = getattr(rule, field.name)
    words = [option for option in field.options if not option.alias]
    if not words or words[0].of or value == field.default:
        return []
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
