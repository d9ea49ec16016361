"""The state of a mailbox: equal only where all letters are."""

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from imaplib import IMAP4
from itertools import pairwise

import pytest

from fetchrules.errors import FolderMissing
from fetchrules.remote.account import Account
from fetchrules.remote.imap.session import open_imap
from fetchrules.remote.imap.shared import SharedConnection
from fetchrules.remote.mailbox import RemoteMailbox
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.remote.protocols import open_mailbox
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
        (("HIGHESTMODSEQ 1.5",), b""),
        (("HIGHESTMODSEQ ٧",), b""),
        ((f"HIGHESTMODSEQ {2**63}",), b""),
        (("HIGHESTMODSEQ 7", "UIDNEXT 0"), b"UIDNEXT"),
        (("HIGHESTMODSEQ 7", "UIDNEXT soon"), b"UIDNEXT"),
        (("HIGHESTMODSEQ 7", "HIGHESTMODSEQ 0"), b""),
        (("HIGHESTMODSEQ 7", "HIGHESTMODSEQ 8"), b""),
        (("HIGHESTMODSEQ 7", "NOMODSEQ"), b""),
        (("HIGHESTMODSEQ 7", "UIDNEXT 100"), b""),
        (("HIGHESTMODSEQ 7", "UIDVALIDITY 1"), b""),
    ],
)
def test_any_other_folder_is_known_by_its_listing(codes: tuple[str, ...], without: bytes) -> None:
    before, after = imap_states(Folder([A.data, B.data]), counting(*codes, without=without))
    assert before == ""
    assert len(after) == 64


@pytest.mark.parametrize("codes", [("HIGHESTMODSEQ 7", "HIGHESTMODSEQ 7"), (f"HIGHESTMODSEQ {2**63 - 1}",)])
def test_a_count_may_be_told_twice_and_be_as_large_as_counts_get(codes: tuple[str, ...]) -> None:
    assert imap_states(Folder([A.data]), counting(*codes))[0].split()[2:] == [codes[-1].split()[1], "1"]


def test_a_folder_whose_uids_do_not_last_is_not_known() -> None:
    assert imap_states(Folder([A.data]), counting("HIGHESTMODSEQ 7", without=b"UIDVALIDITY")) == ("", "")


def test_a_listing_that_is_not_whole_says_nothing() -> None:
    lacking = Fault(imap.Step.LISTING, Alter(lambda answer: b"".join(answer.splitlines(keepends=True)[1:])))
    assert imap_states(Folder([A.data, B.data]), imap.Behaviour(faults=(lacking,))) == ("", "")


Change = Callable[[Folder], object]


def told(before: bytes, after: bytes) -> imap.Behaviour:
    """A server that says `after` in its listings where it would say `before`."""
    return imap.Behaviour(
        faults=(Fault(imap.Step.LISTING, Alter(lambda answer: re.sub(before, after, answer, count=1))),)
    )


def test_a_digest_differs_by_the_size_the_time_and_the_validity_alone() -> None:
    letters = [A.data, B.data]
    states = [
        imap_states(Folder(letters), behaviour)[1]
        for behaviour in (
            None,
            told(rb"RFC822.SIZE [0-9]+", b"RFC822.SIZE 7"),
            told(rb'INTERNALDATE "[^"]*"', b'INTERNALDATE "01-Feb-2024 03:04:05 +0000"'),
        )
    ]
    states.append(imap_states(Folder(letters, uidvalidity=8))[1])
    assert "" not in states
    assert len(set(states)) == len(states)


def expunge(folder: Folder) -> None:
    folder.flag(1, "\\Deleted")
    folder.expunge()


def replace_one(folder: Folder) -> None:
    expunge(folder)
    folder.add(A.data)


