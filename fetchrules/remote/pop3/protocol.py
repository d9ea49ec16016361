"""A POP3 session without I/O: commands in, octets out; octets in, events out.

The states are those of RFC 1939, with one for SASL (RFC 5034) and one for the moment before a TLS handshake (RFC 2595). COMMANDS
says what may be sent in each of them, TRANSITIONS which answers lead to another. Two positions are kept: `state`, to which the
answered commands have led, and `_ahead`, where the session will be if every unanswered command succeeds; a command is checked
against the latter, so that LIST may be sent behind a PASS that is still unanswered.

Multi-line answers (RFC 1939 section 3) are read by MultilineBody, in blocks and not in lines. Those to RETR and TOP are handed on
as they come, and never held whole; listings are collected up to LISTING_MAX.
"""

from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.remote.pop3.grammar import LINE_MAX, Status, StatusLine, status_line, text
from fetchrules.remote.transcript import MASKED


class Verb(StrEnum):
    CAPA = "CAPA"  # RFC 2449
    STLS = "STLS"  # RFC 2595
    UTF8 = "UTF8"  # RFC 6856
    USER = "USER"
    PASS = "PASS"  # noqa: S105 (a command, not a password)
    AUTH = "AUTH"  # RFC 5034
    CREDENTIALS = ""
    """The client's answer within AUTH: a line without a verb."""
    STAT = "STAT"
    LIST = "LIST"
    UIDL = "UIDL"
    RETR = "RETR"
    TOP = "TOP"
    DELE = "DELE"
    RSET = "RSET"
    QUIT = "QUIT"


_SECRET = frozenset({Verb.PASS, Verb.CREDENTIALS})


@dataclass(frozen=True, slots=True)
class Command:
    verb: Verb
    argument: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The line as a journal may show it."""
        argument = MASKED if self.verb in _SECRET else self.argument
        return f"{self.verb} {argument}".strip()


def encode(command: Command) -> bytes:
    """The octets of a command line, CRLF included.

    Text is UTF-8 (RFC 6856 section 2). CR, LF or NUL in an argument would begin another command: LocalProtocolError.
    """
    if not _FORBIDDEN.isdisjoint(command.argument):
        raise LocalProtocolError(f"CR, LF or NUL in the argument of {command.verb}")
    separator = " " if command.verb and command.argument else ""
    return f"{command.verb}{separator}{command.argument}\r\n".encode()


_FORBIDDEN = frozenset("\r\n\0")


def plain_credentials(user: str, password: str) -> Command:
    """The client's answer of SASL PLAIN (RFC 4616): authorization identity (none), NUL, user, NUL, password."""
    if not _FORBIDDEN.isdisjoint(user + password):
        raise LocalProtocolError("CR, LF or NUL in user or password")
    return Command(Verb.CREDENTIALS, b64encode(f"\0{user}\0{password}".encode()).decode())


CAPA = Command(Verb.CAPA)
STLS = Command(Verb.STLS)
UTF8 = Command(Verb.UTF8)
AUTH_PLAIN = Command(Verb.AUTH, "PLAIN")
STAT = Command(Verb.STAT)
LIST = Command(Verb.LIST)
UIDL = Command(Verb.UIDL)
RSET = Command(Verb.RSET)
QUIT = Command(Verb.QUIT)


LISTING_MAX = 32 * 1024 * 1024
"""Octets in the answer to CAPA, LIST or UIDL."""


class SessionState(Enum):
    GREETING = "greeting"
    AUTHORIZATION = "authorization"
    SASL = "sasl"
    """RFC 5034: within AUTH, the server waits for our credentials."""
    TLS = "tls"
    """RFC 2595: STLS was accepted; not an octet may pass in the clear before the handshake."""
    TRANSACTION = "transaction"
    CLOSED = "closed"
    """QUIT was answered, or the server greeted with -ERR. RFC 1939's UPDATE state is the server's alone."""


# Which commands may be given where. RFC 1939 sections 4 to 6; RFC 2449 section 5; RFC 2595 section 4; RFC 5034; RFC
# 6856 section 2.
COMMANDS: dict[SessionState, frozenset[Verb]] = {
    SessionState.GREETING: frozenset(),
    SessionState.AUTHORIZATION: frozenset(
        {Verb.CAPA, Verb.STLS, Verb.UTF8, Verb.USER, Verb.PASS, Verb.AUTH, Verb.QUIT}
    ),
    SessionState.SASL: frozenset({Verb.CREDENTIALS}),
    SessionState.TLS: frozenset(),
    SessionState.TRANSACTION: frozenset(
        {Verb.CAPA, Verb.STAT, Verb.LIST, Verb.UIDL, Verb.RETR, Verb.TOP, Verb.DELE, Verb.RSET, Verb.QUIT}
    ),
    SessionState.CLOSED: frozenset(),
}

