"""IMAP's syntax (RFC 3501 section 9): values that we read; strings and sets that we write."""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.utf7 import decode_folder

Part = bytes | tuple[bytes, bytes]
"""A piece of a response as imaplib gives it: text, or text that ends in {size} and the literal behind it."""

Value = bytes | None | list["Value"]
"""An atom, number or string as octets; NIL; or a parenthesized list."""

_DEPTH_MAX = 20

# A token, blanks before it: "(" or ")", a quoted string, or an atom. Names like BODY[]<0> are atoms here, and keywords with braces:
# the grammar allows "}" in them, servers allow both.
_TOKEN = re.compile(rb' *(?:([()])|"((?:[^"\\\r\n]|\\.)*)"|([^ ()"{][^ ()"]*))')
_LITERAL = re.compile(rb"~?\{[0-9]+\}$")
_FORBIDDEN = frozenset("\r\n\0")

_NOT_SELECTABLE = {b"\\noselect", b"\\nonexistent"}


def responses(data: Iterable[Part | None]) -> Iterator[list[Part]]:
    """imaplib's flat list, response by response; a piece without a literal ends one."""
    parts: list[Part] = []
    for part in data:
        if part is not None:
            parts.append(part)
            if isinstance(part, bytes):
                yield parts
                parts = []


def values(parts: Sequence[Part]) -> list[Value]:
    """Read one response. Raises RemoteProtocolError."""
    stack: list[list[Value]] = [[]]
    for token in _tokens(parts):
        if token is Bracket.OPEN:
            stack.append([])
        elif token is Bracket.CLOSE:
            done = stack.pop()
            if not stack:
                raise RemoteProtocolError("a list ends that did not begin")
            stack[-1].append(done)
        else:
            stack[-1].append(token)
        if len(stack) > _DEPTH_MAX:
            raise RemoteProtocolError("lists too deep")
    if len(stack) > 1:
        raise RemoteProtocolError("a list does not end")
    return stack[0]


class Bracket(Enum):
    """What begins or ends a list."""

    OPEN = b"("
    CLOSE = b")"


def _tokens(parts: Sequence[Part]) -> Iterator[Bracket | bytes | None]:
    """Brackets, octets, and None for NIL."""
    for part in parts:
        text, literal = part if isinstance(part, tuple) else (part, None)
        if literal is not None:
            text = _LITERAL.sub(b"", text)
        text, position = text.rstrip(b" "), 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise RemoteProtocolError("not an IMAP response")
            position = found.end()
            bracket, quoted, atom = found.groups()
            if bracket is not None:
                yield Bracket(bracket)
            elif quoted is not None:
                yield re.sub(rb"\\(.)", rb"\1", quoted)
            else:
                yield None if atom.upper() == b"NIL" else atom
        if literal is not None:
            yield literal


def quoted(text: str) -> str:
    """`text` as a quoted string. CR, LF or NUL in it would begin another command: LocalProtocolError."""
    if not _FORBIDDEN.isdisjoint(text):
        raise LocalProtocolError("CR, LF or NUL in a string")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def uid_set(uids: Iterable[int]) -> str:
    """A sequence set of these: 1:3,5."""
    runs: list[list[int]] = []
    for uid in sorted(set(uids)):
        if runs and runs[-1][1] == uid - 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)


def folders(data: Iterable[Part | None]) -> tuple[str, ...]:
    """The names in imaplib's list of answers to LIST (RFC 3501 section 7.2.2) that can be selected, as people write them."""
    names = []
    for parts in responses(data):
        match values(parts):
            case [list(attributes), _, bytes(name), *_]:
                lower = {one.lower() for one in attributes if isinstance(one, bytes)}
                if not lower & _NOT_SELECTABLE:
                    names.append(decode_folder(name.decode("utf-8", "replace")))
            case _:
                raise RemoteProtocolError("not an answer to LIST")
    return tuple(names)