CONDSTORE = imap.Behaviour(capabilities=(*imap.CAPABILITIES, "CONDSTORE"))
CHANGES: dict[str, Change] = {
    "arrival": lambda folder: folder.add(A.data),
    "read": lambda folder: folder.flag(1, "\\Seen"),
    "flagged": lambda folder: folder.flag(1, "\\Deleted"),
    "gone": expunge,
    "one gone, one come": replace_one,
    "renumbered": lambda folder: folder.renumber(first=101),
}


@pytest.mark.parametrize("behaviour", [imap.Behaviour(), CONDSTORE], ids=["listing", "count"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_differs_with_every_change(change: Change, behaviour: imap.Behaviour) -> None:
    folder = Folder([A.data, B.data])
    before = imap_states(folder, behaviour)
    assert imap_states(folder, behaviour) == before
    assert bool(before[0]) is (behaviour is CONDSTORE)
    change(folder)
    after = imap_states(folder, behaviour)
    assert after[1] not in {before[1], ""}
    assert bool(after[0]) is (behaviour is CONDSTORE)


def test_it_is_that_of_the_listing_that_came_last() -> None:
    folder = Folder([A.data, B.data])
    with imap.ImapServer(folder) as server:
        mailbox = open_imap(imap_account(server))
        mailbox.listing()
        before = mailbox.state
        folder.flag(1, "\\Deleted")
        mailbox.listing()
        after = mailbox.state
        mailbox.quit()
    assert after == imap_states(folder)[1] != before


def test_a_later_listing_that_is_not_whole_says_nothing() -> None:
    lacking = Fault(imap.Step.LISTING, Alter(lambda answer: b"".join(answer.splitlines(keepends=True)[1:])), nth=2)
    with imap.ImapServer(Folder([A.data, B.data]), imap.Behaviour(faults=(lacking,))) as server:
        mailbox = open_imap(imap_account(server))
        assert mailbox.listing().complete
        assert mailbox.state
        assert not mailbox.listing().complete
        assert mailbox.state == ""
        mailbox.quit()


def test_a_letter_that_anybody_has_flagged_is_none_of_the_others() -> None:
    """The same letters, the other one flagged."""
    states = set()
    for uid in (1, 2):
        folder = Folder([A.data, A.data])
        folder.flag(uid, "\\Deleted")
        states.add(imap_states(folder)[1])
    assert len(states) == 2


@pytest.mark.parametrize("protocol", Protocol)
def test_it_is_made_once(protocol: Protocol) -> None:
    server = (
        pop3.Pop3Server(Maildrop([A, B])) if protocol is Protocol.POP3 else imap.ImapServer(Folder([A.data, B.data]))
    )
    with server:
        account = Account(protocol, server.host, server.port, imap.USER, imap.PASSWORD, encryption=Encryption.PLAINTEXT)
        mailbox = open_mailbox(account, Transcript())
        mailbox.listing()
        assert mailbox.state is mailbox.state
        mailbox.quit()


REFUSING = replace(CONDSTORE, refuses_condstore=True)


@pytest.mark.parametrize("behaviour", [REFUSING, replace(REFUSING, tells_capabilities=False)])
def test_a_server_may_refuse_to_count_though_it_says_that_it_can(behaviour: imap.Behaviour) -> None:
    with imap.ImapServer(Folder([A.data, B.data]), behaviour) as server:
        for _ in range(2):  # the second asks for the listing together with SELECT
            mailbox = open_imap(imap_account(server))
            assert mailbox.listing().complete
            assert len(mailbox.state) == 64
            assert mailbox.quit()


def test_such_a_server_may_spell_its_folders_in_its_own_way() -> None:
    behaviour = replace(REFUSING, namespace="INBOX.", capabilities=(*REFUSING.capabilities, "NAMESPACE"))
    with imap.ImapServer({"INBOX": Folder(), "INBOX.Old": Folder([A.data])}, behaviour) as server:
        mailbox = open_imap(replace(imap_account(server), folder="Old"))
        assert mailbox.listing().complete
        assert mailbox.exists == 1
        assert mailbox.quit()


def test_such_a_server_still_has_no_folder_that_is_missing() -> None:
    with imap.ImapServer({"INBOX": Folder()}, REFUSING) as server, pytest.raises(FolderMissing):
        open_imap(replace(imap_account(server), folder="Old"))


def test_it_is_not_taken_for_the_folder_that_was_open_before() -> None:
    """A refused SELECT leaves the folder before it open (BAD), and a listing that goes along would be of that one."""
    folders = {"INBOX": Folder([A.data]), "Old": Folder([A.data, B.data])}
    with imap.ImapServer(folders, REFUSING) as server:
        for _ in range(2):
            with closing(SharedConnection()) as shared:
                for name, folder in folders.items():
                    mailbox = open_imap(replace(imap_account(server), folder=name), shared=shared)
                    assert len(mailbox.listing().letters) == len(folder.letters)
                    assert mailbox.quit()


def test_folders_of_one_connection_are_known_each_by_its_own_count() -> None:
    folders = {"INBOX": Folder([A.data]), "Old": Folder([A.data, B.data]), "Sent": Folder()}
    states: list[dict[str, str]] = []
    with imap.ImapServer(folders, CONDSTORE) as server:
        for _ in range(3):
            known = states[-1] if states else dict.fromkeys(folders, "")
            with closing(SharedConnection()) as shared:
                seen = {}
                for name in folders:
                    mailbox = open_imap(replace(imap_account(server), folder=name), shared=shared, known=known[name])
                    seen[name] = mailbox.state
                    assert mailbox.quit()
                states.append(seen)
            if len(states) == 2:
                folders["Old"].flag(1, "\\Seen")
        assert not any(line.startswith("FETCH") for line in server.said)
    assert states[0] == states[1]
    assert [name for name in folders if states[1][name] != states[2][name]] == ["Old"]


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


def commands_of_an_idle_poll(server: imap.ImapServer, known: str) -> tuple[list[str], int]:
    """What such a poll says, and how often it waits for the server after the greeting."""
    transcript = Transcript()
    mailbox = open_imap(imap_account(server), trace=transcript, known=known)
    if mailbox.state != known:
        mailbox.listing()
    mailbox.quit()
    return [line.text.split()[0] for line in transcript.head if line.speaker is Speaker.CLIENT], turns(transcript)


def turns(transcript: Transcript) -> int:
    speakers = [line.speaker for line in transcript.head]
    return sum(pair == (Speaker.CLIENT, Speaker.SERVER) for pair in pairwise(speakers))


def test_an_idle_poll_asks_for_no_letter() -> None:
    """With the connection, TLS 1.3 and the greeting, that is five round trips."""
    with imap.ImapServer(Folder([A.data, B.data]), CONDSTORE) as server:
        open_imap(imap_account(server)).listing()
        mailbox = open_imap(imap_account(server))
        known = mailbox.state
        assert mailbox.quit()
        said, waits = commands_of_an_idle_poll(server, known)
        assert (said, waits) == (["LOGIN", "SELECT", "LOGOUT"], 2)
        server.folders["INBOX"].add(A.data)
        said, waits = commands_of_an_idle_poll(server, known)
        assert (said, waits) == (["LOGIN", "SELECT", "FETCH", "LOGOUT"], 3)


def test_an_idle_poll_over_the_digest_of_a_listing_asks_for_it_along() -> None:
    with imap.ImapServer(Folder([A.data, B.data])) as server:
        mailbox = open_imap(imap_account(server))
        mailbox.listing()
        known = mailbox.state
        assert mailbox.quit()
        said, waits = commands_of_an_idle_poll(server, known)
        assert (said, waits) == (["LOGIN", "SELECT", "FETCH", "LOGOUT"], 2)


@pytest.fixture
def user(dovecot: Dovecot, request: pytest.FixtureRequest) -> str:
    """A mailbox of the Dovecot with two letters."""
    name = "state." + re.sub(r"\W", ".", request.node.name)
    dovecot.put(name, [A.data, B.data])
    return name


def delete_one(session: IMAP4) -> None:
    session.store("1", "+FLAGS", "\\Deleted")
    session.expunge()


def replace_first(session: IMAP4) -> None:
    delete_one(session)
    session.append("INBOX", "", "", A.data)


DOVECOTS_CHANGES: dict[str, Callable[[IMAP4], object]] = {
    "arrival": lambda session: session.append("INBOX", "", "", A.data),
    "read": lambda session: session.store("1", "+FLAGS", "\\Seen"),
    "flagged": lambda session: session.store("1", "+FLAGS", "\\Deleted"),
    "gone": delete_one,
    "one gone, one come": replace_first,
}


@pytest.mark.interop
@pytest.mark.parametrize("change", DOVECOTS_CHANGES.values(), ids=DOVECOTS_CHANGES)
def test_dovecot_counts_every_change(dovecot: Dovecot, user: str, change: Callable[[IMAP4], object]) -> None:
    terms = imap_account_of(dovecot, user)
    states = [state_of(open_imap(terms)) for _ in range(2)]
    with dovecot.logged_in(user) as session:
        change(session)
    states += [state_of(open_imap(terms)) for _ in range(2)]
    assert "" not in states
    assert states[0] == states[1] != states[2] == states[3]


@pytest.mark.interop
def test_dovecot_counts_what_is_put_into_its_maildir(dovecot: Dovecot, user: str) -> None:
    terms = imap_account_of(dovecot, user)
    before = state_of(open_imap(terms))
    dovecot.put(user, [B.data])
    assert state_of(open_imap(terms)) not in {before, ""}


@pytest.mark.interop
def test_an_idle_poll_of_a_dovecot_asks_for_no_letter(dovecot: Dovecot, user: str) -> None:
    account = replace(imap_account_of(dovecot, user), host="localhost", port=dovecot.imaps, encryption=Encryption.SSL)
    cafile = str(dovecot.certificates.cafile)
    known = state_of(open_imap(account, cafile=cafile))
    transcript = Transcript()
    assert state_of(open_imap(account, cafile=cafile, trace=transcript, known=known)) == known
    assert not any("FETCH" in line.text for line in transcript.head)
    assert turns(transcript) <= 2


@pytest.mark.interop
def test_a_session_that_counts_can_delete_and_mark(dovecot: Dovecot, user: str) -> None:
    """Its answers to STORE and EXPUNGE hold counts, too."""
    mailbox = open_imap(imap_account_of(dovecot, user))
    first, second = mailbox.listing().letters
    before = mailbox.state
    mailbox.mark_seen([second])
    assert list(mailbox.delete([first])) == [(first, True)]
    assert mailbox.quit()
    left = open_imap(imap_account_of(dovecot, user))
    assert [(one.uid, one.seen) for one in left.listing().letters] == [(second.uid, True)]
    assert state_of(left) not in {before, ""}


@pytest.mark.interop
def test_a_pop3_mailbox_of_a_dovecot_is_known_by_its_letters(dovecot: Dovecot, user: str) -> None:
    terms = replace(imap_account_of(dovecot, user), protocol=Protocol.POP3, port=dovecot.pop3)
    states = [state_of(open_pop3(terms)) for _ in range(2)]
    with dovecot.logged_in(user) as session:
        replace_first(session)
    states += [state_of(open_pop3(terms)) for _ in range(2)]
    assert "" not in states
    assert states[0] == states[1] != states[2] == states[3]


def state_of(mailbox: RemoteMailbox) -> str:
    state = mailbox.state
    assert mailbox.quit()
    return state


def imap_account_of(dovecot: Dovecot, user: str) -> Account:
    return Account(Protocol.IMAP, "127.0.0.1", dovecot.imap, user, DOVECOTS, encryption=Encryption.PLAINTEXT)
