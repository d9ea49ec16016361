"""From the connection to a POP3 server that waits for a login."""

from contextlib import ExitStack
from dataclasses import dataclass

from fetchrules.errors import ServerRefused, TlsUnavailable
from fetchrules.remote.account import Account, ServerKey
from fetchrules.remote.auth.credentials import Password, secrets_of
from fetchrules.remote.mailbox import Connection
from fetchrules.remote.memory import ServerMemory
from fetchrules.remote.net import Alive, connect
from fetchrules.remote.pop3.conversation import Conversation
from fetchrules.remote.pop3.grammar import Capabilities, Status, StatusLine, capabilities
from fetchrules.remote.pop3.protocol import Command, Verb
from fetchrules.remote.tls import UNPROTECTED, Demand, Protection, Start, secure
from fetchrules.remote.transcript import Secrets, Trace


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that waits for a login. `recalled`: the capabilities are those of a former session."""

    conversation: Conversation
    protection: Protection
    greeting: StatusLine
    capabilities: Capabilities
    recalled: bool
    key: ServerKey
    memory: ServerMemory

    def connection(self) -> Connection:
        greeting = self.conversation.masked(self.greeting.text)
        return self.protection.connection(self.conversation.stream.address, greeting, self.capabilities.lines)


def reach(
    account: Account,
    demand: Demand,
    cafile: str,
    trace: Trace | None,
    memory: ServerMemory,
    alive: Alive | None = None,
) -> Reached:
    """Connect, and stop before the login. Raises FetchError; then nothing is left open."""
    secrets = Secrets.of(*secrets_of(account.user, Password(account.password)))
    stream = connect(account.host, account.port, account.deadlines, account.targets, alive)
    conversation = Conversation(stream, secrets, trace)
    conversation.note(f"connected to {stream.address} port {account.port}")

    def secured() -> Protection:
        protection = secure(stream, account, demand.check, cafile)
        conversation.note(f"{protection.version}, certificate {protection.level.value}")
        return protection

    with ExitStack() as undo:
        undo.callback(conversation.close)
        protection = secured() if demand.start is Start.AT_ONCE else UNPROTECTED
        greeting = conversation.greeting()
        if greeting.status is not Status.OK:
            raise conversation.refused(greeting, ServerRefused)
        # Without TLS the server is asked in every session: where it offers STLS by now, the password must not go in the clear.
        announced = _announced(conversation) if demand.start is Start.IF_OFFERED else None
        if demand.start is Start.STARTTLS or (announced is not None and announced.has("STLS")):
            if conversation.ask(Command(Verb.STLS)).line.status is Status.OK:
                conversation.protocol.begin_tls()
                protection, announced = secured(), None
            elif demand.start is Start.STARTTLS:
                raise TlsUnavailable("the server refuses STLS")
        key = ServerKey(account.host, account.port, protection is not UNPROTECTED)
        recalled = memory.capabilities.recall(key) if announced is None else None
        known = announced or recalled or _announced(conversation)
        memory.capabilities.remember(key, known)
        conversation.protocol.pipelining = memory.capabilities.pipelines(key, known)
        conversation.judge = memory.capabilities.judge(key)
        undo.pop_all()
    return Reached(conversation, protection, greeting, known, recalled is not None, key, memory)


def _announced(conversation: Conversation) -> Capabilities:
    reply = conversation.ask(Command(Verb.CAPA))
    return capabilities(reply.body) if reply.line.status is Status.OK else Capabilities()
