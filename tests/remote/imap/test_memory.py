from fetchrules.remote.memory import MailboxKey, SizeMemory

ALICE, BOB, CHARLIE = (MailboxKey("imap.example.net", 993, user) for user in ("alice", "bob", "charlie"))


def test_it_distrusts_one_mailbox_and_no_other() -> None:
    memory = SizeMemory(limit=2)
    memory.distrust(ALICE)
    assert (memory.distrusts(ALICE), memory.distrusts(BOB)) == (True, False)


def test_it_forgets_who_was_met_longest_ago() -> None:
    memory = SizeMemory(limit=2)
    memory.distrust(ALICE)
    memory.distrust(BOB)
    assert memory.distrusts(ALICE)
    memory.distrust(CHARLIE)
    assert [memory.distrusts(one) for one in (ALICE, BOB, CHARLIE)] == [True, False, True]
