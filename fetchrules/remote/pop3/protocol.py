"""A POP3 session without I/O: commands in, octets out; octets in, events out.

The states are those of RFC 1939, one for SASL (RFC 5034), and one before a TLS handshake (RFC 2595). COMMANDS says which
commands a state allows, TRANSITIONS which answers lead to another state. `state` is where the answered commands have led, and
`_ahead` where the session will be if every unanswered command succeeds. A command is checked against `_ahead`, so that LIST may
follow a PASS that is still unanswered. Letters (RETR, TOP) are handed on as they come and never held whole; listings are
collected up to LISTING_MAX.
"""

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
    APOP = "APOP"
    AUTH = "AUTH"  # RFC 5034
    CREDENTIALS = ""
    """The answer within AUTH is a line without a verb."""
    STAT = "STAT"
    LIST = "LIST"
    UIDL = "UIDL"
    RETR = "RETR"
    TOP = "TOP"
    DELE = "DELE"
    RSET = "RSET"
    QUIT = "QUIT"


_SECRET = frozenset({Verb.PASS, Verb.CREDENTIALS})
_SECRET_LAST = frozenset({Verb.APOP, Verb.AUTH})
"""The second argument is secret."""


@dataclass(frozen=True, slots=True)
class Command:
    verb: Verb
    argument: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The line without secrets."""
        argument = MASKED if self.verb in _SECRET else self.argument
        if self.verb in _SECRET_LAST and " " in argument:
            argument = f"{argument.rpartition(' ')[0]} {MASKED}"
        return f"{self.verb} {argument}".strip()


def encode(command: Command) -> bytes:
    """The command line in UTF-8 (RFC 6856 section 2), with CRLF. Raises LocalProtocolError for CR, LF or NUL in the argument."""
    if not _FORBIDDEN.isdisjoint(command.argument):
        raise LocalProtocolError(f"CR, LF or NUL in the argument of {command.verb}")
    separator = " " if command.verb and command.argument else ""
    return f"{command.verb}{separator}{command.argument}\r\n".encode()


_FORBIDDEN = frozenset("\r\n\0")


LISTING_MAX = 32 * 1024 * 1024
"""Octets in the answer to CAPA, LIST or UIDL."""


class SessionState(Enum):
    GREETING = "greeting"
    AUTHORIZATION = "authorization"
    SASL = "sasl"
    """Within AUTH, the server waits for our next answer (RFC 5034)."""
    TLS = "tls"
    """STLS was accepted, and the handshake is next (RFC 2595)."""
    TRANSACTION = "transaction"
    CLOSED = "closed"
    """QUIT was answered, or the greeting was -ERR. RFC 1939's UPDATE state is the server's alone."""


# RFC 1939 sections 4 to 6; RFC 2449 section 5; RFC 2595 section 4; RFC 5034; RFC 6856 section 2.
COMMANDS: dict[SessionState, frozenset[Verb]] = {
    SessionState.GREETING: frozenset(),
    SessionState.AUTHORIZATION: frozenset(
        {Verb.CAPA, Verb.STLS, Verb.UTF8, Verb.USER, Verb.PASS, Verb.APOP, Verb.AUTH, Verb.QUIT}
    ),
    SessionState.SASL: frozenset({Verb.CREDENTIALS}),
    SessionState.TLS: frozenset(),
    SessionState.TRANSACTION: frozenset(
        {Verb.CAPA, Verb.STAT, Verb.LIST, Verb.UIDL, Verb.RETR, Verb.TOP, Verb.DELE, Verb.RSET, Verb.QUIT}
    ),
    SessionState.CLOSED: frozenset(),
}

# Any other OK or ERR leaves the state as it is; any other CONTINUE breaks the protocol, and so does OK to AUTH: no mechanism that
# we begin with a response is over before the server has said something.
TRANSITIONS: dict[tuple[Verb, Status], SessionState] = {
    (Verb.STLS, Status.OK): SessionState.TLS,
    (Verb.AUTH, Status.CONTINUE): SessionState.SASL,
    (Verb.CREDENTIALS, Status.CONTINUE): SessionState.SASL,
    (Verb.CREDENTIALS, Status.OK): SessionState.TRANSACTION,
    (Verb.CREDENTIALS, Status.ERR): SessionState.AUTHORIZATION,
    (Verb.PASS, Status.OK): SessionState.TRANSACTION,
    (Verb.APOP, Status.OK): SessionState.TRANSACTION,
    (Verb.QUIT, Status.OK): SessionState.CLOSED,
    (Verb.QUIT, Status.ERR): SessionState.CLOSED,
}

STREAMED = frozenset({Verb.RETR, Verb.TOP})

MULTILINE = frozenset({Verb.CAPA, Verb.LIST, Verb.UIDL}) | STREAMED
"""Commands whose positive answer goes on below its first line."""

ALONE = frozenset({Verb.STLS, Verb.AUTH, Verb.CREDENTIALS, Verb.QUIT})
"""Commands behind which nothing is sent before the answer: the next command depends on it, or would go unprotected."""


@dataclass(frozen=True, slots=True)
class Greeting:
    line: StatusLine


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole answer to `command`; `body` is a listing's lines, dot-unstuffed, with CRLF."""

    command: Command
    line: StatusLine
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class LetterBegan:
    """A positive answer to RETR or TOP; the letter follows."""

    command: Command
    line: StatusLine


