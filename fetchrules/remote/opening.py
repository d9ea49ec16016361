"""The way to a server that waits for a login: connection, TLS, greeting, capabilities. It is the same for both protocols."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

from fetchrules.errors import ConnectionLost, FetchError, TimedOut, TlsExpected, TlsUnavailable
from fetchrules.remote.account import Account, ServerKey
from fetchrules.remote.auth.ways import Way
from fetchrules.remote.authorities import unverified
from fetchrules.remote.connecting import connect
from fetchrules.remote.conversation import AnyConversation
from fetchrules.remote.mailbox import Connection
from fetchrules.remote.memory import ServerMemory
from fetchrules.remote.net import Alive, Stream
from fetchrules.remote.resolver import ascii_name
from fetchrules.remote.tls import UNPROTECTED, Demand, Protection, Start, secure

TLS_PORTS = frozenset({993, 995})


O = TypeVar("O", bound=AnyConversation)  # noqa: E741


@dataclass(frozen=True, slots=True)
class Reached(Generic[O]):
    """A server that waits for a login, or the `way` that it took. `recalled`: the capabilities are those of a former session."""

    conversation: O
    protection: Protection
    greeting: str
    capabilities: frozenset[str]
    recalled: bool
    key: ServerKey
    memory: ServerMemory
    way: Way | None = None

    def connection(self) -> Connection:
        greeting = self.conversation.masked(self.greeting)
        return self.protection.connection(self.conversation.stream.address, greeting, self.capabilities, self.way)


def reach(
    account: Account,
    demand: Demand,
    cafile: str,
    begin: Callable[[Stream], O],
    memory: ServerMemory,
    alive: Alive | None,
) -> Reached[O]:
    """Connect, `begin` a conversation, and stop before the login. Raises FetchError; then nothing is left open."""
    stream = connect(account.host, account.port, account.deadlines, account.targets, alive, memory)
    conversation, capabilities = begin(stream), memory.capabilities
    conversation.note(f"connected to {stream.address} port {account.port}")

    def secured() -> Protection:
        protection = secure(stream, account, demand, cafile)
        conversation.note(f"{protection.version}, certificate {protection.level.value}")
        return protection

    with ExitStack() as undo:
        undo.callback(conversation.close)
        protection = secured() if demand.start is Start.AT_ONCE else UNPROTECTED
        greeting = _greeting(conversation, account, demand)
        announced = conversation.told
        if demand.start is Start.IF_OFFERED:
            # The server is asked in every session: where it offers TLS by now, the password must not go in the clear.
            announced = conversation.ask_capabilities() if announced is None else announced
        offered = demand.start is Start.IF_OFFERED and announced is not None and conversation.offers_tls(announced)
        if demand.start is Start.STARTTLS or offered:
            if conversation.start_tls():
                protection, announced = secured(), None
            elif demand.start is Start.STARTTLS:
                raise TlsUnavailable("the server does not offer STARTTLS, or refuses it")
        key = ServerKey(account.host, account.port, protection is not UNPROTECTED)
        recalled = capabilities.recall(key) if announced is None else None
        known = announced if announced is not None else recalled
        known = conversation.ask_capabilities() if known is None else known
        capabilities.remember(key, known)
        conversation.judge = capabilities.judge(key)
        undo.pop_all()
    return Reached(conversation, protection, greeting, known, recalled is not None, key, memory)


def _greeting(conversation: AnyConversation, account: Account, demand: Demand) -> str:
    """Raises TlsExpected where TLS answers on a port for it, and nothing else does."""
    try:
        return conversation.greet()
    except (TimedOut, ConnectionLost) as error:
        if demand.start is Start.AT_ONCE or account.port not in TLS_PORTS or not _answers_tls(account):
            raise
        raise TlsExpected(f"port {account.port}") from error


def _answers_tls(account: Account) -> bool:
    """Nothing is said but the handshake."""
    try:
        stream = connect(account.host, account.port, account.deadlines, account.targets)
        try:
            stream.start_tls(unverified(), ascii_name(account.host))
        finally:
            stream.close()
    except FetchError:
        return False
    return True
