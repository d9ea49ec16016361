"""Whole sessions as S:/C: files: the server says its lines, and each C: line has to be what we say there."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from fetchrules.errors import FetchError
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.rule import Encryption, Protocol
from tests.servers.loopback import LoopbackServer, Peer
from tests.servers.pop3 import PASSWORD, USER

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@dataclass(frozen=True, slots=True)
class Told:
    """One file: what to do, how it ends, and the lines."""

    steps: list[str]
    end: str
    lines: list[str]

    @classmethod
    def read(cls, path: Path) -> "Told":
        lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        steps, end, *rest = lines
        return cls(steps.removeprefix("do: ").split(), end.removeprefix("end: "), rest)

    def play(self, peer: Peer) -> list[str]:
        """Say the S: lines, hear the C: lines; the session as it really went."""
        heard = []
        for line in self.lines:
            speaker, _, said = line.partition(":")
            if speaker == "S":
                peer.send(said.removeprefix(" ").encode() + b"\r\n")
                heard.append(line)
            else:
                heard.append(f"C: {peer.read_line().decode()}")
        return heard


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