@dataclass(frozen=True, slots=True)
class LetterData:
    """The next octets of the letter, dot-unstuffed, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LetterEnded:
    command: Command


Event = Greeting | Reply | LetterBegan | LetterData | LetterEnded


_LINE_END = b"\r\n"
_END = b"\r\n.\r\n"


class MultilineBody:
    """Reads the body of one multi-line response, dot-unstuffed. Feed it blocks until `ended`.

    RFC 1939 section 3: "When examining a multi-line response, the client checks to see if the line begins with the termination
    octet. If so and if octets other than CRLF follow, the first octet of the line (the termination octet) is stripped away. If so
    and if CRLF immediately follows the termination character, then the response from the POP server is ended". Lines are "each
    terminated by a CRLF pair", so a line begins behind CRLF and nowhere else: a bare LF or CR is data.
    """

    __slots__ = ("_held", "_owed", "ended")

    def __init__(self) -> None:
        # A CRLF before the body makes its first line like any other; `_owed` octets of it are still to be dropped.
        self._held = _LINE_END
        self._owed = len(_LINE_END)
        self.ended = False

    def feed(self, block: bytes) -> tuple[bytes, bytes]:
        """The octets of the body that are certain now, and the octets behind its end."""
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
    """How many last octets of `block` may begin the terminator."""
    return next((size for size in (4, 3, 2, 1) if block.endswith(_END[:size])), 0)


class Pop3Protocol:
    """One session. With `pipelining`, several commands may be unanswered at a time (RFC 2449 section 6.6)."""

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
        """The command whose answer comes next, if any."""
        return self._unanswered[0].verb if self._unanswered else None

    @property
    def answering(self) -> bool:
        """Whether an answer has begun and not ended."""
        return self._body is not None or bool(self._buffer)

    def send(self, commands: Iterable[Command]) -> bytes:
        """The octets to send. Raises LocalProtocolError for a command that the state does not allow.

        Raises RemoteProtocolError for unread octets of the server, which would be taken for the answer.
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
        """The events that `data` completes. Exhaust the iterator before the next call. Raises RemoteProtocolError.

        How the octets are cut into calls changes nothing but the borders of LetterData.
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
        """Begin the AUTHORIZATION state anew, between the answer to STLS and the handshake (RFC 2595 section 4).

        Raises RemoteProtocolError for octets in the clear behind the answer, which would be taken for protected ones.
        """
        if self.state is not SessionState.TLS:
            raise LocalProtocolError(f"TLS in state {self.state.value}")
        if self._buffer:
            raise RemoteProtocolError("the server went on in the clear behind its answer to STLS")
        self.state = self._ahead = SessionState.AUTHORIZATION
        self.pipelining = False

    def _take_line(self) -> bytes | None:
        """The next response line without its CRLF; None if it is not whole, or the session is over."""
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
            # Not quoted: a confused server may repeat our own command, password and all.
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
        leads_on = (command.verb, status) in TRANSITIONS
        if (status is Status.CONTINUE and not leads_on) or (status is Status.OK and command.verb is Verb.AUTH):
            raise RemoteProtocolError(f"{command.verb} was answered with {status.value}")
        self._unanswered.popleft()
        self.state = TRANSITIONS.get((command.verb, status), self.state)
        if not self._unanswered:
            self._ahead = self.state
