"""An IMAP session without I/O: commands in, octets out; octets in, events out.

The states are those of RFC 3501 section 3, and one before a TLS handshake. COMMANDS says which commands a state allows,
TRANSITIONS which answers lead to another state. `state` is where the answered commands have led, and `_ahead` where the session
will be if every unanswered command succeeds. A command is checked against `_ahead`, so that FETCH may follow a SELECT that is
still unanswered.

A server may send untagged data at any time (RFC 3501 section 2.2.2). Data becomes an event only while a command is unanswered
that asks for it (BELIEVED); other data is counted and dropped. Letters and headers are handed on as they come and never held whole;
the rest of an answer has a limit in octets and lines, which grows with the number of letters that its command names.

Servers may answer commands in another order than they were sent, and letters in another order than they were asked for.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.remote.imap.grammar import (
    Items,
    Literal,
    Piece,
    Status,
    StatusLine,
    Value,
    data_items,
    status_line,
    text,
    uid_of,
    values,
)
from fetchrules.remote.transcript import MASKED


class Verb(StrEnum):
    CAPABILITY = "CAPABILITY"
    STARTTLS = "STARTTLS"
    LOGIN = "LOGIN"
    AUTHENTICATE = "AUTHENTICATE"
    ID = "ID"  # RFC 2971
    ENABLE = "ENABLE"  # RFC 5161
    NAMESPACE = "NAMESPACE"  # RFC 2342
    LIST = "LIST"
    SELECT = "SELECT"
    FETCH = "FETCH"
    UID_FETCH = "UID FETCH"
    UID_STORE = "UID STORE"
    UID_SEARCH = "UID SEARCH"
    UID_EXPUNGE = "UID EXPUNGE"  # RFC 4315
    EXPUNGE = "EXPUNGE"
    LOGOUT = "LOGOUT"


class SessionState(Enum):
    GREETING = "greeting"
    NOT_AUTHENTICATED = "not authenticated"
    TLS = "tls"
    """STARTTLS was accepted, and the handshake is next."""
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


_ANY = {Verb.CAPABILITY, Verb.ID, Verb.LOGOUT}
_AUTHENTICATED = _ANY | {Verb.ENABLE, Verb.NAMESPACE, Verb.LIST, Verb.SELECT}

# RFC 3501 section 6.
COMMANDS: dict[SessionState, frozenset[Verb]] = {
    SessionState.GREETING: frozenset(),
    SessionState.NOT_AUTHENTICATED: frozenset(_ANY | {Verb.STARTTLS, Verb.LOGIN, Verb.AUTHENTICATE}),
    SessionState.TLS: frozenset(),
    SessionState.AUTHENTICATED: frozenset(_AUTHENTICATED),
    SessionState.SELECTED: frozenset(
        _AUTHENTICATED | {Verb.FETCH, Verb.UID_FETCH, Verb.UID_STORE, Verb.UID_SEARCH, Verb.UID_EXPUNGE, Verb.EXPUNGE}
    ),
    SessionState.LOGOUT: frozenset(),
}

# Any other answer leaves the state as it is.
TRANSITIONS: dict[tuple[Verb, Status], SessionState] = {
    (Verb.STARTTLS, Status.OK): SessionState.TLS,
    (Verb.LOGIN, Status.OK): SessionState.AUTHENTICATED,
    (Verb.AUTHENTICATE, Status.OK): SessionState.AUTHENTICATED,
    (Verb.SELECT, Status.OK): SessionState.SELECTED,
    (Verb.SELECT, Status.NO): SessionState.AUTHENTICATED,  # the folder that was selected before is not any more
    (Verb.LOGOUT, Status.OK): SessionState.LOGOUT,
}

LETTERS = frozenset({Verb.FETCH, Verb.UID_FETCH})

# In whose answers the data of a name may come.
BELIEVED: dict[str, frozenset[Verb]] = {
    "CAPABILITY": frozenset(Verb),
    "EXISTS": frozenset({Verb.SELECT}) | LETTERS,
    "EXPUNGE": LETTERS,
    "FETCH": LETTERS,
    "LIST": frozenset({Verb.LIST}),
    "NAMESPACE": frozenset({Verb.NAMESPACE}),
    "SEARCH": frozenset({Verb.UID_SEARCH}),
}

ALONE = frozenset({Verb.STARTTLS, Verb.AUTHENTICATE, Verb.LOGOUT})
"""Commands behind which nothing is sent before the answer: the next command depends on it, or would go unprotected."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string of a command, sent quoted or as a literal."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Command:
    """`words` are sent as they are, a Text as a string. `letters`: how many letters the answer may tell of."""

    verb: Verb
    words: tuple[str | Text, ...] = field(default=(), repr=False)
    letters: int = 0

    def __str__(self) -> str:
        """The line without secrets."""
        shown = [word.value if isinstance(word, Text) else word for word in self.words]
        if self.verb in (Verb.LOGIN, Verb.AUTHENTICATE):
            shown[1:] = [MASKED for _ in shown[1:]]
        return " ".join([self.verb, *shown])


