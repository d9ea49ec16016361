"""What was said in a session, for the journal: a bounded number of lines, without secrets or letters."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fetchrules.errors import printable


class Speaker(StrEnum):
    """Who says a line of a transcript. The letters are those that RFCs put before their examples."""

    CLIENT = "C"
    SERVER = "S"
    NOTE = "*"
    """Nobody: what happened on the line (connected, TLS)."""


Trace = Callable[[Speaker, str], None]
"""Called with each line of a session. The protocol clients leave out letters and listings and mask secrets."""


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    speaker: Speaker
    text: str


class Transcript:
    """A Trace that keeps how a session began and how it ended; the middle of a long one is only counted."""

    def __init__(self, head: int = 100, tail: int = 100) -> None:
        self._head: list[TranscriptLine] = []
        self._head_max = head
        self._tail: deque[TranscriptLine] = deque(maxlen=tail)
        self._said = 0

    def __call__(self, speaker: Speaker, text: str) -> None:
        self._said += 1
        line = TranscriptLine(speaker, printable(text))
        if len(self._head) < self._head_max:
            self._head.append(line)
        else:
            self._tail.append(line)

    @property
    def left_out(self) -> int:
        """How many lines are missing between `head` and `tail`."""
        return self._said - len(self._head) - len(self._tail)

    @property
    def head(self) -> tuple[TranscriptLine, ...]:
        return tuple(self._head)

    @property
    def tail(self) -> tuple[TranscriptLine, ...]:
        return tuple(self._tail)
