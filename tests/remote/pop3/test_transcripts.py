"""Whole sessions as S:/C: files: the server says its lines, and each C: line has to be what we say there."""

from pathlib import Path

import pytest

from fetchrules.errors import FetchError
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.rule import Encryption, Protocol
from tests.remote.told import Told
from tests.servers.loopback import LoopbackServer
from tests.servers.pop3 import PASSWORD, USER

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


def act(account: Account, steps: list[str]) -> str:
    """Do `steps`; how it ended: an error's code, or what `quit` said."""
    try:
        mailbox = open_pop3(account)
        for step in steps[1:]:
            match step:
                case "retrieve":
                    list(mailbox.retrieve(mailbox.listing().letters))
                case "delete":
                    list(mailbox.delete(mailbox.listing().letters))
                case "reset":
                    mailbox.reset()
    except FetchError as error:
        return error.code
    confirmed = mailbox.quit()
    return "quit confirmed" if confirmed else "quit not confirmed"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_says_what_the_transcript_says(path: Path) -> None:
    told = Told.read(path)
    heard: list[list[str]] = []
    with LoopbackServer(lambda peer: heard.append(told.play(peer))) as server:
        account = Account(
            Protocol.POP3,
            server.address,
            server.port,
            USER,
            PASSWORD,
            encryption=Encryption.PLAINTEXT,
            deadlines=Deadlines(connect=10, idle=10, session=10),
        )
        end = act(account, told.steps)
    assert heard == [told.lines]
    assert end == told.end
