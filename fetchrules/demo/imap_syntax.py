"""How the commands of IMAP clients are read, and how values are written to them (RFC 3501 §9)."""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from fetchrules.demo.server import Bad

Token = str | list["Token"]
"""An atom or string, or a parenthesized list."""

DEPTH_MAX = 20
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

# A bracket, blanks before it; a quoted string; or an atom, in which blanks stand between square brackets only.
_TOKEN = re.compile(r' *(?:([()])|"((?:[^"\\]|\\.)*)"|((?:[^ ()"\[\]]|\[[^\]]*\])+))', re.DOTALL)
_RANGE = re.compile(r"(?:[1-9]\d{0,9}|\*)(?::(?:[1-9]\d{0,9}|\*))?", re.ASCII)


def tokens(text: str) -> list[Token]:
    """The words of a command. Raises Bad."""
    text = text.rstrip(" ")
    stack: list[list[Token]] = [[]]
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise Bad("not an argument")
        position = found.end()
        bracket, string, atom = found.groups()
        if bracket == "(":
            stack.append([])
        elif bracket and len(stack) > 1:
            done = stack.pop()
            stack[-1].append(done)
        elif bracket:
            raise Bad("a list ends that did not begin")
        else:
            stack[-1].append(atom if string is None else re.sub(r"\\(.)", r"\1", string, flags=re.DOTALL))
        if len(stack) > DEPTH_MAX:
            raise Bad("lists too deep")
    if len(stack) > 1:
        raise Bad("a list does not end")
    return stack[0]


def strings(arguments: Sequence[Token], count: int) -> list[str]:
    """The arguments, if they are so many atoms or strings. Raises Bad."""
    found = [argument for argument in arguments if isinstance(argument, str)]
    if not len(found) == len(arguments) == count:
        raise Bad("other arguments are expected")
    return found


def chosen(text: str, among: Sequence[int]) -> frozenset[int]:
    """Those of the ascending numbers `among` that a sequence set (1:3,7:*) names; `*` is the last one. Raises Bad."""
    if not all(_RANGE.fullmatch(part) for part in text.split(",")):
        raise Bad("not a sequence set")
    last = among[-1] if among else 0
    ranges = [[last if end == "*" else int(end) for end in part.split(":")] for part in text.split(",")]
    return frozenset(number for number in among if any(min(ends) <= number <= max(ends) for ends in ranges))


def date_time(moment: datetime) -> bytes:
    """As INTERNALDATE has it, in UTC."""
    utc = moment.astimezone(UTC)
    return f'"{utc.day:2d}-{_MONTHS[utc.month - 1]}-{utc.year} {utc:%H:%M:%S} +0000"'.encode()


def quoted(text: str) -> str:
    """A quoted string. `text` has no CR or LF."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def modified_utf7(name: str) -> str:
    """A folder's name as it is sent (RFC 3501 §5.1.3)."""

    def shifted(run: "re.Match[str]") -> str:
        return "&" + b64encode(run[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"

    return re.sub(r"[^\x20-\x7e]+", shifted, name.replace("&", "&-"))


def flag_list(flags: Iterable[str]) -> bytes:
    return f"({' '.join(sorted(flags))})".encode()
