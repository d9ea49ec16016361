"""From the connection to a POP3 server that waits for a login."""

from fetchrules.remote.account import Account
from fetchrules.remote.auth.credentials import Password, secrets_of
from fetchrules.remote.memory import ServerMemory
from fetchrules.remote.net import Alive
from fetchrules.remote.opening import Reached, reach
from fetchrules.remote.pop3.conversation import Pop3Conversation
from fetchrules.remote.pop3.grammar import Capabilities
from fetchrules.remote.tls import Demand
from fetchrules.remote.transcript import Secrets, Trace

Pop3Reached = Reached[Pop3Conversation]


def reach_pop3(
    account: Account,
    demand: Demand,
    cafile: str,
    trace: Trace | None,
    memory: ServerMemory,
    alive: Alive | None = None,
) -> Pop3Reached:
    """Connect, and stop before the login. Raises FetchError; then nothing is left open."""
    secrets = Secrets.of(*secrets_of(account.user, Password(account.password)))
    reached = reach(account, demand, cafile, lambda stream: Pop3Conversation(stream, secrets, trace), memory, alive)
    pipeline(reached, reached.capabilities)
    return reached


def pipeline(reached: Pop3Reached, announced: frozenset[str]) -> None:
    """Send several commands at a time from now on, if the server says and shows that it takes them."""
    trusted = reached.memory.capabilities.trusts(reached.key)
    reached.conversation.protocol.pipelining = Capabilities(announced).has("PIPELINING") and trusted
