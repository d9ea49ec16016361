"""Whole sessions as S:/C: files: the server says its lines, and each C: line has to be what we say there."""

from dataclasses import replace
from pathlib import Path

import pytest

from fetchrules.errors import FetchError
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.imap.session import open_imap
from fetchrules.remote.mailbox import Complete
from fetchrules.rule import Encryption, Protocol
from tests.remote.told import Told
from tests.servers.imap import PASSWORD, USER
from tests.servers.loopback import LoopbackServer
from tests.waiting import until

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


def act(account: Account, steps: list[str]) -> str:
    """Do `steps`, the first of which may name a folder (open:Archive); how it ended: an error's code, or what `quit` said."""
    try:
        mailbox = open_imap(replace(account, folder=steps[0].partition(":")[2]))
        letters = mailbox.listing().letters
        for step in steps[1:]:
            match step:
                case "heads":
                    list(mailbox.heads(letters))
                case "retrieve":
                    letters = tuple(one.letter for one in mailbox.retrieve(letters) if isinstance(one, Complete))
                case "mark":
                    mailbox.mark_seen(letters)
                case "delete":
                    list(mailbox.delete(letters))
    except FetchError as error:
        return error.code
    return "quit" if mailbox.quit() else "no quit"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_says_what_the_transcript_says(path: Path) -> None:
    told = Told.read(path)
    heard: list[list[str]] = []
    with LoopbackServer(lambda peer: heard.append(told.play(peer))) as server:
        account = Account(
            Protocol.IMAP,
            server.address,
            server.port,
            USER,
            PASSWORD,
            encryption=Encryption.PLAINTEXT,
            deadlines=Deadlines(connect=10, idle=10, session=10),
        )
        end = act(account, told.steps)
        until(lambda: heard)  # the farewell is not waited for
    assert heard == [told.lines]
    assert end == told.end
