"""Whole sessions as S:/C: files: the server says its lines, and each C: line has to be what we say there."""

from dataclasses import dataclass
from pathlib import Path

from tests.servers.loopback import Hangup, Peer


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
        try:
            for line in self.lines:
                speaker, _, said = line.partition(":")
                if speaker == "S":
                    peer.send(said.removeprefix(" ").encode() + b"\r\n")
                    heard.append(line)
                else:
                    heard.append(f"C: {peer.read_line().decode()}")
        except Hangup:
            heard.append("The client has hung up.")
        return heard
