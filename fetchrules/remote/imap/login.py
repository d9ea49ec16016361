"""From the greeting to the AUTHENTICATED state of IMAP, by the ways that the server offers."""

from fetchrules.errors import LoginRefused, LoginUnsupported, RemoteProtocolError, TlsRequired
from fetchrules.remote.account import Account
from fetchrules.remote.auth.attempts import Attempts
from fetchrules.remote.auth.choice import Offer, ways
from fetchrules.remote.auth.credentials import Password, secrets_of
from fetchrules.remote.auth.exchange import CANCEL, Exchange, Refusal
from fetchrules.remote.auth.memory import LoginKey
from fetchrules.remote.auth.sasl import begin
from fetchrules.remote.auth.ways import Way
from fetchrules.remote.imap.conversation import Answer, ImapConversation
from fetchrules.remote.imap.grammar import Status
from fetchrules.remote.imap.protocol import Command, Text, Verb, quoted, require_line
from fetchrules.remote.memory import ServerMemory
from fetchrules.remote.net import Alive
from fetchrules.remote.opening import Reached, reach
from fetchrules.remote.tls import Demand
from fetchrules.remote.transcript import Secrets, Trace

ImapReached = Reached[ImapConversation]

OPENING_MAX = 8000
"""Characters behind AUTHENTICATE, where the server takes an initial response (RFC 4959)."""


def reach_imap(
    account: Account,
    demand: Demand,
    cafile: str,
    trace: Trace | None,
    memory: ServerMemory,
    alive: Alive | None = None,
) -> ImapReached:
    """Connect, and stop before the login. Raises FetchError; then nothing is left open."""
    for name in (account.user, account.folder):
        require_line(name)
    secrets = Secrets.of(*secrets_of(account.user, Password(account.password)), quoted(account.password))
    reached = reach(account, demand, cafile, lambda stream: ImapConversation(stream, secrets, trace), memory, alive)
    protocol = reached.conversation.protocol
    protocol.pipelining = memory.capabilities.trusts(reached.key)
    protocol.literal_plus = not reached.capabilities.isdisjoint({"LITERAL+", "LITERAL-"})
    return reached


def offer(announced: frozenset[str]) -> Offer:
    """What the capabilities offer: mechanisms of SASL, and the LOGIN command unless it is disabled."""
    mechanisms = [one.removeprefix("AUTH=") for one in announced if one.startswith("AUTH=")]
    return Offer.of(mechanisms, *([] if "LOGINDISABLED" in announced else [Way.NATIVE]))


def log_in(reached: ImapReached, account: Account) -> tuple[Way, frozenset[str] | None]:
    """Log in. Returns by which way, and the capabilities for this user, if the server tells them unasked.

    Raises HungUp, LoginRefused, LoginUnsupported, ServerUnproven, TlsRequired and the like.
    """
    key, memory, password = reached.key, reached.memory, Password(account.password)
    try:
        order = ways(
            offer(reached.capabilities),
            protected=key.tls,
            forced=account.way,
            refused=memory.logins.refused(key),
            sayable=account.user.isascii() and account.password.isascii(),
        )
    except LoginUnsupported:
        memory.capabilities.forget(key)
        if "LOGINDISABLED" in reached.capabilities and not key.tls:
            raise TlsRequired("LOGINDISABLED") from None
        raise
    attempts = Attempts(memory.logins, LoginKey(key, account.user, password.mark), order)
    for way in attempts:
        with attempts.explaining_a_hangup():
            answer = _try(reached, way, account.user, password, attempts)
        if answer is not None:
            return way, answer.capabilities
    assert attempts.error is not None  # there is one way at least
    raise attempts.error


def _try(reached: ImapReached, way: Way, user: str, password: Password, attempts: Attempts) -> Answer | None:
    """None: the server refused it."""
    conversation = reached.conversation
    if way is Way.NATIVE:
        exchange, refusal = None, Refusal.PASSWORD
        answer = conversation.ask(Command(Verb.LOGIN, (Text(user), Text(password.secret))))
    else:
        exchange = begin(way, user, password, reached.memory.keys)
        answer = _authenticate(conversation, exchange, OPENING_MAX if "SASL-IR" in reached.capabilities else 0)
        refusal = exchange.refusal
    if answer.ok:
        if exchange is not None:
            exchange.finish()
        attempts.accepted()
        return answer
    if answer.line.status is Status.BAD:  # the command failed, not the login
        attempts.refused(Refusal.MECHANISM, conversation.refused(answer.line, RemoteProtocolError))
    else:
        attempts.refused(refusal, conversation.refused(answer.line, LoginRefused))
    return None


def _authenticate(conversation: ImapConversation, exchange: Exchange, longest: int) -> Answer:
    """AUTHENTICATE (RFC 3501 section 6.2.2). A challenge without sense is answered by an end of the exchange."""

    def respond(challenge: bytes) -> bytes:
        try:
            return exchange.answer(challenge.decode("ascii", "replace")).encode()
        except RemoteProtocolError:
            return CANCEL.encode()

    command = Command(Verb.AUTHENTICATE, tuple(exchange.opening(longest).split(" ")))
    return next(conversation.answers([command], respond))
