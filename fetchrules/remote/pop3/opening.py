"""From nothing to the AUTHORIZATION state: connected, protected as the rule demands, the capabilities known."""

from collections.abc import Callable
from dataclasses import dataclass

from fetchrules.errors import ServerRefused, TlsUnavailable
from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import Connection
from fetchrules.remote.masking import Secrets
from fetchrules.remote.net import Alive, connect
from fetchrules.remote.pop3.commands import CAPA, STLS, plain_credentials
from fetchrules.remote.pop3.conversation import Conversation
from fetchrules.remote.pop3.grammar import Capabilities, Status, StatusLine, capabilities
from fetchrules.remote.pop3.memory import CapabilityMemory, ServerKey
from fetchrules.remote.pop3.refusals import refusal
from fetchrules.remote.tls import UNPROTECTED, Demand, Protection, Start, Trust, secure
from fetchrules.remote.transcript import Trace

MEMORY = CapabilityMemory(limit=4096)


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that waits for a login. `recalled`: the capabilities are those of last time, not of this session."""

    conversation: Conversation
    protection: Protection
    greeting: StatusLine
    capabilities: Capabilities
    recalled: bool
    key: ServerKey

    def connection(self) -> Connection:
        """The same, as a mailbox shows it."""
        return Connection(
            address=self.conversation.stream.address,
            tls=self.protection.level,
            tls_version=self.protection.version,
            certificate=self.protection.certificate,
            greeting=self.conversation.masked(self.greeting.text),
            capabilities=self.capabilities.lines,
        )


def reach(account: Account, demand: Demand, trust: Trust, trace: Trace | None, alive: Alive | None = None) -> Reached:
    """Connect, and stop before the login. Raises FetchError; then nothing is left open."""
    secrets = Secrets.of(account.password, plain_credentials(account.user, account.password).argument)
    stream = connect(account.host, account.port, account.deadlines, account.targets, alive)
    conversation = Conversation(stream, secrets, trace)
    conversation.note(f"connected to {stream.address} port {account.port}")

    def secured() -> Protection:
        protection = secure(stream, account, demand.check, trust)
        conversation.note(f"{protection.version}, certificate {protection.level.value}")
        return protection

    try:
        return _introduce(conversation, account, demand.start, secured)
    except BaseException:
        conversation.close()
        raise


def _introduce(
    conversation: Conversation, account: Account, start: Start, secured: Callable[[], Protection]
) -> Reached:
    protection = secured() if start is Start.AT_ONCE else UNPROTECTED
    greeting = conversation.greeting()
    if greeting.status is not Status.OK:
        raise refusal(greeting, conversation.masked(greeting.text), ServerRefused)
    # Without TLS the server is asked in every session, however well it is known: a password does not go in the
    # clear because yesterday there was no TLS.
    announced = _announced(conversation) if start is Start.IF_OFFERED else None
    if start is Start.STARTTLS or (announced is not None and announced.has("STLS")):
        if conversation.ask(STLS).line.status is Status.OK:
            conversation.protocol.begin_tls()
            protection, announced = secured(), None
        elif start is Start.STARTTLS:
            raise TlsUnavailable("the server refuses STLS")
    key = ServerKey(account.host, account.port, protection is not UNPROTECTED)
    recalled = MEMORY.recall(key) if announced is None else None
    known = announced or recalled or _announced(conversation)
    MEMORY.remember(key, known)
    conversation.protocol.pipelining = MEMORY.pipelines(key, known)
    conversation.judge = MEMORY.judge(key)
    return Reached(conversation, protection, greeting, known, recalled is not None, key)


def _announced(conversation: Conversation) -> Capabilities:
    """What the server says it can do. One that does not know CAPA can do what RFC 1939 says."""
    reply = conversation.ask(CAPA)
    return capabilities(reply.body) if reply.line.status is Status.OK else Capabilities()
