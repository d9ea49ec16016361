"""A session of either protocol on a stream, with its transcript. The protocols add what their events mean."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from fetchrules.errors import ConnectionLost, FetchError, LocalProtocolError, RemoteProtocolError, TimedOut
from fetchrules.remote.memory import Judge
from fetchrules.remote.net import Stream
from fetchrules.remote.transcript import Secrets, Speaker, Trace

WINDOW = 256
"""Commands in flight where the server takes several at a time: enough to hide 100 ms of round trip."""


class AnyCommand(Protocol):
    @property
    def verb(self) -> str: ...


C = TypeVar("C", bound=AnyCommand)
E = TypeVar("E")
ContraC = TypeVar("ContraC", bound=AnyCommand, contravariant=True)
CoE = TypeVar("CoE", covariant=True)


class Machine(Protocol[ContraC, CoE]):
    """A protocol without I/O."""

    pipelining: bool

    @property
    def unanswered(self) -> int:
        """How many commands wait for the end of their answer."""

    @property
    def awaited(self) -> str | None:
        """The command whose answer comes next, if any."""

    @property
    def answering(self) -> bool:
        """Whether an answer has begun and not ended."""

    def send(self, commands: Iterable[ContraC]) -> bytes: ...

    def receive(self, data: bytes) -> Iterator[CoE]: ...


class Conversation(ABC, Generic[C, E]):
    """One session. Every method may raise FetchError; then the conversation is closed.

    `masked` takes the account's secrets out of a text. `judge` is called for each burst: several commands sent together while
    none was unanswered.
    """

    slow: frozenset[str]
    """Commands that a server may answer only after it has read the whole mailbox."""

    def __init__(self, machine: Machine[C, E], stream: Stream, secrets: Secrets, trace: Trace | None) -> None:
        self.stream = stream
        self.closed = False
        self.judge: Judge | None = None
        self.masked = secrets.masked
        self._machine = machine
        self._trace = trace
        self._events = self._read_events()
        self._burst: str | None = None  # the last command of a burst by which the server is not judged yet
        self._begun = 0  # how many of the answers to it

    def say(self, commands: Iterable[C]) -> None:
        commands = tuple(commands)
        if not self._machine.unanswered:
            self._burst, self._begun = commands[-1].verb if len(commands) > 1 else None, 0
        self.stream.write(self._machine.send(commands))
        for command in commands:
            self._show(Speaker.CLIENT, str(command))

    def hear(self) -> E:
        """The next event."""
        if self.closed:
            raise LocalProtocolError("the session is over")
        try:
            event = next(self._events)
            self._notice(event)
        except FetchError as error:
            if isinstance(error, TimedOut | ConnectionLost) and not self._machine.answering:
                self._judge(answered=False)
            self.close()
            raise
        return event

    @abstractmethod
    def greet(self) -> str:
        """Wait for the greeting, and return its text. Raises ServerRefused and the like."""

    @property
    def told(self) -> frozenset[str] | None:
        """The capabilities that the greeting told, if it did."""
        return None

    @abstractmethod
    def ask_capabilities(self) -> frozenset[str]:
        """The capabilities, empty where the server does not know the question."""

    @abstractmethod
    def offers_tls(self, announced: frozenset[str]) -> bool: ...

    @abstractmethod
    def start_tls(self) -> bool:
        """Ask for TLS; whether the handshake is next."""

    @abstractmethod
    def _notice(self, event: E) -> None:
        """Show `event`, and call `_answer_began` and `_answer_ended`. Raises what it means for the session."""

    @property
    def window(self) -> int:
        """How many commands may be unanswered at a time."""
        return WINDOW if self._machine.pipelining else 1

    def note(self, text: str) -> None:
        self._show(Speaker.NOTE, text)

    def close(self) -> None:
        """Drop the connection. Never raises; may be called twice."""
        self.closed = True
        self.stream.close()

    def _answer_began(self) -> None:
        self._begun += 1
        if self._begun > 1:
            self._judge(answered=True)

    def _answer_ended(self) -> None:
        self.stream.reply_ended()

    def _judge(self, *, answered: bool) -> None:
        if self.judge is not None and self._burst is not None:
            self.judge(self._burst, answered)
            self._burst = None

    def _show(self, speaker: Speaker, text: str) -> None:
        if self._trace is not None:
            self._trace(speaker, self.masked(text))

    def _read_events(self) -> Iterator[E]:
        while True:
            octets = self._read()
            try:
                yield from self._machine.receive(octets)
            except RemoteProtocolError as error:  # may quote the server, which may quote us
                raise RemoteProtocolError(self.masked(error.detail)) from None

    def _read(self) -> bytes:
        awaited, deadlines = self._machine.awaited, self.stream.deadlines
        with self.stream.patience(deadlines.for_a_list if awaited in self.slow else deadlines.idle, awaited or ""):
            return self.stream.read()


AnyConversation = Conversation[Any, Any]