# Which answers lead elsewhere. Any other OK or ERR leaves the state as it is; any other CONTINUE breaks the protocol.
TRANSITIONS: dict[tuple[Verb, Status], SessionState] = {
    (Verb.STLS, Status.OK): SessionState.TLS,
    (Verb.AUTH, Status.CONTINUE): SessionState.SASL,
    (Verb.CREDENTIALS, Status.OK): SessionState.TRANSACTION,
    (Verb.CREDENTIALS, Status.ERR): SessionState.AUTHORIZATION,
    (Verb.PASS, Status.OK): SessionState.TRANSACTION,
    (Verb.QUIT, Status.OK): SessionState.CLOSED,
    (Verb.QUIT, Status.ERR): SessionState.CLOSED,
}

STREAMED = frozenset({Verb.RETR, Verb.TOP})
"""Commands whose answer is a letter, told as it comes and never held as a whole."""

MULTILINE = frozenset({Verb.CAPA, Verb.LIST, Verb.UIDL}) | STREAMED
"""Commands whose positive answer goes on below its first line."""

ALONE = frozenset({Verb.STLS, Verb.AUTH, Verb.CREDENTIALS, Verb.QUIT})
"""Commands behind which nothing is sent before they are answered: what follows depends on the answer, or would go unprotected."""


@dataclass(frozen=True, slots=True)
class Greeting:
    line: StatusLine


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole answer to `command`: its line, and of a listing the lines below it, dot-unstuffed, with their CRLF."""

    command: Command
    line: StatusLine
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class LetterBegan:
    """A positive answer to RETR or TOP; the letter follows, or the beginning of it."""

    command: Command
    line: StatusLine


@dataclass(frozen=True, slots=True)
class LetterData:
    """The next octets of the letter, dot-unstuffed. Where the blocks are cut means nothing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LetterEnded:
    """The terminator was seen: what was asked for is whole."""

    command: Command


Event = Greeting | Reply | LetterBegan | LetterData | LetterEnded


_LINE_END = b"\r\n"
_END = b"\r\n.\r\n"


class MultilineBody:
    """Reads the body of one multi-line response: dots unstuffed, its end found. Feed it blocks until `ended`.

    RFC 1939 section 3: "When examining a multi-line response, the client checks to see if the line begins with the termination
    octet. If so and if octets other than CRLF follow, the first octet of the line (the termination octet) is stripped away. If so
    and if CRLF immediately follows the termination character, then the response from the POP server is ended". Lines are "each
    terminated by a CRLF pair", so a line begins behind CRLF and nowhere else: a bare LF or CR is data.
    """

    __slots__ = ("_held", "_owed", "ended")

    def __init__(self) -> None:
        # The body begins at a line's start. A CRLF that is not part of it stands before it, so that this needs no
        # case of its own; `_owed` octets of it are still to be dropped.
        self._held = _LINE_END
        self._owed = len(_LINE_END)
        self.ended = False

    def feed(self, block: bytes) -> tuple[bytes, bytes]:
        """(what of the body is certain now, what lies behind its end)."""
        block = self._held + block
        end = block.find(_END)
        if end >= 0:
            self.ended = True
            body, rest = block[: end + len(_LINE_END)], block[end + len(_END) :]
        else:
            cut = len(block) - _overlap(block)
            body, self._held, rest = block[:cut], block[cut:], b""
        # Every CRLF-dot before the end begins a stuffed line: the end itself would have been found first.
        body = body.replace(b"\r\n.", _LINE_END)
        if self._owed and body:
            body, self._owed = body[self._owed :], 0
        return body, rest


def _overlap(block: bytes) -> int:
    """How many of the last octets of `block` may be the beginning of the end."""
    return next((size for size in (4, 3, 2, 1) if block.endswith(_END[:size])), 0)


