"""One poll of one rule: the one place where the remote mailbox, the policy, the ledger and the local mailbox meet."""
