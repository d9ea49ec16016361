"""Every hostile server: the session ends in time, with the right error, and nothing goes that did not come."""

from dataclasses import dataclass, field, replace
from time import monotonic

import pytest

from fetchrules.errors import FetchError, TimedOut
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Listing, Refused
from fetchrules.remote.pop3.session import Pop3Mailbox, open_pop3
from fetchrules.rule import Encryption, Protocol
from tests.certificates import Certificates
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import PASSWORD, USER, Pop3Server
from tests.servers.pop3_scripts import BY_NAME, SCRIPTS, Script

PATIENT = Deadlines(connect=10, idle=10, session=20, slowest=1)
HASTY = Deadlines(connect=10, idle=0.2, session=1.0, slowest=1000, listing=0.2)
"""For servers with which the time has to run out."""


@dataclass
class Outcome:
    """What a session came to."""

    listing: Listing = field(default_factory=Listing)
    whole: dict[int, bytes] = field(default_factory=dict)
    refused: int = 0
    quit: bool | None = None
    error: FetchError | None = None
    seconds: float = 0.0


def collect(account: Account, cafile: str) -> Outcome:
    """Open, retrieve all, delete what came whole, QUIT."""
    outcome, began = Outcome(), monotonic()
    try:
        mailbox = open_pop3(account, cafile=cafile)
        try:
            _collect(mailbox, outcome)
        finally:
            mailbox.close()
    except FetchError as error:
        outcome.error = error
    outcome.seconds = monotonic() - began
    return outcome


def _collect(mailbox: Pop3Mailbox, outcome: Outcome) -> None:
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
            case Refused():
                outcome.refused += 1
    list(mailbox.delete([letter for letter in outcome.listing.letters if letter.number in outcome.whole]))
    outcome.quit = mailbox.quit()


def account(server: Pop3Server, script: Script, encryption: Encryption) -> Account:
    in_time = PATIENT if script.error is not TimedOut and script.quit is not False else HASTY
    return Account(Protocol.POP3, "localhost", server.port, USER, PASSWORD, encryption=encryption, deadlines=in_time)


def check(script: Script, outcome: Outcome, maildrop: Maildrop) -> None:
    assert type(outcome.error) is (script.error or type(None)), outcome.error
    assert len(outcome.whole) == script.got
    assert outcome.quit is script.quit
    assert len(maildrop.letters) == script.left
    assert outcome.seconds < 10
    if script.error is None:
        assert outcome.listing.complete is script.complete
    if script.faithful:
        for number, data in outcome.whole.items():
            assert data == (script.letters[number - 1] or b"")
    came = {f"uid-{number}" for number in outcome.whole}
    assert {f"uid-{number}" for number in range(1, len(script.letters) + 1)} - set(maildrop.uids) <= came


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_it_survives(script: Script) -> None:
    maildrop = Maildrop(script.letters)
    with Pop3Server(maildrop, script.behaviour) as server:
        check(script, collect(account(server, script, Encryption.PLAINTEXT), ""), maildrop)


@pytest.mark.faults
@pytest.mark.parametrize("encryption", [Encryption.SSL, Encryption.STARTTLS, Encryption.AUTO])
@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_it_survives_them_cut_up_and_encrypted(
    script: Script, size: int, encryption: Encryption, certificates: Certificates
) -> None:
    maildrop = Maildrop(script.letters)
    behaviour = replace(script.behaviour, slice=size)
    tls, cafile = certificates.good.context(), str(certificates.cafile)
    with Pop3Server(maildrop, behaviour, tls=tls, implicit=encryption is Encryption.SSL) as server:
        check(script, collect(account(server, script, encryption), cafile), maildrop)


def test_it_knows_many_hostile_servers() -> None:
    assert len(BY_NAME) == len(SCRIPTS) >= 60
