"""A POP3 session without I/O: commands in, octets out; octets in, events out. The states are RFC 1939's."""

from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.remote.pop3.commands import Command, Verb, encode
from fetchrules.remote.pop3.events import Event, Greeting, LetterBegan, LetterData, LetterEnded, Reply
from fetchrules.remote.pop3.grammar import LINE_MAX, Status, StatusLine, status_line, text
from fetchrules.remote.pop3.multiline import MultilineBody

LISTING_MAX = 32 * 1024 * 1024
"""Octets in the answer to CAPA, LIST or UIDL."""


class State(Enum):
    """Where a session is."""

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
COMMANDS: dict[State, frozenset[Verb]] = {
    State.GREETING: frozenset(),
    State.AUTHORIZATION: frozenset({Verb.CAPA, Verb.STLS, Verb.UTF8, Verb.USER, Verb.PASS, Verb.AUTH, Verb.QUIT}),
    State.SASL: frozenset({Verb.CREDENTIALS}),
    State.TLS: frozenset(),
    State.TRANSACTION: frozenset(
        {Verb.CAPA, Verb.STAT, Verb.LIST, Verb.UIDL, Verb.RETR, Verb.TOP, Verb.DELE, Verb.RSET, Verb.QUIT}
    ),
    State.CLOSED: frozenset(),
}

# Which answers lead elsewhere. Any other OK or ERR leaves the state as it is; any other CONTINUE breaks the protocol.
TRANSITIONS: dict[tuple[Verb, Status], State] = {
    (Verb.STLS, Status.OK): State.TLS,
    (Verb.AUTH, Status.CONTINUE): State.SASL,
    (Verb.CREDENTIALS, Status.OK): State.TRANSACTION,
    (Verb.CREDENTIALS, Status.ERR): State.AUTHORIZATION,
    (Verb.PASS, Status.OK): State.TRANSACTION,
    (Verb.QUIT, Status.OK): State.CLOSED,
    (Verb.QUIT, Status.ERR): State.CLOSED,
}

STREAMED = frozenset({Verb.RETR, Verb.TOP})
"""Commands whose answer is a letter, told as it comes and never held as a whole."""

MULTILINE = frozenset({Verb.CAPA, Verb.LIST, Verb.UIDL}) | STREAMED
"""Commands whose positive answer goes on below its first line."""

ALONE = frozenset({Verb.STLS, Verb.AUTH, Verb.CREDENTIALS, Verb.QUIT})
"""Commands behind which nothing is sent before they are answered: what came after would be said to someone else, or
to no one.
"""


class Pop3Protocol:
    """One session's state.

    `pipelining`: several commands may be unanswered at a time (RFC 2449 section 6.6).
    """

    def __init__(self) -> None:
        self.state = State.GREETING
        self.pipelining = False
        self._unanswered: deque[Command] = deque()
        self._ahead = State.GREETING  # where we shall be if everything unanswered succeeds
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
        if self.state is not State.TLS:
            raise LocalProtocolError(f"TLS in state {self.state.value}")
        if self._buffer:
            raise RemoteProtocolError("the server went on in the clear behind its answer to STLS")
        self.state = self._ahead = State.AUTHORIZATION
        self.pipelining = False

    def _take_line(self) -> bytes | None:
        """The next response line without its CRLF; None if it is not all there or nobody wants it any more."""
        if self.state is State.CLOSED:
            self._buffer = b""
            return None
        if self.state is not State.GREETING and not self._unanswered:
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
        if self.state is State.GREETING:
            if line is None or line.status is Status.CONTINUE:
                raise RemoteProtocolError(f"not a POP3 greeting: {text(octets)}")
            self.state = self._ahead = State.AUTHORIZATION if line.status is Status.OK else State.CLOSED
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
