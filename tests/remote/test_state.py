"""The state of a mailbox: equal only where all letters are."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from fetchrules.remote.account import Account
from fetchrules.remote.imap.session import open_imap
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.remote.transcript import Speaker, Transcript
from fetchrules.rule import Encryption, Protocol
from tests.interop.dovecot import PASSWORD as DOVECOTS
from tests.interop.dovecot import Dovecot
from tests.remote.imap.test_session import account as imap_account
from tests.remote.pop3.test_session import account as pop3_account
from tests.servers import imap, pop3
from tests.servers.faults import Alter, Fault, Say
from tests.servers.maildrop import Folder, Maildrop, StoredLetter, letter


def pop3_state(*letters: StoredLetter, behaviour: pop3.Behaviour | None = None) -> str:
    with pop3.Pop3Server(Maildrop(letters), behaviour) as server:
        mailbox = open_pop3(pop3_account(server))
        state = mailbox.state
        mailbox.quit()
    return state


A, B = StoredLetter("a", letter("a")), StoredLetter("b", letter("b"))


def test_a_pop3_mailbox_is_known_by_its_names_sizes_and_their_order() -> None:
    larger = StoredLetter(A.uid, A.data + b"more\r\n")
    different = [pop3_state(), pop3_state(A), pop3_state(B), pop3_state(A, B), pop3_state(B, A), pop3_state(larger, B)]
    assert len(set(different)) == len(different)
    assert "" not in different
    assert pop3_state(A, B) == pop3_state(A, B)


@pytest.mark.parametrize(
    "behaviour",
    [
        pop3.Behaviour(capabilities=None, uidl=False),
        pop3.Behaviour(faults=(Fault(pop3.Step.STAT, Say(b"+OK 3 999\r\n")),)),
        pop3.Behaviour(faults=(Fault(pop3.Step.UIDL, Say(b"+OK\r\n1 a\r\n.\r\n")),)),
    ],
)
def test_a_pop3_listing_without_names_or_letters_says_nothing(behaviour: pop3.Behaviour) -> None:
    assert pop3_state(A, B, behaviour=behaviour) == ""


def imap_states(folder: Folder, behaviour: imap.Behaviour | None = None, known: str = "") -> tuple[str, str]:
    """Before and after the listing."""
    with imap.ImapServer(folder, behaviour) as server:
        mailbox = open_imap(imap_account(server), known=known)
        before = mailbox.state
        mailbox.listing()
        after = mailbox.state
        mailbox.quit()
    return before, after


def counting(*codes: str, without: bytes = b"") -> imap.Behaviour:
    """A server whose answer to SELECT has these codes, too."""
    said = "".join(f"* OK [{code}] .\r\n" for code in codes).encode()

    def change(answer: bytes) -> bytes:
        lines = answer.splitlines(keepends=True)
        return said + b"".join(line for line in lines if not without or without not in line)

    return imap.Behaviour(faults=(Fault(imap.Step.SELECT, Alter(change)),))


def test_a_folder_that_counts_its_changes_is_known_before_its_listing() -> None:
    folder = Folder([A.data, B.data])
    before, after = imap_states(folder, counting("HIGHESTMODSEQ 7"))
    assert before == after
    assert before.split()[2:] == ["7", "2"]
    others = [
        imap_states(folder, counting("HIGHESTMODSEQ 8"))[0],
        imap_states(Folder([A.data]), counting("HIGHESTMODSEQ 7"))[0],
    ]
    assert before not in others


@pytest.mark.parametrize(
    ("codes", "without"),
    [
        ((), b""),
        (("NOMODSEQ",), b""),
        (("HIGHESTMODSEQ 0",), b""),
        (("HIGHESTMODSEQ -1",), b""),
        (("HIGHESTMODSEQ many",), b""),
        (("HIGHESTMODSEQ",), b""),
        (("HIGHESTMODSEQ " + "9" * 40,), b""),
        (("HIGHESTMODSEQ 7",), b"UIDNEXT"),
        (("HIGHESTMODSEQ 7", "HIGHESTMODSEQ 0"), b""),
    ],
)
def test_any_other_folder_is_known_by_its_listing(codes: tuple[str, ...], without: bytes) -> None:
    before, after = imap_states(Folder([A.data, B.data]), counting(*codes, without=without))
    assert before == ""
    assert len(after) == 64


def test_a_folder_whose_uids_do_not_last_is_not_known() -> None:
    assert imap_states(Folder([A.data]), counting("HIGHESTMODSEQ 7", without=b"UIDVALIDITY")) == ("", "")


def test_a_listing_that_is_not_whole_says_nothing() -> None:
    lacking = Fault(imap.Step.LISTING, Alter(lambda answer: b"".join(answer.splitlines(keepends=True)[1:])))
    assert imap_states(Folder([A.data, B.data]), imap.Behaviour(faults=(lacking,))) == ("", "")


Change = Callable[[Folder], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: folder.add(A.data),
        lambda folder: folder.change_flags([1], lambda flags: flags | {"\\Seen"}),
        lambda folder: folder.change_flags([1], lambda flags: flags | {"\\Deleted"}),
        lambda folder: folder.renumber(first=101),
    ],
)
def test_a_digest_differs_with_every_change(change: Change) -> None:
    folder = Folder([A.data, B.data])
    before = imap_states(folder)[1]
    assert imap_states(folder)[1] == before
    change(folder)
    assert imap_states(folder)[1] not in {before, ""}


def test_a_listing_is_not_asked_for_where_select_may_say_enough() -> None:
    with imap.ImapServer(Folder([A.data, B.data]), counting("HIGHESTMODSEQ 7")) as server:
        open_imap(imap_account(server)).listing()
        said: list[str] = []
        for known in ("", "1 2 7 2"):
            transcript = Transcript()
            mailbox = open_imap(imap_account(server), trace=transcript, known=known)
            said.append("\n".join(line.text for line in transcript.head if line.speaker is Speaker.CLIENT))
            assert mailbox.listing().complete
            mailbox.quit()
    assert ["FETCH" in text for text in said] == [True, False]


@pytest.mark.interop
def test_dovecot_counts_every_change(dovecot: Dovecot) -> None:
    user = "state"
    dovecot.put(user, [A.data, B.data])
    account = imap_account_of(dovecot, user)
    states: list[str] = []

    def look() -> None:
        transcript = Transcript()
        mailbox = open_imap(account, trace=transcript, known=states[-1] if states else "")
        states.append(mailbox.state)
        assert mailbox.quit()
        speakers = [line.speaker for line in transcript.head]
        assert sum(pair == (Speaker.CLIENT, Speaker.SERVER) for pair in pairwise(speakers)) <= 4

    look()
    with dovecot.logged_in(user) as session:
        session.store("1", "+FLAGS", "\\Seen")
    look()
    with dovecot.logged_in(user) as session:
        session.store("1", "+FLAGS", "\\Deleted")
        session.expunge()
        session.append("INBOX", "", "", A.data)
    look()
    dovecot.put(user, [B.data])
    look()
    assert "" not in states
    assert len(set(states)) == 4
    look()
    assert states[-1] == states[-2]


def imap_account_of(dovecot: Dovecot, user: str) -> Account:
    return Account(Protocol.IMAP, "127.0.0.1", dovecot.imap, user, DOVECOTS, encryption=Encryption.PLAINTEXT)
