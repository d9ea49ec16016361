"""What the standard library's imaplib reads in a server's answers, our machine reads too.

The answers are generated, always the same ones. imaplib cuts an answer into lines and literals; what they say is taken from them
here with regular expressions, which the generated answers never mislead.
"""

import imaplib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from time import mktime
from typing import Any

import pytest

from fetchrules.remote.imap.grammar import Items, Value, flags_of, folder, internal_date, number, uid_of
from fetchrules.remote.imap.protocol import (
    Command,
    Data,
    Event,
    Fetched,
    ImapProtocol,
    LetterBegan,
    LetterData,
    LetterEnded,
    Notice,
    Reply,
    Text,
    Verb,
)
from fetchrules.utf7 import decode_folder

ANSWERS = 10_000
CODES = ("ALERT", "UIDVALIDITY", "PERMANENTFLAGS", "READ-WRITE")


@dataclass
class Letter:
    """What an answer to FETCH tells. `body` is None where it holds none."""

    number: int
    uid: int | None = None
    size: int | None = None
    flags: frozenset[bytes] = frozenset()
    received: float | None = None
    body: bytes | None = None


@dataclass
class Told:
    """What an answer comes to."""

    status: str = ""
    text: str = ""
    letters: list[Letter] = field(default_factory=list)
    folders: list[tuple[str, str]] = field(default_factory=list)
    found: list[int] = field(default_factory=list)
    numbers: list[tuple[str, int]] = field(default_factory=list)
    codes: list[tuple[str, str]] = field(default_factory=list)


