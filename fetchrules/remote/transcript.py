"""The transcript of a session, for the journal: a bounded number of lines, without secrets or letters.

A server may repeat a password: as it came, in capitals, escaped or cut short. Everything that people are shown is masked;
decisions are made on the octets themselves.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from fetchrules.errors import MAX_DETAIL, printable

MASKED = "********"

PREFIX = 8
"""So many first characters of a secret are masked even where the rest does not follow."""


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The secrets of an account, the longest form first; `begun` matches the beginning of any of them."""

    forms: tuple[str, ...]
    begun: re.Pattern[str]

    @classmethod
    def of(cls, *secrets: str) -> "Secrets":
        """Each of `secrets` as it is, and as errors show it, with what is not printable escaped."""
        forms = {form for secret in secrets if secret for form in (secret, printable(secret, len(secret) * 12))}
        ordered = tuple(sorted(forms, key=len, reverse=True))
        return cls(ordered, re.compile("|".join(re.escape(form[:PREFIX]) for form in ordered), re.IGNORECASE))

    def masked(self, text: str) -> str:
        """`text` without the secrets and their beginnings, in any case."""
        return "".join(self._parts(text)) if self.forms and self.begun.search(text) else text

    def _parts(self, text: str) -> Iterator[str]:
        position = 0
        while found := self.begun.search(text, position):
            yield text[position : found.start()]
            yield MASKED
            position = max(found.end(), *(found.start() + _shared(form, text, found.start()) for form in self.forms))
        yield text[position:]


def _shared(secret: str, text: str, start: int) -> int:
    """How many first characters of `secret` stand in `text` at `start`, in any case."""
    there = text[start : start + len(secret)]
    for count, (one, other) in enumerate(zip(secret, there, strict=False)):
        if one.lower() != other.lower() and one.upper() != other.upper():
            return count
    return len(there)


class Speaker(StrEnum):
    """Who says a line, by the letters that RFCs put before their examples."""

    CLIENT = "C"
    SERVER = "S"
    NOTE = "*"
    """An event on the connection (connected, TLS)."""


Trace = Callable[[Speaker, str], None]
"""Called with each line of a session. The callers mask secrets and leave out letters and listings."""


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    speaker: Speaker
    said: str

    @property
    def text(self) -> str:
        """What was said, for people. Few of the lines of a session are ever shown."""
        return printable(self.said)


class Transcript:
    """A Trace that keeps the first and the last lines of a session; those between are only counted."""

    def __init__(self, head: int = 100, tail: int = 100) -> None:
        self.head: list[TranscriptLine] = []
        self.tail: deque[TranscriptLine] = deque(maxlen=tail)
        self.left_out = 0
        self._head_max = head

    def __call__(self, speaker: Speaker, text: str) -> None:
        line = TranscriptLine(speaker, text[: MAX_DETAIL + 1])
        if len(self.head) < self._head_max:
            self.head.append(line)
        else:
            self.left_out += len(self.tail) == self.tail.maxlen
            self.tail.append(line)
