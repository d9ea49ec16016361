"""One poll of one rule: the one place where the remote mailbox, the policy, the ledger and the local mailbox meet."""

import threading

STOPPING = threading.Event()
"""Set when the process is about to end: running polls finish the batch in hand and go no further."""
