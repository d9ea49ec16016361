"""The grammar of IMAP (RFC 3501 and 9051, section 9): responses that we read; strings, sets and folder names that we write.

Servers are read with patience where no meaning is lost by it: blanks that are too many, lower case, numbers as floats, a list that
ends too early. Where a meaning would have to be guessed, RemoteProtocolError is raised.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache

from fetchrules.errors import RemoteProtocolError
from fetchrules.utf7 import decode_folder

_SIZE_MAX = 2**62
_DEPTH_MAX = 20


class Status(Enum):
    OK = "OK"
    NO = "NO"
    BAD = "BAD"
    BYE = "BYE"
    PREAUTH = "PREAUTH"


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A status response. `code` is the response code in upper case without its brackets, or empty; `arguments` is its rest."""

    status: Status
    text: str = ""
    code: str = ""
    arguments: str = ""


# RFC 3501 section 7.1: resp-text = ["[" resp-text-code "]" SP] text. Exchange sends no text, which RFC 9051 allows.
# Blanks that are too many are stripped behind the match: a repetition of them here would be tried from each of them on.
_STATUS = re.compile(rb"(OK|NO|BAD|BYE|PREAUTH)(?: ([^\0]*))?", re.IGNORECASE)
_CODE = re.compile(r"\[([A-Za-z0-9.-]+)(?: ([^\]]*))?\]")


def status_line(octets: bytes) -> StatusLine | None:
    """Read a response behind its tag or asterisk; None if it is no status response."""
    found = _STATUS.fullmatch(octets)
    if found is None:
        return None
    words = text((found[2] or b"").lstrip(b" "))
    coded = _CODE.match(words)
    code, arguments = (coded[1].upper(), (coded[2] or "").strip(" ")) if coded else ("", "")
    return StatusLine(Status(found[1].decode().upper()), words, code, arguments)


def text(octets: bytes) -> str:
    """A server's words, for people."""
    return octets.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal within a response. `octets` is None where they were handed on as they came."""

    octets: bytes | None


Piece = bytes | Literal
"""A response is text with literals in between. The text does not hold their sizes."""


class Streamed(Enum):
    """A value whose octets were handed on as they came."""

    VALUE = "streamed"


Value = bytes | None | Streamed | list["Value"]
"""An atom, number or string as octets; NIL; a streamed literal; or a parenthesized list."""


class _Bracket(Enum):
    OPEN = b"("
    CLOSE = b")"


# A token, blanks before it: "(" or ")", a quoted string, or an atom. Names like BODY[]<0> are atoms here, and so are keywords with
# braces, which servers send.
_TOKEN = re.compile(rb' *(?:([()])|"((?:[^"\\\r\n]|\\.)*)"|([^ ()"][^ ()"]*))')


def values(pieces: Sequence[Piece]) -> list[Value]:
    """The values of a response. A list may end too early (Xeams): what follows belongs to it. Raises RemoteProtocolError."""
    stack: list[list[Value]] = [[]]
    for token in _tokens(pieces):
        if token is _Bracket.OPEN:
            stack.append([])
        elif token is _Bracket.CLOSE:
            if len(stack) > 1:
                done = stack.pop()
                stack[-1].append(done)
            elif not any(isinstance(value, list) for value in stack[0]):
                raise RemoteProtocolError("a list ends that did not begin")
        else:
            stack[-1].append(token)
        if len(stack) > _DEPTH_MAX:
            raise RemoteProtocolError("lists too deep")
    if len(stack) > 1:
        raise RemoteProtocolError("a list does not end")
    return stack[0]


def _tokens(pieces: Sequence[Piece]) -> Iterator[_Bracket | bytes | Streamed | None]:
    for piece in pieces:
        if isinstance(piece, Literal):
            yield Streamed.VALUE if piece.octets is None else piece.octets
            continue
        line, position = piece.rstrip(b" "), 0
        while position < len(line):
            found = _TOKEN.match(line, position)
            if found is None:
                raise RemoteProtocolError(f"not an IMAP response: {text(line)}")
            position = found.end()
            bracket, quoted, atom = found.groups()
            if bracket is not None:
                yield _Bracket(bracket)
            elif quoted is not None:
                yield re.sub(rb"\\(.)", rb"\1", quoted)
            else:
                yield None if atom.upper() == b"NIL" else atom


Items = Mapping[bytes, Value]
"""The data items of an answer to FETCH, by their names in upper case."""


def data_items(pieces: Sequence[Piece]) -> Items:
    """The pairs of an answer to FETCH behind its name (RFC 3501 section 7.4.2). Raises RemoteProtocolError."""
    match pieces:
        case [bytes(line)] if (items := _plain_items(line)) is not None:
            return items
        case [bytes(before), Literal(None), b")"] if letter := _LETTER.fullmatch(before):
            return {b"UID": letter[1], letter[2].upper(): Streamed.VALUE}
    match values(pieces):
        case [list(pairs), *behind] if len(pairs) % 2 == 0 or pairs[-1] in _BODIES:
            each = iter([*pairs, None] if len(pairs) % 2 else [*pairs, *behind])
            named = zip(each, each, strict=False)
            return {name.upper(): value for name, value in named if isinstance(name, bytes)}
        case _:
            raise RemoteProtocolError("not an answer to FETCH")


# How most servers send a letter.
_LETTER = re.compile(rb"\(UID ([0-9]{1,10}) (BODY\[(?:HEADER)?\])", re.IGNORECASE)

_BODIES: tuple[Value, ...] = (b"BODY[]", b"BODY[HEADER]")
"""Some servers send such a name and no value when they have lost the letter."""

# (?<![^ ]): nowhere within a word, or a long word would be tried from each of its octets on.
_PAIR = re.compile(rb'(?<![^ ])([^ ()"{}]+) (\([^()"{]*\)|"[^"\\]*"|[^ ()"{}]+)(?: |\Z)')


def _plain_items(line: bytes) -> Items | None:
    """The same for a line as listings are full of, five times as fast; None for any other."""
    inner = line[1:-1]
    pairs = _PAIR.findall(inner)
    if line[:1] + line[-1:] != b"()" or sum(len(name) + len(value) + 2 for name, value in pairs) != len(inner) + 1:
        return None
    items = {name.upper(): _plain_value(value) for name, value in pairs}
    return None if b"NIL" in items else items


def _plain_value(value: bytes) -> Value:
    first = value[:1]
    if first == b"(":
        return [None if flag.upper() == b"NIL" else flag for flag in value[1:-1].split(b" ") if flag]
    if first == b'"':
        return value[1:-1]
    return None if value.upper() == b"NIL" else value


def uid_of(items: Items) -> int | None:
    """The letter's UID, None where the answer names none. Raises RemoteProtocolError for a UID that is no number."""
    uid = items.get(b"UID")
    if uid is None:
        return None
    if not isinstance(uid, bytes) or not uid.isdigit() or len(uid) > 10:
        raise RemoteProtocolError("a UID that is no number")
    return int(uid)


