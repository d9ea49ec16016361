"""Opening a remote mailbox, whichever protocol it speaks."""

from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import RemoteMailbox
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.remote.transcript import Trace


def open_mailbox(account: Account, trace: Trace) -> RemoteMailbox:
    """A session, connected and logged in. Raises FetchError; then nothing is left open."""
    return open_pop3(account, trace=trace)
