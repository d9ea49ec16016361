"""A POP3 session on a stream, with its transcript, and the meaning of refusals."""

from collections import deque
from collections.abc import Iterable, Iterator

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    LocalProtocolError,
    LoginDelay,
    MailboxBusy,
    OverLimit,
    RemoteProtocolError,
    ServerRefused,
    ServerTemporary,
    TimedOut,
)
from fetchrules.remote.known_texts import softened
from fetchrules.remote.memory import Judge
from fetchrules.remote.net import Stream
from fetchrules.remote.pop3.grammar import Status, StatusLine
from fetchrules.remote.pop3.protocol import (
    Command,
    Event,
    Greeting,
    LetterBegan,
    LetterEnded,
    Pop3Protocol,
    Reply,
    Verb,
)
from fetchrules.remote.transcript import MASKED, Secrets, Speaker, Trace


def refusal(line: StatusLine, words: str, otherwise: type[FetchError]) -> FetchError:
    """The error that a negative reply stands for, with `words` for people: `otherwise` unless its code or a known text says more.

    Response codes: RFC 2449 section 8, RFC 3206.
    """
    match line.code.split("/"):
        case ["IN-USE", *_]:
            return MailboxBusy(words)
        case ["LOGIN-DELAY", *_]:
            return LoginDelay(words)
        case ["SYS", "TEMP", *_]:
            return ServerTemporary(words)
        case ["SYS", *_]:
            return ServerRefused(words)
        case ["LIMIT" | "OVERQUOTA", *_]:  # IMAP's (RFC 5530); a server that speaks both protocols may mix them up
            return OverLimit(words)
        case ["AUTH", *_]:
            return otherwise(words)
        case _:
            return (softened(line.text) or otherwise)(words)


def is_limited(line: StatusLine) -> bool:
    """Whether a negative reply about one letter concerns the whole mailbox (busy, over a limit)."""
    return not isinstance(refusal(line, "", ServerRefused), ServerRefused)


LISTING = frozenset({Verb.STAT, Verb.UIDL, Verb.LIST})
"""Commands that a server may answer only after it has read the whole mailbox."""

WINDOW = 256
"""Commands in flight where the server pipelines: enough to hide 100 ms of round trip."""


class Conversation:
    """One session. Every method may raise FetchError; then the conversation is closed.

    `masked` takes the account's secrets out of a text. `judge` is called for each burst: several commands sent together while
    none was unanswered.
    """

    def __init__(self, stream: Stream, secrets: Secrets, trace: Trace | None) -> None:
        self.stream = stream
        self.protocol = Pop3Protocol()
        self.closed = False
        self.judge: Judge | None = None
        self._burst: Verb | None = None  # the last command of a burst by which the server is not judged yet
        self._begun = 0  # how many of the answers to it
        self._events = self._read_events()
        self.masked = secrets.masked
        self._trace = trace

    def say(self, commands: Iterable[Command]) -> None:
        commands = tuple(commands)
        if not self.protocol.unanswered:
            self._burst, self._begun = commands[-1].verb if len(commands) > 1 else None, 0
        try:
            self.stream.write(self.protocol.send(commands))
        except FetchError:
            self.close()
            raise
        if self._trace is not None:
            for command in commands:
                self._trace(Speaker.CLIENT, str(command))

    def hear(self) -> Event:
        if self.closed:
            raise LocalProtocolError("the session is over")
        try:
            event = next(self._events)
        except FetchError as error:
            if isinstance(error, TimedOut | ConnectionLost) and not self.protocol.answering:
                self._judge(answered=False)
            self.close()
            raise
        if isinstance(event, Reply | LetterBegan):
            self._begun += 1
            if self._begun > 1:
                self._judge(answered=True)
        if isinstance(event, Reply | LetterEnded):
            self.stream.reply_ended()
        if self._trace is not None and isinstance(event, Greeting | Reply | LetterBegan):
            self._trace(Speaker.SERVER, self._shown(event.line))
        return event

    def _shown(self, line: StatusLine) -> str:
        """A challenge is masked: with it and what the server says of the answer, a password could be guessed."""
        text = MASKED if line.status is Status.CONTINUE and line.text else self.masked(line.text)
        return f"{line.status.value} {text}"

    def greeting(self) -> StatusLine:
        event = self.hear()
        assert isinstance(event, Greeting)
        return event.line

    def replies(self, commands: Iterable[Command]) -> Iterator[Reply]:
        """Send `commands`, as many at a time as the server takes, and yield their replies in order."""
        waiting = deque(commands)
        while waiting or self.protocol.unanswered:
            window = self.window
            if self.protocol.unanswered <= window // 2:
                room = window - self.protocol.unanswered
                self.say([waiting.popleft() for _ in range(min(room, len(waiting)))])
            event = self.hear()
            assert isinstance(event, Reply)
            yield event

    def ask(self, command: Command) -> Reply:
        return next(self.replies([command]))

    @property
    def window(self) -> int:
        """How many commands may be unanswered at a time."""
        return WINDOW if self.protocol.pipelining else 1

    def refused(self, line: StatusLine, otherwise: type[FetchError]) -> FetchError:
        """As `refusal`, with the line's text masked."""
        return refusal(line, self.masked(line.text), otherwise)

    def note(self, text: str) -> None:
        if self._trace is not None:
            self._trace(Speaker.NOTE, text)

    def close(self) -> None:
        """Drop the connection. Never raises; may be called twice."""
        self.closed = True
        self.stream.close()

    def _judge(self, *, answered: bool) -> None:
        if self.judge is not None and self._burst is not None:
            self.judge(self._burst, answered)
            self._burst = None

    def _read_events(self) -> Iterator[Event]:
        while True:
            octets = self._read()
            try:
                yield from self.protocol.receive(octets)
            except RemoteProtocolError as error:  # may quote what was said instead of a greeting
                raise RemoteProtocolError(self.masked(error.detail)) from None

    def _read(self) -> bytes:
        awaited, deadlines = self.protocol.awaited, self.stream.deadlines
        with self.stream.patience(deadlines.for_a_list if awaited in LISTING else deadlines.idle, awaited or ""):
            return self.stream.read()
