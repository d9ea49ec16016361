"""A POP3 session on a stream, with its transcript, and the meaning of refusals."""

from collections import deque
from collections.abc import Iterable, Iterator

from fetchrules.errors import (
    FetchError,
    LoginDelay,
    MailboxBusy,
    OverLimit,
    ServerRefused,
    ServerTemporary,
)
from fetchrules.remote.conversation import Conversation
from fetchrules.remote.known_texts import softened
from fetchrules.remote.net import Stream
from fetchrules.remote.pop3.grammar import Capabilities, Status, StatusLine, capabilities
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


class Pop3Conversation(Conversation[Command, Event]):
    """One session. Every method may raise FetchError; then the conversation is closed."""

    slow = frozenset({Verb.STAT, Verb.UIDL, Verb.LIST})

    def __init__(self, stream: Stream, secrets: Secrets, trace: Trace | None) -> None:
        self.protocol = Pop3Protocol()
        super().__init__(self.protocol, stream, secrets, trace)

    def greet(self) -> str:
        event = self.hear()
        assert isinstance(event, Greeting)
        if event.line.status is not Status.OK:
            raise self.refused(event.line, ServerRefused)
        return event.line.text

    def ask_capabilities(self) -> frozenset[str]:
        reply = self.ask(Command(Verb.CAPA))
        return capabilities(reply.body).lines if reply.line.status is Status.OK else frozenset()

    def offers_tls(self, announced: frozenset[str]) -> bool:
        return Capabilities(announced).has("STLS")

    def start_tls(self) -> bool:
        if self.ask(Command(Verb.STLS)).line.status is not Status.OK:
            return False
        self.protocol.begin_tls()
        return True

    def _notice(self, event: Event) -> None:
        if isinstance(event, Reply | LetterBegan):
            self._answer_began()
        if isinstance(event, Reply | LetterEnded):
            self._answer_ended()
        if isinstance(event, Greeting | Reply | LetterBegan):
            # A challenge is masked: with it and what the server says of the answer, a password could be guessed.
            said = MASKED if event.line.status is Status.CONTINUE and event.line.text else event.line.text
            self._show(Speaker.SERVER, f"{event.line.status.value} {said}")

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

    def refused(self, line: StatusLine, otherwise: type[FetchError]) -> FetchError:
        """As `refusal`, with the line's text masked."""
        return refusal(line, self.masked(line.text), otherwise)
