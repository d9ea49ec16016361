"""What a POP3 server said, as the protocol machine tells it."""

from dataclasses import dataclass

from fetchrules.remote.pop3.commands import Command
from fetchrules.remote.pop3.grammar import StatusLine


@dataclass(frozen=True, slots=True)
class Greeting:
    """The line with which the server opens the session."""

    line: StatusLine


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole answer to `command`: its line, and of a listing the lines below it, dot-unstuffed, with their CRLF."""

    command: Command
    line: StatusLine
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class LetterBegan:
    """A positive answer to RETR or TOP; the letter follows, or the beginning of it."""

    command: Command
    line: StatusLine


@dataclass(frozen=True, slots=True)
class LetterData:
    """The next octets of the letter, dot-unstuffed. Where the blocks are cut means nothing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LetterEnded:
    """The terminator was seen: what was asked for is whole."""

    command: Command


Event = Greeting | Reply | LetterBegan | LetterData | LetterEnded
