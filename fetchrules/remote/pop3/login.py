"""The login of POP3, by the ways that the server offers; with the lists, in one burst where the server pipelines.

USER, PASS and APOP take the lists along, so that they cost one round trip. SASL does not, since nothing may follow AUTH
before its answer (RFC 5034 section 4).
"""

from collections.abc import Iterator, Sequence

from fetchrules.errors import ConnectionLost, LoginRefused, LoginUnsupported, RemoteProtocolError, TimedOut
from fetchrules.remote.account import Account
from fetchrules.remote.auth import apop
from fetchrules.remote.auth.attempts import Attempts
from fetchrules.remote.auth.choice import Offer, ways
from fetchrules.remote.auth.credentials import Password
from fetchrules.remote.auth.exchange import CANCEL, Exchange, Refusal
from fetchrules.remote.auth.memory import LoginKey
from fetchrules.remote.auth.sasl import begin
from fetchrules.remote.auth.ways import Kind, Way
from fetchrules.remote.mailbox import Listing
from fetchrules.remote.pop3.grammar import Capabilities, Status, StatusLine, capabilities
from fetchrules.remote.pop3.listing import QUESTIONS, listing
from fetchrules.remote.pop3.protocol import Command, Reply, SessionState, Verb
from fetchrules.remote.pop3.reach import Pop3Reached, pipeline

Answers = dict[Verb, Reply]


def offer(announced: Capabilities, greeting: str, *, protected: bool) -> Offer:
    """What a server offers by its CAPA and the timestamp in its greeting.

    USER and PASS are not offered by a server that announces other ways and not USER: it takes no password shown, and on a clear
    line it must not see one. Under TLS, only mechanisms of SASL count for that: many an old server's CAPA is not complete.
    """
    mechanisms = announced.parameters("SASL")
    digests = [Way.APOP] if apop.timestamp(greeting) else []
    others = bool(mechanisms) or (bool(announced.lines) and bool(digests) and not protected)
    native = [Way.NATIVE] if announced.has("USER") or not others else []
    return Offer.of(mechanisms, *digests, *native)


def log_in(reached: Pop3Reached, account: Account) -> tuple[Way, Listing]:
    """Log in by one of the ways, and list.

    Raises HungUp, LoginRefused, LoginUnsupported, ServerUnproven, MailboxBusy, … and the stream's errors.
    """
    announced = Capabilities(reached.capabilities)
    # CAPA costs no round trip here, and renews what is remembered.
    first = [Command(Verb.CAPA)] if reached.recalled else []
    if announced.has("UTF8"):
        first.append(Command(Verb.UTF8))  # RFC 6856: without it, letters may come rewritten into ASCII
    try:
        way, answers = _Login(reached, account).run(first)
        return way, listing(answers, announced, reached.conversation)
    except (RemoteProtocolError, ConnectionLost, TimedOut, LoginUnsupported):
        # The server may have changed, and not understand what we sent together.
        reached.memory.capabilities.forget(reached.key)
        raise


OPENING_MAX = 255 - len("AUTH \r\n")
"""Characters behind AUTH (RFC 5034 section 4)."""

_LOGIN = frozenset({Verb.USER, Verb.PASS, Verb.APOP})


