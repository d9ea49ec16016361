"""Opening a remote mailbox in the protocol that its account names."""

from typing import assert_never

from fetchrules.remote.account import Account
from fetchrules.remote.imap.session import list_folders, open_imap, probe_imap
from fetchrules.remote.mailbox import Connection, RemoteMailbox
from fetchrules.remote.memory import SERVERS, ServerMemory
from fetchrules.remote.net import Alive
from fetchrules.remote.pop3.session import open_pop3, probe_pop3
from fetchrules.remote.transcript import Trace
from fetchrules.rule import Protocol


def open_mailbox(
    account: Account, trace: Trace, alive: Alive | None = None, memory: ServerMemory = SERVERS
) -> RemoteMailbox:
    """A session, connected and logged in. Raises FetchError; then nothing is left open.

    `alive` is called every few seconds while the session waits for its server; it may raise FetchError to end the session.
    """
    match account.protocol:
        case Protocol.POP3:
            return open_pop3(account, trace=trace, alive=alive, memory=memory)
        case Protocol.IMAP:
            return open_imap(account, trace=trace, alive=alive, memory=memory)
        case _ as unreachable:
            assert_never(unreachable)


def folders(account: Account, trace: Trace) -> tuple[str, ...]:
    """The folders of the account that can be named in a rule, in a session of its own; POP3 has none. Raises FetchError."""
    match account.protocol:
        case Protocol.POP3:
            return ()
        case Protocol.IMAP:
            return list_folders(account, trace=trace)
        case _ as unreachable:
            assert_never(unreachable)


def probe(account: Account, trace: Trace) -> Connection:
    """How the server would be reached, its certificate above all: all that comes before a login. Raises FetchError."""
    match account.protocol:
        case Protocol.POP3:
            return probe_pop3(account, trace=trace)
        case Protocol.IMAP:
            return probe_imap(account, trace=trace)
        case _ as unreachable:
            assert_never(unreachable)
