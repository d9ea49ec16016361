"""An IMAP session on a stream, with its transcript, and the meaning of refusals."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    MailboxBusy,
    OverLimit,
    RemoteProtocolError,
    ServerRefused,
    ServerTemporary,
    TlsRequired,
)
from fetchrules.remote.conversation import Conversation
from fetchrules.remote.imap.grammar import Status, StatusLine, Value, text
from fetchrules.remote.imap.protocol import (
    Challenge,
    Command,
    Data,
    Event,
    Fetched,
    Greeting,
    ImapProtocol,
    LetterBegan,
    LetterData,
    LetterEnded,
    Notice,
    Reply,
    Verb,
)
from fetchrules.remote.known_texts import softened
from fetchrules.remote.net import Stream
from fetchrules.remote.transcript import Secrets, Speaker, Trace

# RFC 5530
_MEANINGS: dict[str, type[FetchError]] = {
    "UNAVAILABLE": ServerTemporary,
    "LIMIT": OverLimit,
    "OVERQUOTA": OverLimit,
    "THROTTLED": OverLimit,
    "INUSE": MailboxBusy,
    "SERVERBUG": ServerRefused,
    "PRIVACYREQUIRED": TlsRequired,
}


def refusal(line: StatusLine, words: str, otherwise: type[FetchError]) -> FetchError:
    """The error that a negative answer stands for, with `words` for people.

    It is `otherwise` unless the code or a known text says more.
    """
    return (_MEANINGS.get(line.code) or softened(line.text) or otherwise)(words)


def is_limit(error: FetchError | None) -> bool:
    """Whether the server now refuses all letters, so that none is to blame."""
    return isinstance(error, OverLimit | ServerTemporary | MailboxBusy)


_MOST = re.compile(r"[1-9][0-9]{0,8}")


def in_code(line: StatusLine) -> frozenset[str] | None:
    """The capabilities that a line tells in its code, in capitals; None if it tells none."""
    return frozenset(line.arguments.upper().split()) if line.code == "CAPABILITY" else None


_OK = StatusLine(Status.OK)


@dataclass(slots=True)
class Answer:
    """The whole answer to one command: its untagged data by name, and what was told of letters."""

    command: Command | None = None
    line: StatusLine = _OK
    data: list[Data] = field(default_factory=list)
    fetched: list[Fetched] = field(default_factory=list)
    notices: list[StatusLine] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.line.status is Status.OK

    @property
    def partial(self) -> bool:
        """Whether the command was done for some letters only, because of a limit of the server's (RFC 9738)."""
        return any(line.code == "MESSAGELIMIT" for line in (self.line, *self.notices))

    @property
    def capabilities(self) -> frozenset[str] | None:
        """The capabilities that the server tells in this answer, if it does."""
        listed = frozenset(
            text(value).upper() for some in self.values("CAPABILITY") for value in some if isinstance(value, bytes)
        )
        return listed or next((told for line in (self.line, *self.notices) if (told := in_code(line))), None)

    def values(self, name: str) -> Iterator[list[Value]]:
        return (one.values for one in self.data if one.name == name)

    def number(self, name: str) -> int | None:
        """The last number told with `name`."""
        return next((one.number for one in reversed(self.data) if one.name == name), None)


class ImapConversation(Conversation[Command, Event]):
    """One session. Every method may raise FetchError; then the conversation is closed.

    `most`: how many letters a command may name, if the server has said so (RFC 9738).
    """

    slow = frozenset({Verb.SELECT, Verb.FETCH})

    def __init__(self, stream: Stream, secrets: Secrets, trace: Trace | None) -> None:
        self.protocol = ImapProtocol()
        super().__init__(self.protocol, stream, secrets, trace)
        self.most: int | None = None
        self._greeting = StatusLine(Status.OK)

    def greet(self) -> str:
        event = self.hear()
        assert isinstance(event, Greeting)
        if event.line.status is not Status.OK:
            raise self.refused(event.line, ServerRefused)
        self._greeting = event.line
        return event.line.text

    @property
    def told(self) -> frozenset[str] | None:
        return in_code(self._greeting)

    def ask_capabilities(self) -> frozenset[str]:
        answer = self.ask(Command(Verb.CAPABILITY))
        if not answer.ok:
            otherwise = ServerRefused if answer.line.status is Status.NO else RemoteProtocolError
            raise self.refused(answer.line, otherwise)
        announced = answer.capabilities or frozenset()
        if announced.isdisjoint({"IMAP4REV1", "IMAP4REV2", "IMAP4"}):
            raise RemoteProtocolError("the server does not announce IMAP4")
        return announced

    def offers_tls(self, announced: frozenset[str]) -> bool:
        return "STARTTLS" in announced

    def start_tls(self) -> bool:
        if not self.ask(Command(Verb.STARTTLS)).ok:
            return False
        self.protocol.begin_tls()
        return True

    def _notice(self, event: Event) -> None:
        """Raises the meaning of a BYE, unless we have said LOGOUT."""
        match event:
            case LetterBegan() | LetterData() | LetterEnded() | Fetched():
                pass
            case Reply(command, line):
                self._answer_began()
                self._answer_ended()
                self._show(Speaker.SERVER, f"{command.verb}: {line.status.value} {line.text}")
                self._hear_most(line)
            case Greeting(line):
                self._show(Speaker.SERVER, f"* {line.status.value} {line.text}")
            case Notice(line):
                self._show(Speaker.SERVER, f"* {line.status.value} {line.text}")
                self._hear_most(line)
                if line.status is Status.BYE and self.protocol.awaited is not Verb.LOGOUT:
                    raise self.refused(line, ConnectionLost)
            case Data("EXISTS", number):
                self._show(Speaker.SERVER, f"* {number} EXISTS")
            case _:
                pass

    def answers(
        self, commands: Iterable[Command], respond: Callable[[bytes], bytes] = lambda _: b""
    ) -> Iterator[Answer]:
        """Send `commands`, as many at a time as the server takes, and yield their answers in the order in which they end.

        What comes before the end of an answer is taken for a part of it. `respond` answers the challenges of AUTHENTICATE.
        """
        waiting, answer = deque(commands), Answer()
        while waiting or self.protocol.unanswered:
            if waiting and self.protocol.unanswered <= self.window // 2:
                self.say([waiting.popleft() for _ in range(min(self.window - self.protocol.unanswered, len(waiting)))])
            match self.hear():
                case Reply(command, line):
                    answer.command, answer.line = command, line
                    yield answer
                    answer = Answer()
                case Data() as data:
                    answer.data.append(data)
                case Fetched() as fetched:
                    answer.fetched.append(fetched)
                case Notice(line):
                    answer.notices.append(line)
                case Challenge(_, octets):
                    self.stream.write(self.protocol.go_on(respond(octets)))
                case _:
                    pass  # a letter that nobody asked for

    def ask(self, command: Command) -> Answer:
        return next(self.answers([command]))

    def refused(self, line: StatusLine, otherwise: type[FetchError]) -> FetchError:
        """As `refusal`, with the line's text masked."""
        return refusal(line, self.masked(line.text), otherwise)

    def learn_most(self, announced: Iterable[str]) -> None:
        """Note how many letters a command may name, where the server announces it."""
        for one in announced:
            name, _, most = one.partition("=")
            if name == "MESSAGELIMIT" and _MOST.fullmatch(most):
                self.most = int(most)

    def _hear_most(self, line: StatusLine) -> None:
        if line.code == "MESSAGELIMIT":
            self.learn_most([f"{line.code}={line.arguments.partition(' ')[0]}"])
