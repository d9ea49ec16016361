"""Letters in any order and dialect, with anything in between: each comes as itself, or not at all, and each is told of once."""

import re
from collections import Counter
from random import Random

import pytest

from fetchrules.remote.mailbox import Begun, Chunk, Complete, Gone, Refused
from tests.remote.imap.sessions import visit
from tests.servers.faults import Alter, Fault
from tests.servers.imap import Behaviour, Step
from tests.servers.maildrop import letter

LETTERS = (
    letter("one"),
    b"",
    b"short",
    b")\r\nA9 OK\r\n",
    b"* 1 FETCH (UID 2 BODY[] {5}\r\nhello)\r\n",
    letter("six", 5000),
    b"\r\n\r\n",
    b"UID 3 {3}\r\n",
    bytes(range(256)),
    letter("ten", 20_000),
)
_LETTER = re.compile(rb"(?s)\* (\d+) FETCH \(UID (\d+) (BODY\[\]|BODY\[HEADER\]) (\{\d+\}\r\n.*)\)\r\n\Z")
_NEWS = (
    b"",
    b"* 12 EXISTS\r\n",
    b"* OK still here\r\n",
    b"* 3 FETCH (UID 3 FLAGS (\\Seen))\r\n",
    b"* 2 FETCH (FLAGS ())\r\n",
    b"* 99 FETCH (UID 99 BODY[] {6}\r\nnobody)\r\n",
    b"* 1 EXPUNGE\r\n",
    b"* LIST () NIL x\r\n",
)
_FORMS = (
    b"* %(n)d FETCH (UID %(uid)d %(item)s %(literal)s)\r\n",
    b"* %(n)d FETCH (UID %(uid)d FLAGS (\\Seen x) %(item)s %(literal)s X-A (1 NIL))\r\n",
    b"* %(n)d FETCH (%(item)s %(literal)s UID %(uid)d)\r\n",
    b"* %(n)d fetch (uid %(uid)d   %(item)s   %(literal)s )\r\n",
    b"* %(n)d FETCH (UID %(uid)d %(item)s %(literal)s\r\n)\r\n",
    b"* %(n)d FETCH (UID %(uid)d %(item)s %(literal)s)\r\n FLAGS (\\Seen) RFC822.SIZE 7)\r\n",
    b"* %(n)d FETCH (%(item)s %(literal)s) UID %(uid)d)\r\n",
    b"* %(n)d FETCH (%(item)s %(literal)s)\r\n",
    b"* %(n)d FETCH (UID %(uid)d)\r\n* %(n)d FETCH (UID %(uid)d %(item)s %(literal)s)\r\n",
)
_LOST = (b"* %(n)d FETCH (UID %(uid)d %(item)s NIL)\r\n", b"* %(n)d FETCH (UID %(uid)d %(item)s )\r\n", b"")


class MixedUp:
    """Answers to FETCH that come late, among each other, and in odd forms. `loses`: some letters, or the word that all is well."""

    def __init__(self, seed: int, *, loses: bool) -> None:
        self._random = Random(seed)
        self._loses = loses
        self._held: list[bytes] = []
        self._ends: list[bytes] = []
        self._to_come = len(LETTERS)

    def __call__(self, answer: bytes) -> bytes:
        untagged, end = re.fullmatch(rb"(?s)(.*?)([A-Z]\d+ [A-Z]+[^\r\n]*\r\n)", answer).groups()  # type: ignore[union-attr]
        self._held += [self._mangled(untagged), self._random.choice(_NEWS)]
        self._ends.append(
            re.sub(rb"OK[^\r]*", self._random.choice((b"NO no", b"BAD no", b"OK")), end) if self._errs() else end
        )
        self._to_come -= 1
        if self._to_come > 0 and self._random.random() < 0.7:
            return b""
        self._random.shuffle(self._held)
        self._random.shuffle(self._ends)
        said = b"".join(self._held + self._ends)
        self._held, self._ends = [], []
        return said

    def _errs(self) -> bool:
        return self._loses and self._random.random() < 0.2

    def _mangled(self, untagged: bytes) -> bytes:
        found = _LETTER.fullmatch(untagged)
        if found is None:
            return untagged
        form = self._random.choice(_LOST if self._errs() else _FORMS)
        values = {b"n": int(found[1]), b"uid": int(found[2]), b"item": found[3], b"literal": found[4]}
        told = form % values if form else b""
        return told * self._random.choice((1, 1, 1, 2))


@pytest.mark.parametrize("loses", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_it_brings_each_letter_as_itself_or_not_at_all(seed: int, *, loses: bool) -> None:
    mixed = Fault(Step.FETCH, Alter(MixedUp(seed, loses=loses)), nth=0)
    with visit(Behaviour(faults=(mixed,)), letters=LETTERS) as visited:
        told, data = Counter[int](), b""
        for event in visited.mailbox.retrieve(visited.letters):
            match event:
                case Begun():
                    data = b""
                case Chunk(_, octets):
                    data += octets
                case Complete(one):
                    assert data == LETTERS[one.number - 1]
                    told[one.number] += 1
                case Refused(one) | Gone(one):
                    assert loses
                    told[one.number] += 1
        assert told == Counter(range(1, len(LETTERS) + 1))
        assert visited.mailbox.quit()


@pytest.mark.parametrize("loses", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_it_brings_each_header_as_itself_or_not_at_all(seed: int, *, loses: bool) -> None:
    mixed = Fault(Step.FETCH, Alter(MixedUp(seed, loses=loses)), nth=0)
    letters = tuple(letter(str(number), 500) for number in range(len(LETTERS)))
    with visit(Behaviour(faults=(mixed,)), letters=letters) as visited:
        told = {one.number: head for one, head in visited.mailbox.heads(visited.letters)}
        assert sorted(told) == list(range(1, len(LETTERS) + 1))
        for number, head in told.items():
            assert head == letters[number - 1].partition(b"\r\n\r\n")[0] + b"\r\n\r\n" or (loses and head is None)
        assert visited.mailbox.quit()