_FORBIDDEN = frozenset("\r\n\0")


def require_line(value: str) -> None:
    """Raise LocalProtocolError for CR, LF or NUL, with which another command would begin."""
    if not _FORBIDDEN.isdisjoint(value):
        raise LocalProtocolError("CR, LF or NUL in an argument")


def quoted(value: str) -> str:
    """What stands between the quotes of a quoted string."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


@dataclass(frozen=True, slots=True)
class Greeting:
    line: StatusLine


@dataclass(frozen=True, slots=True)
class Challenge:
    """The server waits for more of `command`: a response (AUTHENTICATE) or a literal."""

    command: Command
    text: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """An untagged OK, NO, BAD or BYE."""

    line: StatusLine


@dataclass(frozen=True, slots=True)
class Data:
    """Untagged data of another name than FETCH; `number` is the one before the name, if any."""

    name: str
    number: int | None
    values: list[Value]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an answer to FETCH tells of a letter; the octets of a body came before."""

    number: int
    items: Items


@dataclass(frozen=True, slots=True)
class LetterBegan:
    """The octets of a letter, or of its `header`, follow. `uid` is None where the server has not named it yet."""

    uid: int | None
    header: bool = False


@dataclass(frozen=True, slots=True)
class LetterData:
    """The next octets of the letter, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LetterEnded:
    """All octets of the letter came, and the answer that held them is whole."""

    uid: int | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of the answer to `command`."""

    command: Command
    line: StatusLine


Event = Greeting | Challenge | Notice | Data | Fetched | LetterBegan | LetterData | LetterEnded | Reply

LINE_MAX = 256 * 1024
"""Octets in a line."""

OCTETS_MAX, LINES_MAX = 1024 * 1024, 1000
"""The limits of an answer, those of letters not counted."""

LETTER_OCTETS, LETTER_LINES = 512, 4
"""The limits grow by that with each letter: keywords are many, and Exchange repeats EXISTS behind each letter that it expunges."""

_DIGITS_MAX = 18
_UNTAGGED = re.compile(rb"\* *(?:([0-9]{1,10}) +)?([A-Za-z0-9-]+)(?: +|(?=\()|\Z)")
_STATUSES = frozenset(status.value for status in Status)
_LITERAL_SIZE = re.compile(rb"[0-9]+\+?\}")
_BODY = re.compile(rb"[ (]BODY\[(HEADER)?\]\Z", re.IGNORECASE)
_UID = re.compile(rb"[ (]UID +([0-9]{1,10})[ )]", re.IGNORECASE)
_ITEM = re.compile(rb" *(?:UID|FLAGS|RFC822\.SIZE|INTERNALDATE|MODSEQ) ", re.IGNORECASE)
_BODY_NAMES = (b"BODY[]", b"BODY[HEADER]")


