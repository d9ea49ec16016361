"""What FETCH may ask of a letter (RFC 3501 §6.4.5): its data, its text, and parts of its text.

The MIME structure is not among it: ENVELOPE, BODYSTRUCTURE and the numbers of parts get NO.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from fetchrules.demo.imap.syntax import Bad, Refusal, Token, date_time, flag_list, literal, tokens
from fetchrules.demo.maildrop import Held

_OF_LETTER: dict[str, Callable[[Held], bytes]] = {
    "UID": lambda letter: b"%d" % letter.uid,
    "FLAGS": lambda letter: flag_list(letter.flags),
    "INTERNALDATE": lambda letter: date_time(letter.received),
    "RFC822.SIZE": lambda letter: b"%d" % letter.size,
}
_FAST = ("FLAGS", "INTERNALDATE", "RFC822.SIZE")
_OLD_NAMES = {"RFC822": "BODY[]", "RFC822.HEADER": "BODY.PEEK[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}
_STRUCTURE = {"ENVELOPE", "BODY", "BODYSTRUCTURE", "ALL", "FULL"}

_BODY = re.compile(r"BODY(\.PEEK)?\[([^\]\x00-\x1f]*)\](?:<(\d{1,10})\.([1-9]\d{0,9})>)?", re.IGNORECASE | re.ASCII)
_FIELDS = re.compile(r"HEADER\.FIELDS(\.NOT)? \(([^()]+)\)", re.IGNORECASE)
_FIELD = re.compile(rb"([^:\s]+)[ \t]*:.*\n(?:[ \t].*\n)*")


@dataclass(frozen=True, slots=True)
class Item:
    """One data item. `cut` makes what was asked for of a letter's text; None: the text is not needed."""

    name: str
    cut: Callable[[bytes], bytes] | None = None
    marks_seen: bool = False

    def shown(self, letter: Held, read: Callable[[], bytes]) -> bytes:
        """Its name and value."""
        value = _OF_LETTER[self.name](letter) if self.cut is None else literal(self.cut(read()))
        return self.name.encode() + b" " + value


def items(asked: Token) -> list[Item]:
    """What the client asks for. Raises Bad, and Refusal for what this server does not know of its letters."""
    if isinstance(asked, list):
        return [_item(name) for name in asked]
    return [Item(name) for name in _FAST] if asked.upper() == "FAST" else [_item(asked)]


def _item(asked: Token) -> Item:
    if not isinstance(asked, str):
        raise Bad("a list within the list of items")
    name = asked.upper()
    if name in _OF_LETTER:
        return Item(name)
    if name in _STRUCTURE:
        raise Refusal("[CANNOT] this server does not look into the structure of its letters")
    found = _BODY.fullmatch(_OLD_NAMES.get(name, asked))
    if found is None:
        raise Bad("no such data item")
    peek, section, start, size = found.groups()
    of_section = _section(section)
    if start is None:
        return Item(name if name in _OLD_NAMES else f"BODY[{section}]", of_section, marks_seen=not peek)
    first, end = int(start), int(start) + int(size)
    return Item(f"BODY[{section}]<{first}>", lambda text: of_section(text)[first:end], marks_seen=not peek)


def _section(section: str) -> Callable[[bytes], bytes]:
    match section.upper():
        case "":
            return lambda text: text
        case "HEADER":
            return header
        case "TEXT":
            return lambda text: text[len(header(text)) :]
    found = _FIELDS.fullmatch(section)
    if found is None:
        raise Refusal("[CANNOT] this server does not look into the parts of its letters")
    wanted = {name.lower().encode() for name in tokens(found[2]) if isinstance(name, str)}
    return lambda text: _fields(header(text), wanted, others=bool(found[1]))


def header(text: bytes) -> bytes:
    """A letter's header with the blank line that ends it."""
    head, blank, _ = text.partition(b"\r\n\r\n")
    return head + blank


def _fields(head: bytes, wanted: set[bytes], *, others: bool) -> bytes:
    """The fields that are wanted, or all others, and the blank line (RFC 3501 §6.4.5)."""
    kept = (field[0] for field in _FIELD.finditer(head) if (field[1].lower() in wanted) is not others)
    return b"".join(kept) + b"\r\n"
