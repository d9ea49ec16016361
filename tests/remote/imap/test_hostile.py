"""Every hostile IMAP server: the session ends in time, with the right error, and nothing goes that did not come."""

from dataclasses import dataclass, field, replace
from time import monotonic

import pytest

from fetchrules.errors import FetchError, TimedOut
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.imap.session import ImapMailbox, open_imap
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Gone, Listing, Refused
from fetchrules.rule import Encryption, Protocol
from tests.certificates import Certificates
from tests.servers.imap import PASSWORD, USER, Folder, ImapServer
from tests.servers.imap_scripts import BY_NAME, SCRIPTS, Script

PATIENT = Deadlines(connect=10, idle=10, session=20, slowest=1)
HASTY = Deadlines(connect=10, idle=0.2, session=1.0, slowest=1000)
"""For servers with which the time has to run out."""


@dataclass
class Outcome:
    """What a session came to."""

    listing: Listing = field(default_factory=Listing)
    whole: dict[int, bytes] = field(default_factory=dict)
    deleted: frozenset[int] = frozenset()
    quit: bool | None = None
    error: FetchError | None = None
    seconds: float = 0.0


def collect(account: Account, cafile: str) -> Outcome:
    """Open, list, retrieve all, mark and delete what came whole, log out."""
    outcome, began = Outcome(), monotonic()
    try:
        mailbox = open_imap(account, cafile=cafile)
        try:
            _collect(mailbox, outcome)
        finally:
            mailbox.close()
    except FetchError as error:
        outcome.error = error
    outcome.seconds = monotonic() - began
    return outcome


def _collect(mailbox: ImapMailbox, outcome: Outcome) -> None:
    outcome.listing = mailbox.listing()
    begun = b""
    for event in mailbox.retrieve(outcome.listing.letters):
        match event:
            case Begun():
                begun = b""
            case Chunk(_, data):
                begun += data
            case Complete(letter):
                outcome.whole[letter.number] = begun
            case Refused() | Gone():
                pass
    came = [letter for letter in outcome.listing.letters if letter.number in outcome.whole]
    mailbox.mark_seen(came)
    told = list(mailbox.delete(came))
    assert [letter for letter, _ in told] == came
    outcome.deleted = frozenset(letter.number for letter, accepted in told if accepted)
    outcome.quit = mailbox.quit()


def check(script: Script, outcome: Outcome, folder: Folder) -> None:
    assert type(outcome.error) is (script.error or type(None)), outcome.error
    assert len(outcome.whole) == script.got
    assert len(folder.letters) == script.left
    assert outcome.seconds < 10
    if script.error is None:
        assert outcome.quit is True
        assert outcome.listing.complete is script.complete
        assert len(outcome.deleted) == (script.got if script.deleted is None else script.deleted)
    for uid, data in outcome.whole.items():
        assert data == script.letters[uid - 1]
    assert set(range(1, len(script.letters) + 1)) - set(folder.uids) <= set(outcome.whole)


def account(server: ImapServer, script: Script, encryption: Encryption) -> Account:
    late = script.error is TimedOut or script.name == "silence: LOGOUT"
    return Account(
        Protocol.IMAP,
        "localhost",
        server.port,
        USER,
        PASSWORD,
        encryption=encryption,
        deadlines=HASTY if late else PATIENT,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_it_survives(script: Script) -> None:
    folder = Folder(script.letters)
    with ImapServer(folder, script.behaviour) as server:
        check(script, collect(account(server, script, Encryption.PLAINTEXT), ""), folder)


@pytest.mark.faults
@pytest.mark.parametrize("encryption", [Encryption.SSL, Encryption.STARTTLS, Encryption.AUTO])
@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_it_survives_them_cut_up_and_encrypted(
    script: Script, size: int, encryption: Encryption, certificates: Certificates
) -> None:
    folder = Folder(script.letters)
    behaviour = replace(script.behaviour, slice=size)
    tls, cafile = certificates.good.context(), str(certificates.cafile)
    with ImapServer(folder, behaviour, tls=tls, implicit=encryption is Encryption.SSL) as server:
        check(script, collect(account(server, script, encryption), cafile), folder)


def test_it_knows_many_hostile_servers() -> None:
    assert len(BY_NAME) == len(SCRIPTS) >= 50
