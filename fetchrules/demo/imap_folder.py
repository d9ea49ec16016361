"""The folder that an IMAP session has selected, as its client knows it: FETCH, STORE, SEARCH, EXPUNGE (RFC 3501 §6.4).

Letters have no MIME structure here: ENVELOPE, BODYSTRUCTURE and the numbers of parts get NO. SEARCH knows flags and UIDs.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fetchrules.demo.maildrop import DELETED, FLAGGED, SEEN, Folder, Held, LetterGone
from fetchrules.demo.server import Bad, Refusal

Token = str | list["Token"]
"""An atom or string, or a parenthesized list."""

DEPTH_MAX = 20

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


def quoted(text: str) -> str:
    """A quoted string. `text` has no CR or LF."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def flag_list(flags: Iterable[str]) -> bytes:
    return f"({' '.join(sorted(flags))})".encode()


FLAGS = ("\\Answered", FLAGGED, DELETED, SEEN, "\\Draft")
_CANONICAL = {flag.lower(): flag for flag in FLAGS}
_SEARCH_KEYS = {flag[1:].upper(): flag for flag in FLAGS}
_KEYWORD = re.compile(r"[^\x00-\x20(){%*\"\\\]\x7f-\U0010ffff]+")
_STORE = re.compile(r"([+-]?)FLAGS(\.SILENT)?", re.IGNORECASE)