class Answers:
    """Answers of a server, always the same ones for a seed. {tag} stands for the tag."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def next(self) -> tuple[Verb, bytes]:
        kind = self._random.choices((Verb.UID_FETCH, Verb.LIST, Verb.UID_SEARCH), (6, 1, 1))[0]
        lines: list[bytes] = []
        for _ in range(self._random.randrange(4)):
            lines += self._news()
            match kind:
                case Verb.UID_FETCH:
                    lines.append(b"* %d FETCH (%s)\r\n" % (self._number(), self._items()))
                case Verb.LIST:
                    lines.append(
                        b"* LIST (%s) %s %s\r\n" % (self._flags(), self._delimiter(), self._string(self._name()))
                    )
                case _:
                    lines.append(
                        b" ".join([b"* SEARCH", *(b"%d" % self._number() for _ in range(self._few()))]) + b"\r\n"
                    )
        return kind, b"".join(
            [*lines, *self._news(), b"{tag} ", self._pick(b"OK", b"OK", b"NO", b"BAD"), self._words()]
        )

    def cut(self, octets: bytes) -> Iterator[bytes]:
        middle = self._random.randrange(len(octets))
        yield octets[:middle]
        yield octets[middle:]

    def _pick(self, *among: bytes) -> bytes:
        return self._random.choice(among)

    def _few(self) -> int:
        return self._random.randrange(4)

    def _number(self) -> int:
        return self._random.choice((1, 7, 953, 2**31, 2**32 - 1, self._random.randrange(1, 10**6)))

    def _words(self) -> bytes:
        code = self._pick(
            b"", b"", b"[ALERT] ", b"[UIDVALIDITY 5] ", b"[PERMANENTFLAGS (\\Seen \\*)] ", b"[READ-WRITE] "
        )
        return b" " + code + self._pick(b"done", b"a (b) \xd1\x8f", b"x  y") + b"\r\n"

    def _news(self) -> list[bytes]:
        news = (b"* %d EXISTS", b"* %d EXPUNGE", b"* %d RECENT", b"* FLAGS (\\Seen)", b"* OK", b"* NO", b"* BAD")
        line = self._random.choice(news)
        line = line % self._number() if b"%d" in line else line
        ending = self._words() if line[2:] in (b"OK", b"NO", b"BAD") else b"\r\n"
        return [line + ending] if self._random.random() < 0.3 else []

    def _flags(self) -> bytes:
        among = (
            b"\\Seen",
            b"\\Deleted",
            b"\\Answered",
            b"$Forwarded",
            b"NonJunk",
            b"\\Recent",
            b"x-1",
            b"\\HasNoChildren",
        )
        return b" ".join(self._random.sample(among, self._few()))

    def _octets(self, alphabet: bytes, most: int) -> bytes:
        return bytes(self._random.choices(alphabet, k=self._random.choice((0, 1, 3, self._random.randrange(most)))))

    def _literal(self, octets: bytes) -> bytes:
        return b"{%d}\r\n%s" % (len(octets), octets)

    def _quoted(self, octets: bytes) -> bytes:
        return b'"%s"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')

    def _string(self, octets: bytes) -> bytes:
        atom = octets if re.fullmatch(rb"[A-Za-z0-9./&,-]+", octets) and octets != b"NIL" else self._quoted(octets)
        return self._random.choice((atom, self._quoted(octets), self._literal(octets)))

    def _name(self) -> bytes:
        return self._pick(
            b"INBOX", b"INBOX.a", b"NIL", b"&BBAEQARFBDgEMg-", b"AT&-T", b"Sent Items", b'a "b\\c" (d)', b"x{3}"
        )

    def _delimiter(self) -> bytes:
        return self._pick(b"NIL", b'"/"', b'"."')

    def _items(self) -> bytes:
        body = self._random.choice(
            (
                self._literal(self._octets(bytes(range(256)), 200)),
                self._literal(self._octets(b'a)(\r\n{}* "\\', 200)),
                self._quoted(self._octets(b'ab (){}<>\\"%*', 20)),
                b"NIL",
            )
        )
        date = (self._random.randrange(1, 29), self._pick(b"Jan", b"Jul", b"Dec"), self._random.randrange(1990, 2030))
        items = [
            b"UID %d" % self._number(),
            b"FLAGS (%s)" % self._flags(),
            b"RFC822.SIZE %d" % self._number(),
            b'INTERNALDATE "%2d-%s-%d 02:44:25 %s"' % (*date, self._pick(b"-0700", b"+0000", b"+0530")),
            b"BODY[] " + body,
            b"X-A (1 (b) NIL)",
        ]
        self._random.shuffle(items)
        return b" ".join(items[: self._random.randrange(1, 7)])


class Imaplib(imaplib.IMAP4):
    """imaplib on octets in memory."""

    answer = b""

    def open(self, *_: object) -> None:
        self._octets = b"* OK ready\r\n"

    def send(self, data: bytes) -> None:  # type: ignore[override]
        tag = bytes(data).split()[0]
        self._octets += (self.answer or b"* CAPABILITY IMAP4REV1\r\n{tag} OK done\r\n").replace(b"{tag}", tag)

    def read(self, size: int) -> bytes:
        octets, self._octets = self._octets[:size], self._octets[size:]
        return octets

    def readline(self) -> bytes:
        return self.read(self._octets.index(b"\n") + 1)

    def shutdown(self) -> None:
        pass

    def _command_complete(self, _: str, tag: bytes) -> object:
        """Without raising for BAD."""
        return self._get_tagged_response(tag)


Parts = list[bytes | tuple[bytes, bytes]]


def responses(flat: Parts) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """Each response as its text, and its literals by what stands before them."""
    text, literals = b"", dict[bytes, bytes]()
    for part in flat:
        if isinstance(part, tuple):
            text += part[0]
            literals[part[0].rpartition(b" {")[0].rpartition(b" ")[2].lstrip(b"(")] = part[1]
        else:
            yield text + part, literals
            text, literals = b"", {}


def found(pattern: bytes, text: bytes) -> bytes | None:
    match = re.search(pattern, text)
    return match[1] if match else None


def unquoted(octets: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", octets)


def letter_of(text: bytes, literals: dict[bytes, bytes]) -> Letter:
    uid, size = found(rb"[( ]UID (\d+)", text), found(rb"RFC822\.SIZE (\d+)", text)
    date, quoted = found(rb'(INTERNALDATE "[^"]*")', text), found(rb'BODY\[\] "((?:[^"\\]|\\.)*)"', text)
    local = imaplib.Internaldate2tuple(date) if date else None
    return Letter(
        int(text.split()[0]),
        int(uid) if uid else None,
        int(size) if size else None,
        frozenset(flag.lower() for flag in imaplib.ParseFlags(found(rb"(FLAGS \([^)]*\))", text) or b"FLAGS ()")),
        mktime(local) if local else None,
        literals.get(b"BODY[]", unquoted(quoted) if quoted is not None else None),
    )


def folder_of(text: bytes, literals: dict[bytes, bytes]) -> tuple[str, str]:
    delimiter, name = re.match(rb'\([^)]*\) (?:NIL|"(.)") (.*)', text).groups()  # type: ignore[union-attr]
    octets = next(iter(literals.values()), unquoted(name[1:-1]) if name[:1] == b'"' else name)
    return decode_folder(octets.decode()), (delimiter or b"").decode()


def by_imaplib(client: Imaplib, kind: Verb, answer: bytes) -> Told:
    client.answer, client.untagged_responses, told = answer, {}, Told()
    told.status, (text,) = client._simple_command(*kind.split(), "1")
    told.text = text.decode()
    untagged: dict[str, list[Any]] = client.untagged_responses
    told.letters = [letter_of(*one) for one in responses(untagged.get("FETCH", []))]
    told.folders = [folder_of(*one) for one in responses(untagged.get("LIST", []))]
    told.found = [int(uid) for line in untagged.get("SEARCH", []) for uid in (line or b"").split()]
    told.numbers = [(name, int(one)) for name in ("EXISTS", "EXPUNGE") for one in untagged.get(name, [])]
    told.codes = [(code, (one or b"").decode()) for code in CODES for one in untagged.get(code, [])]
    return told


def opened() -> ImapProtocol:
    protocol = ImapProtocol()
    list(protocol.receive(b"* OK ready\r\n"))
    for command, answer in ((Command(Verb.LOGIN), b"A1 OK\r\n"), (Command(Verb.SELECT, (Text("x"),)), b"A2 OK\r\n")):
        protocol.send([command])
        list(protocol.receive(answer))
    return protocol


def events(protocol: ImapProtocol, kind: Verb, answer: bytes, answers: Answers) -> Iterator[Event]:
    """The events of an answer that comes in two pieces."""
    tag = protocol.send([Command(kind, ("1",))]).split()[0]
    for block in answers.cut(answer.replace(b"{tag}", tag)):
        yield from protocol.receive(block)


def by_us(told_of: Iterator[Event]) -> Told:
    told, body = Told(), None
    for event in told_of:
        match event:
            case LetterBegan():
                body = b""
            case LetterData(data):
                body = (body or b"") + data
            case Fetched(place, items):
                told.letters.append(_letter(place, items, body))
                body = None
            case Data(name, count, values):
                _note(told, name, count, values)
            case Notice(line) | Reply(_, line):
                told.codes += [(line.code, line.arguments)] if line.code else []
                told.status, told.text = line.status.value, line.text
            case _:
                assert isinstance(event, LetterEnded)
    told.numbers.sort(key=lambda one: one[0] == "EXPUNGE")
    told.codes.sort(key=lambda one: CODES.index(one[0]))
    return told


def _letter(place: int, items: Items, body: bytes | None) -> Letter:
    received, size = internal_date(items.get(b"INTERNALDATE")), number(items.get(b"RFC822.SIZE"))
    return Letter(place, uid_of(items), size, flags_of(items), received.timestamp() if received else None, body)


def _note(told: Told, name: str, count: int | None, values: list[Value]) -> None:
    if count is not None:
        told.numbers.append((name, count))
    elif name == "LIST":
        one = folder([[], *values[1:]])
        assert one
        told.folders.append((one.name, one.delimiter))
    elif name == "SEARCH":
        told.found += [int(uid) for uid in values if isinstance(uid, bytes)]


@pytest.mark.parametrize("seed", range(4))
def test_it_reads_what_imaplib_reads(seed: int) -> None:
    answers, client, protocol = Answers(seed), Imaplib(), opened()
    client.state = "SELECTED"
    for _ in range(ANSWERS // 4):
        kind, answer = answers.next()
        theirs, ours = by_imaplib(client, kind, answer), by_us(events(protocol, kind, answer, answers))
        if kind is not Verb.UID_FETCH:
            theirs.numbers = []  # we believe them only where letters are told of
        assert ours == theirs, answer