class ImapProtocol:
    """One session. With `pipelining`, several commands may be unanswered at a time (RFC 3501 section 5.5).

    `literal_plus`: the server takes literals without being asked (RFC 7888). `utf8`: strings may be UTF-8 (RFC 6855).
    """

    def __init__(self) -> None:
        self.state = SessionState.GREETING
        self.pipelining = False
        self.literal_plus = False
        self.utf8 = False
        self._ahead = SessionState.GREETING
        self._sent = 0
        self._unanswered: dict[bytes, Command] = {}
        self._unsent: list[bytes] = []  # literals that the server has to ask for
        self._buffer = bytearray()
        self._searched = 0
        self._pieces: list[Piece] = []  # of the response that has begun
        self._untagged: re.Match[bytes] | None = None  # how it begins
        self._name = ""  # of its data
        self._streams = False  # it holds a letter
        self._left = 0  # octets of its literal still to come
        self._held: bytearray | None = None  # the literal, unless it is a letter's
        self._behind_letter = False  # the last response ended a letter
        self._letters = self._octets = self._lines = 0

    @property
    def unanswered(self) -> int:
        """How many commands wait for the end of their answer."""
        return len(self._unanswered)

    @property
    def awaited(self) -> Verb | None:
        """The command that has waited longest, if any."""
        return next(iter(self._unanswered.values())).verb if self._unanswered else None

    @property
    def answering(self) -> bool:
        """Whether a response has begun and not ended."""
        return bool(self._pieces or self._buffer)

    def send(self, commands: Iterable[Command]) -> bytes:
        """The octets to send. Raises LocalProtocolError for a command that the state does not allow."""
        octets = []
        for command in commands:
            if command.verb not in COMMANDS[self._ahead]:
                raise LocalProtocolError(f"{command.verb} in state {self._ahead.value}")
            if self._unanswered and (not self.pipelining or self._unsent or self._last.verb in ALONE):
                raise LocalProtocolError(f"{command.verb} behind {self._last.verb}")
            self._sent += 1
            tag = b"A%d" % self._sent
            first, *self._unsent = self._encode(tag, command)
            octets.append(first)
            self._unanswered[tag] = command
            self._letters += command.letters
            self._ahead = TRANSITIONS.get((command.verb, Status.OK), self._ahead)
        return b"".join(octets)

    def go_on(self, response: bytes = b"") -> bytes:
        """The octets that answer a Challenge: the literal that the server waits for, else `response` as a line."""
        return self._unsent.pop(0) if self._unsent else response + b"\r\n"

    def receive(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes. Exhaust the iterator before the next call. Raises RemoteProtocolError.

        How the octets are cut into calls changes nothing but the borders of LetterData.
        """
        self._buffer += data
        while True:
            if self._left:
                if not self._buffer:
                    return
                yield from self._read_literal()
            elif (line := self._take_line()) is not None:
                yield from self._read_line(line)
            else:
                return

    def begin_tls(self) -> None:
        """Begin anew between the answer to STARTTLS and the handshake (RFC 3501 section 6.2.1).

        Raises RemoteProtocolError for octets in the clear behind the answer, which would be taken for protected ones.
        """
        if self.state is not SessionState.TLS:
            raise LocalProtocolError(f"TLS in state {self.state.value}")
        self._require_silence()
        self.state = self._ahead = SessionState.NOT_AUTHENTICATED
        self.pipelining = self.literal_plus = False

    def _require_silence(self) -> None:
        if self._buffer:
            raise RemoteProtocolError("the server went on in the clear behind its answer to STARTTLS")

    @property
    def _last(self) -> Command:
        return next(reversed(self._unanswered.values()))

    def _encode(self, tag: bytes, command: Command) -> list[bytes]:
        """The command, cut where the server has to ask for a literal."""
        parts = [tag + b" " + command.verb.encode()]
        for word in command.words:
            value = word.value if isinstance(word, Text) else word
            require_line(value)
            octets = value.encode("utf-8", "surrogateescape")
            if not isinstance(word, Text):
                parts[-1] += b" " + octets
            elif value.isascii() or self.utf8:
                parts[-1] += b' "%s"' % quoted(value).encode("utf-8", "surrogateescape")
            elif self.literal_plus:
                parts[-1] += b" {%d+}\r\n" % len(octets) + octets
            else:
                parts[-1] += b" {%d}\r\n" % len(octets)
                parts.append(octets)
        parts[-1] += b"\r\n"
        return parts

    def _take_line(self) -> bytes | None:
        """The next line without its CRLF; None if it is not whole, or the session is over."""
        if self.state is SessionState.LOGOUT:
            self._buffer.clear()
            return None
        if self.state is SessionState.TLS:
            self._require_silence()
        end = self._buffer.find(b"\n", self._searched)
        self._searched = len(self._buffer)
        if (len(self._buffer) if end < 0 else end) > LINE_MAX:
            raise RemoteProtocolError(f"a line of more than {LINE_MAX} octets")
        if end < 0:
            return None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._searched = 0
        if not line.endswith(b"\r\n"):
            raise RemoteProtocolError(f"a line ends without CR: {text(line[:-1])}")
        self._lines += 1
        self._spend(len(line))
        return line[:-2]

    def _spend(self, octets: int) -> None:
        """Count what comes against the limits of the unanswered commands."""
        self._octets += octets
        if (
            self._octets > OCTETS_MAX + LETTER_OCTETS * self._letters
            or self._lines > LINES_MAX + LETTER_LINES * self._letters
        ):
            raise RemoteProtocolError("a longer answer than was asked for")

    def _read_line(self, line: bytes) -> Iterator[Event]:
        """Read a line that begins a response, or goes on behind a literal."""
        if not self._pieces:
            self._untagged, self._streams = _UNTAGGED.match(line) if line.startswith(b"*") else None, False
            self._name = self._untagged[2].decode().upper() if self._untagged else ""
        if line.endswith(b"}") and self._untagged and self._name not in _STATUSES:
            before, _, size = line.rpartition(b"{")
            if _LITERAL_SIZE.fullmatch(size):
                self._pieces.append(before.removesuffix(b"~").rstrip(b" "))
                yield from self._begin_literal(size.rstrip(b"+}"))
                return
        if self._streams and not line.strip():
            return  # some servers put a blank line behind a letter
        pieces, self._pieces = [*self._pieces, line], []
        yield from self._read_response(pieces)

    def _begin_literal(self, digits: bytes) -> Iterator[Event]:
        if len(digits) > _DIGITS_MAX:
            raise RemoteProtocolError("a literal of more octets than there are")
        self._left, before = int(digits), self._pieces[-1]
        assert isinstance(before, bytes)
        asked = self._name == "FETCH" and any(one.verb is Verb.UID_FETCH for one in self._unanswered.values())
        if asked and (body := _BODY.search(before)):
            self._streams = True
            self._pieces.append(Literal(None))
            named = _UID.search(before + b" ")
            yield LetterBegan(int(named[1]) if named else None, header=bool(body[1]))
        else:
            self._spend(self._left)
            self._held = bytearray()
            yield from self._read_literal()

    def _read_literal(self) -> Iterator[Event]:
        octets = bytes(self._buffer[: self._left])
        del self._buffer[: len(octets)]
        self._left -= len(octets)
        self._searched = 0
        if self._held is None:
            yield LetterData(octets)
            return
        self._held += octets
        if not self._left:
            self._pieces.append(Literal(bytes(self._held)))
            self._held = None

    def _read_response(self, pieces: list[Piece]) -> Iterator[Event]:
        first, untagged, name, behind_letter = pieces[0], self._untagged, self._name, self._behind_letter
        assert isinstance(first, bytes)
        self._behind_letter = False
        if self.state is SessionState.GREETING:
            yield self._greeting(first)
        elif untagged and name in _STATUSES and untagged[1] is None:
            yield Notice(_status(first[untagged.start(2) :]))
        elif untagged:
            number = int(untagged[1]) if untagged[1] else None
            yield from self._read_data(name, number, [first[untagged.end() :], *pieces[1:]])
        elif first.startswith(b"+"):
            yield self._challenge(first[1:].strip(b" "))
        elif behind_letter and _ITEM.match(first):
            self._behind_letter = True  # Xeams closes its list too early, and goes on in lines of their own
        else:
            yield self._reply(first)

    def _greeting(self, octets: bytes) -> Greeting:
        line = status_line(octets[2:]) if octets.startswith(b"* ") else None
        if line is None or line.status not in (Status.OK, Status.BYE, Status.PREAUTH):
            raise RemoteProtocolError(f"not an IMAP greeting: {text(octets)}")
        if line.status is Status.PREAUTH:
            # Nobody has logged in; before TLS, an attacker could so keep us from starting it.
            raise RemoteProtocolError("the server greets with PREAUTH")
        self.state = self._ahead = SessionState.NOT_AUTHENTICATED if line.status is Status.OK else SessionState.LOGOUT
        return Greeting(line)

    def _is_asked(self, name: str) -> bool:
        """Whether an unanswered command asks for data of this name."""
        believed = BELIEVED.get(name, frozenset())
        return any(command.verb in believed for command in self._unanswered.values())

    def _read_data(self, name: str, number: int | None, pieces: list[Piece]) -> Iterator[Event]:
        if not self._is_asked(name):
            return
        if name != "FETCH":
            yield Data(name, number, values(pieces))
            return
        items = data_items(pieces)
        item, body = next(((name, items[name]) for name in _BODY_NAMES if name in items), (b"", None))
        if isinstance(body, bytes):  # a quoted string
            yield LetterBegan(uid_of(items), header=item == b"BODY[HEADER]")
            yield LetterData(body)
        if body is not None:
            self._behind_letter = True
            yield LetterEnded(uid_of(items))
        yield Fetched(number or 0, items)

    def _challenge(self, octets: bytes) -> Challenge:
        if not self._unanswered or not (self._unsent or self._last.verb is Verb.AUTHENTICATE):
            raise RemoteProtocolError("the server waits for what nobody has begun")
        return Challenge(self._last, octets)

    def _reply(self, octets: bytes) -> Reply:
        tag, _, rest = octets.partition(b" ")
        command, line = self._unanswered.get(tag), status_line(rest.strip(b" "))
        if command is None or line is None or line.status not in (Status.OK, Status.NO, Status.BAD):
            raise RemoteProtocolError(f"not an answer: {text(octets)}")
        del self._unanswered[tag]
        self._unsent = []  # a literal that was refused
        self._letters -= command.letters
        self._octets = self._lines = 0
        if command.verb in COMMANDS[self.state]:
            self.state = TRANSITIONS.get((command.verb, line.status), self.state)
        if not self._unanswered:
            self._ahead = self.state
        return Reply(command, line)


def _status(octets: bytes) -> StatusLine:
    line = status_line(octets)
    if line is None:
        raise RemoteProtocolError(f"not a status response: {text(octets)}")
    return line