# Some servers print RFC822.SIZE as a float.
_NUMBER = re.compile(rb"[0-9]{1,19}|[0-9]{1,9}(?:\.[0-9]{1,9})?[eE]\+?[0-9]{1,2}")


def number(value: Value) -> int | None:
    """A number of octets or letters; None if it is none."""
    if not isinstance(value, bytes) or not _NUMBER.fullmatch(value):
        return None
    return min(int(value) if value.isdigit() else int(float(value)), _SIZE_MAX)


def flags_of(items: Items) -> frozenset[bytes]:
    """In lower case."""
    flags = items.get(b"FLAGS")
    return (
        frozenset(flag.lower() for flag in flags if isinstance(flag, bytes)) if isinstance(flags, list) else frozenset()
    )


_MONTHS = {
    name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
_DATE = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


def internal_date(value: Value) -> datetime | None:
    """INTERNALDATE as a time; None if it is none."""
    found = _DATE.fullmatch(value) if isinstance(value, bytes) else None
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    try:
        zone, month_number = _zone(sign, hours, minutes), _MONTHS[month.lower()]
        local = datetime(int(year), month_number, int(day), int(hour), int(minute), int(second), tzinfo=zone)
        return local.astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def _zone(sign: bytes, hours: bytes, minutes: bytes) -> timezone:
    return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == b"-" else 1))


def uid_set(uids: Iterable[int]) -> str:
    """A sequence set of these: 1:3,5."""
    runs: list[list[int]] = []
    for uid in sorted(set(uids)):
        if runs and runs[-1][1] == uid - 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that can be selected: its `name` as people write it, and as the server spells it. `use`: its special one."""

    name: str
    spelled: str
    delimiter: str = ""
    use: str = ""


_USES = {f"\\{use.lower()}".encode(): use for use in ("Junk", "Sent", "Trash", "Drafts", "Archive")}
"""The special uses of folders (RFC 6154), called as the folders are in most mailboxes."""
_NOT_SELECTABLE = frozenset({b"\\noselect", b"\\nonexistent"})


def folder(listed: Sequence[Value]) -> Folder | None:
    """The folder of one answer to LIST (RFC 3501 section 7.2.2); None if it cannot be selected. Raises RemoteProtocolError."""
    match listed:
        case [list(attributes), delimiter, bytes(name), *_]:
            said = {one.lower() for one in attributes if isinstance(one, bytes)}
            if not _NOT_SELECTABLE.isdisjoint(said):
                return None
            spelled = name.decode("utf-8", "surrogateescape")
            between = text(delimiter) if isinstance(delimiter, bytes) else ""
            use = next((_USES[one] for one in said if one in _USES), "")
            return Folder(decode_folder(text(name)), spelled, between, use)
        case _:
            raise RemoteProtocolError("not an answer to LIST")
