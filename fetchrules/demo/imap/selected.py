"""The folder that a session has selected, as its client knows it."""

import re
from collections.abc import Iterator, Sequence
from functools import partial

from fetchrules.demo.imap.items import Item, items
from fetchrules.demo.imap.search import Candidate, Criteria
from fetchrules.demo.imap.syntax import Bad, Refusal, Token, chosen, flag_list
from fetchrules.demo.maildrop import DELETED, SEEN, Held, Maildrop

_FLAGS = ("\\Answered", "\\Flagged", DELETED, SEEN, "\\Draft")
_CANONICAL = {flag.lower(): flag for flag in _FLAGS}
_KEYWORD = re.compile(r"[^\x00-\x20(){%*\"\\\]\x7f-\U0010ffff]+")
_STORE = re.compile(r"([+-]?)FLAGS(\.SILENT)?", re.IGNORECASE)


class Selected:
    """A letter's number is its place among those that the client has been told of; only `news` changes them.

    Every method gives the untagged responses, without the last CRLF.
    """

    def __init__(self, maildrop: Maildrop, *, read_only: bool) -> None:
        self.read_only = read_only
        self._maildrop = maildrop
        self._index = maildrop.index()
        self._known = {letter.uid: letter for letter in maildrop.letters()}

    def opening(self) -> Iterator[bytes]:
        """What SELECT and EXAMINE tell (RFC 3501 §6.3.1)."""
        uidnext = max(self._index.uidnext, *(uid + 1 for uid in self._known), 1)  # letters arrive even now
        unseen = next((number for number, letter in self._numbered() if SEEN not in letter.flags), None)
        yield b"FLAGS " + flag_list({*_FLAGS}.union(*(letter.flags for letter in self._known.values())))
        yield b"%d EXISTS" % len(self._known)
        yield b"0 RECENT"
        if unseen:
            yield b"OK [UNSEEN %d] the first unread letter" % unseen
        yield b"OK [PERMANENTFLAGS %s] what can be changed" % flag_list(() if self.read_only else (*_FLAGS, "\\*"))
        yield b"OK [UIDNEXT %d] the next UID" % uidnext
        yield b"OK [UIDVALIDITY %d] UIDs are valid" % self._index.uidvalidity

    def news(self, *, renumber: bool) -> Iterator[bytes]:
        """What has happened since the client was told last. Letters that have gone keep their numbers unless `renumber`."""
        present = {letter.uid: letter for letter in self._maildrop.letters()}
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
        """FETCH. Raises Bad, and Refusal when letters asked for by their numbers have gone."""
        wanted = items(asked)
        if by_uid and "UID" not in (item.name for item in wanted):
            wanted.insert(0, Item("UID"))
        gone, read = False, set()
        for number, letter in self._chosen(numbers, by_uid):
            try:
                yield self._fetched(number, letter, wanted)
                read.add(letter.uid)
            except FileNotFoundError:
                gone = True
        if any(item.marks_seen for item in wanted) and not self.read_only:
            self._maildrop.flag(read, lambda flags: flags | {SEEN})
        if gone and not by_uid:
            raise Refusal("[EXPUNGEISSUED] some of these letters have gone")

    def _fetched(self, number: int, letter: Held, wanted: Sequence[Item]) -> bytes:
        read = partial(self._maildrop.read, letter.unique_id)
        return b"%d FETCH (%s)" % (number, b" ".join(item.shown(letter, read) for item in wanted))

    def store(self, numbers: str, name: str, given: Sequence[Token], *, by_uid: bool) -> Iterator[bytes]:
        """STORE. Raises Bad, and Refusal where the folder may only be read."""
        how = _STORE.fullmatch(name)
        if how is None:
            raise Bad("no such data item")
        self._refuse_if_read_only()
        flags = frozenset(map(_flag, given[0] if len(given) == 1 and isinstance(given[0], list) else given))
        uids = {letter.uid for _, letter in self._chosen(numbers, by_uid)}
        match how[1]:
            case "+":
                self._maildrop.flag(uids, lambda have: have | flags)
            case "-":
                self._maildrop.flag(uids, lambda have: have - flags)
            case _:
                self._maildrop.flag(uids, lambda _: flags)
        self._known |= {letter.uid: letter for letter in self._maildrop.letters() if letter.uid in uids}
        if not how[2]:
            yield from (_flags_of(number, letter) for number, letter in self._numbered() if letter.uid in uids)

    def search(self, keys: Sequence[Token], *, by_uid: bool) -> bytes:
        """SEARCH. Raises Bad."""
        criteria = Criteria(keys, range(1, len(self._known) + 1), list(self._known))
        found = [(number, letter) for number, letter in self._numbered() if self._meets(number, letter, criteria)]
        return b" ".join([b"SEARCH", *(b"%d" % (letter.uid if by_uid else number) for number, letter in found)])

    def _meets(self, number: int, letter: Held, criteria: Criteria) -> bool:
        try:
            return criteria.met_by(Candidate(number, letter, partial(self._maildrop.read, letter.unique_id)))
        except FileNotFoundError:
            return False

    def expunge(self, uids: str | None = None) -> None:
        """EXPUNGE, and UID EXPUNGE (RFC 4315); `news` tells what went. Raises Bad, and Refusal where nothing may be changed."""
        self._refuse_if_read_only()
        self._maildrop.expunge(list(self._known) if uids is None else chosen(uids, list(self._known)))

    def _refuse_if_read_only(self) -> None:
        if self.read_only:
            raise Refusal("[READ-ONLY] the folder was opened by EXAMINE")

    def _numbered(self) -> Iterator[tuple[int, Held]]:
        return enumerate(self._known.values(), start=1)

    def _chosen(self, numbers: str, by_uid: bool) -> list[tuple[int, Held]]:
        """A UID need not exist, a number must. Raises Bad."""
        wanted = frozenset(chosen(numbers, list(self._known) if by_uid else range(1, len(self._known) + 1)))
        if not by_uid and any(int(number) > len(self._known) for number in re.findall(r"\d+", numbers)):
            raise Bad("there is no letter of that number")
        return [(number, one) for number, one in self._numbered() if (one.uid if by_uid else number) in wanted]


def _flags_of(number: int, letter: Held) -> bytes:
    return b"%d FETCH (UID %d FLAGS %s)" % (number, letter.uid, flag_list(letter.flags))


def _flag(token: Token) -> str:
    """A flag as it is kept. Raises Bad."""
    if isinstance(token, str) and (token.lower() in _CANONICAL or _KEYWORD.fullmatch(token)):
        return _CANONICAL.get(token.lower(), token)
    raise Bad("not a flag that can be set")
