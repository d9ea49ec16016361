r"""How a field's value is written in either spelling, and read back.

Blanks: as it is, or in quotes with `\\ \" \' \n \t \xHH` inside (`\xHH` is the character U+00HH).
Bars: as it is, with `\|` for a bar and `\\` for a backslash; any other backslash stands for itself. The value of an option between
bars loses the blanks around it, so that there `\` also keeps a blank, and `\#` is no comment.
"""

import re
from dataclasses import dataclass

from fetchrules.ruletext.validate import FORBIDDEN

QUOTES = "\"'"

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([\\\"'nt])|(.?))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BAR_ESCAPE = re.compile(r"\\([\\|])")
_BAR_OPTION_ESCAPE = re.compile(r"\\([\\| \t#])")
_HIDDEN_EDGE = re.compile(r"\A[ \t]|[ \t]\Z|(?:\A|(?<=[ \t]))#")


@dataclass(frozen=True, slots=True)
class Unquoted:
    """The value of a quoted field, and where in the field (from 0) escapes stand that mean nothing."""

    value: str
    unknown: tuple[int, ...]


def unquote(text: str) -> Unquoted:
    """The value of `text`, a field between two quotes of one kind."""
    inner = text[1:-1]
    if "\\" not in inner:
        return Unquoted(inner, ())
    unknown: list[int] = []

    def replace(match: re.Match[str]) -> str:
        code, known, other = match.groups()
        if code:
            return chr(int(code, 16))
        if known:
            return _LETTERS.get(known, known)
        unknown.append(1 + match.start())
        return f"\\{other}"

    return Unquoted(_ESCAPE.sub(replace, inner), tuple(unknown))


def quoted(value: str, quote: str = '"') -> str:
    """`value` between quotes."""
    escaped = value.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return quote + _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", escaped) + quote


def blank_field(value: str, quote: str = "") -> str:
    """`value` as a field between blanks: in `quote` if given, else in quotes only where it needs them."""
    _refuse_unwritable(value)
    if quote:
        return quoted(value, quote)
    bare = value and value[0] != "#" and not any(c in "\"'|" or c.isspace() or not c.isprintable() for c in value)
    return value if bare else quoted(value)


def bar_field(value: str) -> str:
    """`value` as a login or password between bars."""
    _refuse_unwritable(value)
    return value.replace("\\", "\\\\").replace("|", "\\|")


def bar_option_value(value: str) -> str:
    """`value` as the value of an option between bars."""
    return _HIDDEN_EDGE.sub(lambda match: f"\\{match[0]}", bar_field(value))


def read_bar_field(text: str) -> str:
    """The value of a login or password between bars."""
    return _BAR_ESCAPE.sub(r"\1", text) if "\\" in text else text


def read_bar_option_value(text: str) -> str:
    """The value of an option between bars."""
    return _BAR_OPTION_ESCAPE.sub(r"\1", text) if "\\" in text else text


def _refuse_unwritable(value: str) -> None:
    """A line break in a field would make two lines of one rule: such a rule must not have come so far."""
    if FORBIDDEN.search(value):
        raise ValueError("a field of a rule holds a character that no line can")