class _Login:
    """The attempts of one session."""

    def __init__(self, reached: Pop3Reached, account: Account) -> None:
        key, logins = reached.key, reached.memory.logins
        self._reached, self._conversation = reached, reached.conversation
        self._user, self._password = account.user, Password(account.password)
        order = ways(
            offer(Capabilities(reached.capabilities), reached.greeting, protected=key.tls),
            protected=key.tls,
            forced=account.way,
            refused=logins.refused(key),
            sayable=_is_sayable(account),
        )
        self._attempts = Attempts(logins, LoginKey(key, account.user, self._password.mark), order)

    def run(self, first: Sequence[Command]) -> tuple[Way, Answers]:
        """Log in, and ask QUESTIONS. `first` is said before."""
        for way in self._attempts:
            with self._attempts.explaining_a_hangup():
                answers = self._try(way, first)
            if answers is not None:
                return way, answers
            first = ()
        assert self._attempts.error is not None  # there is one way at least
        raise self._attempts.error

    def _try(self, way: Way, first: Sequence[Command]) -> Answers | None:
        """None: the server refused it."""
        match way:
            case Way.NATIVE:
                user, password = Command(Verb.USER, self._user), Command(Verb.PASS, self._password.secret)
                return self._in_one_burst([*first, user, password])
            case Way.APOP:
                return self._in_one_burst([*first, self._apop()])
            case _:
                exchange = begin(way, self._user, self._password, self._reached.memory.keys)
                # Servers of RFC 1734 do not know an initial response. Servers with SCRAM are younger than RFC 5034.
                opening = exchange.opening(OPENING_MAX if way.kind is Kind.SCRAM else 0)
                return self._by_sasl(exchange, [*first, Command(Verb.AUTH, opening)])

    def _apop(self) -> Command:
        timestamp = apop.timestamp(self._reached.greeting)
        assert timestamp is not None  # or it would not be offered
        return Command(Verb.APOP, f"{self._user} {apop.digest(timestamp, self._password)}")

    def _in_one_burst(self, login: Sequence[Command]) -> Answers | None:
        answers = {}
        for reply in self._replies([*login, *QUESTIONS]):
            verb, accepted = reply.command.verb, reply.line.status is Status.OK
            if verb in _LOGIN and not accepted:
                self._refused(reply.line, Refusal.NAME if verb is Verb.USER else Refusal.PASSWORD)
                return None
            if verb in _LOGIN and verb is not Verb.USER:
                self._attempts.accepted()
            answers[verb] = reply
        return answers

    def _by_sasl(self, exchange: Exchange, commands: Sequence[Command]) -> Answers | None:
        *_, reply = self._replies(commands)
        while reply.line.status is Status.CONTINUE:
            try:
                answer = exchange.answer(reply.line.text)
            except RemoteProtocolError as error:
                self._cancel(exchange, error)
                return None
            reply = self._conversation.ask(Command(Verb.CREDENTIALS, answer))
        if reply.line.status is not Status.OK:
            self._refused(reply.line, exchange.refusal)
            return None
        exchange.finish()
        self._attempts.accepted()
        return {reply.command.verb: reply for reply in self._replies(QUESTIONS)}

    def _cancel(self, exchange: Exchange, error: RemoteProtocolError) -> None:
        """End an exchange in which the server said nonsense (RFC 5034 section 4)."""
        if self._conversation.ask(Command(Verb.CREDENTIALS, CANCEL)).line.status is not Status.ERR:
            raise error
        self._attempts.refused(exchange.refusal, error)

    def _replies(self, commands: Sequence[Command]) -> Iterator[Reply]:
        """The replies to `commands`. An answer to CAPA is remembered."""
        memory, key = self._reached.memory.capabilities, self._reached.key
        for reply in self._conversation.replies(commands):
            if reply.command.verb is Verb.CAPA and reply.line.status is Status.OK:
                announced = capabilities(reply.body).lines
                memory.remember(key, announced)
                pipeline(self._reached, announced)
            yield reply

    def _refused(self, line: StatusLine, refusal: Refusal) -> None:
        """Make ready for another attempt, if there is one. Raises what is more than a refused login (busy, over a limit)."""
        refused = self._conversation.refused(line, LoginRefused)
        self._attempts.refused(refusal, refused)
        if not self._attempts.more:
            return  # nothing else is read, because many servers hang up now
        try:
            while self._conversation.protocol.unanswered:
                self._conversation.hear()
        except RemoteProtocolError as error:
            raise refused from error
        if self._conversation.protocol.state is not SessionState.AUTHORIZATION:
            raise refused


def _is_sayable(account: Account) -> bool:
    """Whether USER and PASS can say this name and password: blanks and other characters are beyond RFC 1939."""
    return account.user.isascii() and " " not in account.user and account.password.isascii()