class Pop3Protocol:
    """The state of one session.

    `pipelining`: several commands may be unanswered at a time (RFC 2449 section 6.6).
    """

    def __init__(self) -> None:
        self.state = SessionState.GREETING
        self.pipelining = False
        self._unanswered: deque[Command] = deque()
        self._ahead = SessionState.GREETING
        self._buffer = b""
        self._body: MultilineBody | None = None
        self._first_line = StatusLine(Status.OK)
        self._listing = bytearray()

    @property
    def unanswered(self) -> int:
        """How many commands wait for the end of their answer."""
        return len(self._unanswered)

    @property
    def awaited(self) -> Verb | None:
        """The command whose answer comes next, None while nothing was asked."""
        return self._unanswered[0].verb if self._unanswered else None

    @property
    def answering(self) -> bool:
        """Whether the server has begun with an answer and not come to its end."""
        return self._body is not None or bool(self._buffer)

    def send(self, commands: Iterable[Command]) -> bytes:
        """The octets to send. Raises LocalProtocolError for a command that has no place here.

        Raises RemoteProtocolError if the server has said more than it was asked: that must not become the answer.
        """
        if self._buffer and not self._unanswered:
            raise RemoteProtocolError("the server spoke unasked")
        octets = []
        for command in commands:
            if command.verb not in COMMANDS[self._ahead]:
                raise LocalProtocolError(f"{command.verb} in state {self._ahead.value}")
            if self._unanswered and (not self.pipelining or self._unanswered[-1].verb in ALONE):
                raise LocalProtocolError(f"{command.verb} behind {self._unanswered[-1].verb}")
            octets.append(encode(command))
            self._unanswered.append(command)
            self._ahead = TRANSITIONS.get((command.verb, Status.OK), self._ahead)
        return b"".join(octets)

    def receive(self, data: bytes) -> Iterator[Event]:
        """What `data`, behind all that came before it, says. Raises RemoteProtocolError where it says nonsense.

        Exhaust the iterator before the next call. How the octets are cut into calls changes no event, the borders of
        LetterData aside.
        """
        self._buffer += data
        while self._buffer:
            if self._body is not None:
                yield from self._read_body(self._body)
            elif (line := self._take_line()) is not None:
                yield from self._read_line(line)
            else:
                return

    def begin_tls(self) -> None:
        """Call between the answer to STLS and the handshake (RFC 2595 section 4): the AUTHORIZATION state begins anew.

        Raises RemoteProtocolError if octets came in the clear behind the answer: kept, they would be taken for
        protected ones.
        """
        if self.state is not SessionState.TLS:
            raise LocalProtocolError(f"TLS in state {self.state.value}")
        if self._buffer:
            raise RemoteProtocolError("the server went on in the clear behind its answer to STLS")
        self.state = self._ahead = SessionState.AUTHORIZATION
        self.pipelining = False

    def _take_line(self) -> bytes | None:
        """The next response line without its CRLF; None if it is not all there or nobody wants it any more."""
        if self.state is SessionState.CLOSED:
            self._buffer = b""
            return None
        if self.state is not SessionState.GREETING and not self._unanswered:
            raise RemoteProtocolError("the server spoke unasked")
        line, found, rest = self._buffer.partition(b"\r\n")
        if len(line if found else line.removesuffix(b"\r")) + 2 > LINE_MAX:
            raise RemoteProtocolError(f"a response line of more than {LINE_MAX} octets")
        if not found:
            return None
        self._buffer = rest
        return line

    def _read_line(self, octets: bytes) -> Iterator[Event]:
        line = status_line(octets)
        if self.state is SessionState.GREETING:
            if line is None or line.status is Status.CONTINUE:
                raise RemoteProtocolError(f"not a POP3 greeting: {text(octets)}")
            self.state = self._ahead = SessionState.AUTHORIZATION if line.status is Status.OK else SessionState.CLOSED
            yield Greeting(line)
            return
        command = self._unanswered[0]
        if line is None:
            # Not quoted: what a confused server says here may well be our own command, password and all.
            raise RemoteProtocolError(f"{command.verb} was answered with neither +OK nor -ERR")
        if line.status is Status.OK and command.verb in MULTILINE:
            self._body, self._first_line = MultilineBody(), line
            if command.verb in STREAMED:
                yield LetterBegan(command, line)
        else:
            self._answered(command, line.status)
            yield Reply(command, line)

    def _read_body(self, body: MultilineBody) -> Iterator[Event]:
        command = self._unanswered[0]
        data, self._buffer = body.feed(self._buffer)
        if body.ended:
            self._body = None
            self._answered(command, Status.OK)
        if command.verb in STREAMED:
            if data:
                yield LetterData(data)
            if body.ended:
                yield LetterEnded(command)
            return
        self._listing += data
        if len(self._listing) > LISTING_MAX:
            raise RemoteProtocolError(f"a listing of more than {LISTING_MAX} octets")
        if body.ended:
            listing, self._listing = bytes(self._listing), bytearray()
            yield Reply(command, self._first_line, listing)

    def _answered(self, command: Command, status: Status) -> None:
        expected = Status.CONTINUE if command.verb is Verb.AUTH else Status.OK
        if status not in (expected, Status.ERR):
            raise RemoteProtocolError(f"{command.verb} was answered with {status.value}")
        self._unanswered.popleft()
        self.state = TRANSITIONS.get((command.verb, status), self.state)
        if not self._unanswered:
            self._ahead = self.state
