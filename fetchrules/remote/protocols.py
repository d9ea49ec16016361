"""Opening a remote mailbox in the protocol that its account names."""

from fetchrules.remote.account import Account
from fetchrules.remote.imap.session import list_imap_folders, open_imap, probe_imap
from fetchrules.remote.imap.shared import SharedConnection
from fetchrules.remote.mailbox import Connection, RemoteMailbox
from fetchrules.remote.memory import SERVERS, ServerMemory
from fetchrules.remote.net import Alive
from fetchrules.remote.pop3.session import open_pop3, probe_pop3
from fetchrules.remote.transcript import Trace
from fetchrules.rule import Protocol


def open_mailbox(
    account: Account,
    trace: Trace,
    alive: Alive | None = None,
    memory: ServerMemory = SERVERS,
    shared: SharedConnection | None = None,
    known: str = "",
) -> RemoteMailbox:
    """A logged-in session. Raises FetchError; then nothing is left open.

    `alive` is called every few seconds while the session waits for its server, and may raise FetchError to end it. A
    connection that is `shared` serves all folders of the account; who made it has to close it. `known`: the mailbox's `state`
    at the last look; if it is still the same, nothing more need be asked.
    """
    match account.protocol:
        case Protocol.POP3:
            return open_pop3(account, trace=trace, alive=alive, memory=memory)
        case Protocol.IMAP:
            return open_imap(account, trace=trace, alive=alive, memory=memory, shared=shared, known=known)


def folders(account: Account, trace: Trace) -> dict[str, str]:
    """The folders that a rule can name, with their special uses, asked for in a session of its own. POP3 has none.

    Raises FetchError.
    """
    return list_imap_folders(account, trace=trace) if account.protocol is Protocol.IMAP else {}


def probe(account: Account, trace: Trace) -> Connection:
    """Connect without a login, to learn the protection and the certificate. Raises FetchError."""
    match account.protocol:
        case Protocol.POP3:
            return probe_pop3(account, trace=trace)
        case Protocol.IMAP:
            return probe_imap(account, trace=trace)