_OF_LETTER: dict[str, Callable[[Held], bytes]] = {
    "UID": lambda letter: b"%d" % letter.uid,
    "FLAGS": lambda letter: flag_list(letter.flags),
    "INTERNALDATE": lambda letter: f'"{letter.received:%d-%b-%Y %H:%M:%S %z}"'.encode(),
    "RFC822.SIZE": lambda letter: b"%d" % letter.size,
}
_OLD_NAMES = {"RFC822": "BODY[]", "RFC822.HEADER": "BODY.PEEK[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}
_NOT_KNOWN = {"ENVELOPE", "BODY", "BODYSTRUCTURE", "ALL", "FULL", "FAST"}
_BODY = re.compile(r"BODY(\.PEEK)?\[([^\]\x00-\x1f]*)\](?:<(\d{1,10})\.([1-9]\d{0,9})>)?", re.IGNORECASE | re.ASCII)
_FIELDS = re.compile(r"HEADER\.FIELDS \(([^()]+)\)", re.IGNORECASE)
_FIELD = re.compile(rb"([^:\s]+)[ \t]*:.*\n(?:[ \t].*\n)*")


@dataclass(frozen=True, slots=True)
class Item:
    """A data item of FETCH. `cut` takes it from a letter's text; None: the text is not needed."""

    name: str
    cut: Callable[[bytes], bytes] | None = None
    marks_seen: bool = False


class SelectedFolder:
    """A letter's number is its place among those that the client has been told of; only `news` changes them.

    Commands return untagged responses, without `* ` and the last CRLF. They raise Bad, and Refusal.
    """

    def __init__(self, folder: Folder, *, read_only: bool) -> None:
        self.read_only = read_only
        self._folder = folder
        self._known = {letter.uid: letter for letter in folder.scan()}

    def opened(self) -> Iterator[bytes]:
        """The responses to SELECT and EXAMINE (RFC 3501 §6.3.1)."""
        uidnext = max(self._folder.uidnext, *(uid + 1 for uid in self._known), 1)  # letters arrive even now
        unseen = next((number for number, letter in self._numbered() if SEEN not in letter.flags), None)
        yield b"FLAGS " + flag_list({*FLAGS}.union(*(letter.flags for letter in self._known.values())))
        yield b"%d EXISTS" % len(self._known)
        yield b"0 RECENT"
        if unseen:
            yield b"OK [UNSEEN %d] the first unread letter" % unseen
        yield b"OK [PERMANENTFLAGS %s] what can be changed" % flag_list(() if self.read_only else (*FLAGS, "\\*"))
        yield b"OK [UIDNEXT %d] the next UID" % uidnext
        yield b"OK [UIDVALIDITY %d] UIDs are valid" % self._folder.uidvalidity

    def news(self, *, renumber: bool) -> Iterator[bytes]:
        """Changes since the last response. Letters that have gone keep their numbers unless `renumber`."""
        present = {letter.uid: letter for letter in self._folder.scan()}
        if renumber:
            gone = [number for number, letter in self._numbered() if letter.uid not in present]
            yield from (b"%d EXPUNGE" % number for number in reversed(gone))
            self._known = {uid: letter for uid, letter in self._known.items() if uid in present}
        before = self._known
        self._known = {**before, **present}
        if len(self._known) > len(before):
            yield b"%d EXISTS" % len(self._known)
        for number, letter in self._numbered():
            if letter.uid in before and letter.flags != before[letter.uid].flags:
                yield _flags_of(number, letter)

    def fetch(self, numbers: str, asked: Token, *, by_uid: bool) -> Iterator[bytes]:
        items = [_item(name) for name in (asked if isinstance(asked, list) else [asked])]
        if by_uid and "UID" not in (item.name for item in items):
            items.insert(0, Item("UID"))
        gone, read = False, set()
        for number, letter in self.choose(numbers, by_uid=by_uid):
            try:
                yield self.fetched(number, letter, items)
                read.add(letter.uid)
            except LetterGone:
                gone = True
        if any(item.marks_seen for item in items) and not self.read_only:
            self._folder.change_flags(read, lambda flags: flags | {SEEN})
        if gone and not by_uid:
            raise Refusal("[EXPUNGEISSUED] some of these letters have gone")

    def fetched(self, number: int, letter: Held, items: Sequence[Item]) -> bytes:
        """The response for one letter. Raises LetterGone."""
        text = self.text(letter) if any(item.cut for item in items) else b""
        values = (_literal(item.cut(text)) if item.cut else _OF_LETTER[item.name](letter) for item in items)
        named = (item.name.encode() + b" " + value for item, value in zip(items, values, strict=True))
        return b"%d FETCH (%s)" % (number, b" ".join(named))

    def text(self, letter: Held) -> bytes:
        return self._folder.read(letter)

    def store(self, numbers: str, name: str, given: Sequence[Token], *, by_uid: bool) -> Iterator[bytes]:
        how = _STORE.fullmatch(name)
        if how is None:
            raise Bad("no such data item")
        self._refuse_if_read_only()
        flags = frozenset(map(_flag, given[0] if len(given) == 1 and isinstance(given[0], list) else given))
        uids = {letter.uid for _, letter in self.choose(numbers, by_uid=by_uid)}
        match how[1]:
            case "+":
                self._folder.change_flags(uids, lambda have: have | flags)
            case "-":
                self._folder.change_flags(uids, lambda have: have - flags)
            case _:
                self._folder.change_flags(uids, lambda _: flags)
        self._known |= {letter.uid: letter for letter in self._folder.scan() if letter.uid in uids}
        if not how[2]:
            yield from (_flags_of(number, letter) for number, letter in self._numbered() if letter.uid in uids)

    def search(self, keys: Sequence[Token], *, by_uid: bool) -> Iterator[bytes]:
        uids, wanted = "1:*", list[tuple[str, bool]]()
        words = iter(strings(keys, len(keys)))
        if not keys:
            raise Bad("search keys are expected")
        for word in words:
            key, negated = word.upper(), False
            while key == "NOT":
                key, negated = next(words, "").upper(), not negated
            flag = _SEARCH_KEYS.get(key.removeprefix("UN"))
            if flag:
                wanted.append((flag, key.startswith("UN") is negated))
            elif key == "UID":
                uids = next(words, "")
            elif key != "ALL":
                raise Refusal("[CANNOT] this server looks for flags and UIDs only")
        letters = self.choose(uids, by_uid=True)
        found = [one for one in letters if all((flag in one[1].flags) is there for flag, there in wanted)]
        yield b" ".join([b"SEARCH", *(b"%d" % (letter.uid if by_uid else number) for number, letter in found)])

    def expunge(self, uids: str | None = None) -> Sequence[bytes]:
        """EXPUNGE, and UID EXPUNGE (RFC 4315). `news` tells the client what has gone."""
        self._refuse_if_read_only()
        named = self._known if uids is None else {letter.uid for _, letter in self.choose(uids, by_uid=True)}
        self._folder.remove([one for one in self._folder.scan() if one.uid in named and DELETED in one.flags])
        return ()

    def choose(self, numbers: str, *, by_uid: bool) -> list[tuple[int, Held]]:
        """The letters that a sequence set names, and their numbers. A UID need not exist, a number must."""
        among = list(self._known) if by_uid else range(1, len(self._known) + 1)
        wanted = chosen(numbers, among)
        if not by_uid:
            self.check(numbers)
        return [(number, one) for number, one in self._numbered() if (one.uid if by_uid else number) in wanted]

    def check(self, numbers: str) -> None:
        """Raises Bad if they name a letter that does not exist."""
        if any(int(number) > len(self._known) for number in re.findall(r"\d+", numbers)):
            raise Bad("there is no letter of that number")

    def _refuse_if_read_only(self) -> None:
        if self.read_only:
            raise Refusal("[READ-ONLY] the folder was opened by EXAMINE")

    def _numbered(self) -> Iterator[tuple[int, Held]]:
        return enumerate(self._known.values(), start=1)


def _item(asked: Token) -> Item:
    if not isinstance(asked, str):
        raise Bad("a list within the list of items")
    name = asked.upper()
    if name in _OF_LETTER:
        return Item(name)
    if name in _NOT_KNOWN:
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
            return _header
        case "TEXT":
            return lambda text: text[len(_header(text)) :]
    found = _FIELDS.fullmatch(section)
    if found is None:
        raise Refusal("[CANNOT] this server does not look into the parts of its letters")
    wanted = {name.lower().encode() for name in tokens(found[1]) if isinstance(name, str)}
    return lambda text: b"".join(m[0] for m in _FIELD.finditer(_header(text)) if m[1].lower() in wanted) + b"\r\n"


def _header(text: bytes) -> bytes:
    """With the blank line that ends it."""
    head, blank, _ = text.partition(b"\r\n\r\n")
    return head + blank


def _literal(octets: bytes) -> bytes:
    return b"{%d}\r\n" % len(octets) + octets


def _flags_of(number: int, letter: Held) -> bytes:
    return b"%d FETCH (UID %d FLAGS %s)" % (number, letter.uid, flag_list(letter.flags))


def _flag(token: Token) -> str:
    """The flag in its canonical spelling. Raises Bad."""
    if isinstance(token, str) and (token.lower() in _CANONICAL or _KEYWORD.fullmatch(token)):
        return _CANONICAL.get(token.lower(), token)
    raise Bad("not a flag that can be set")
