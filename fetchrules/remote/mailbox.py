"""What a remote mailbox can do, in either protocol: all that `poll` knows of the network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

MAX_UID = 128
"""Characters of a unique-id that is kept as it is."""

HEAD_MAX = 256 * 1024
"""Octets of a header that are looked at; as many are part of its fingerprint."""


class TlsLevel(StrEnum):
    """How well a connection was protected; ordered from least to most."""

    NONE = "none"
    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    """The certificate verified, or was the pinned one."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the panel shows of a server's certificate. `sha256` is lower-case hex of the DER form."""

    sha256: str
    subject: str = ""
    issuer: str = ""
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """How we are connected, learnt while opening the session."""

    address: str
    tls: TlsLevel
    tls_version: str = ""
    certificate: Certificate | None = None
    greeting: str = ""
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Listed:
    """One letter of a listing.

    `number` is how commands name it in this session (POP3 message number, IMAP UID). `uid` is its lasting name
    (POP3 unique-id, IMAP UID); empty when the server has none. `size` in octets is a hint. `seen` is IMAP's \\Seen;
    POP3 has no such thing.
    """

    number: int
    uid: str
    size: int
    seen: bool = False
    received: datetime | None = None

    @property
    def has_name(self) -> bool:
        """Whether `uid` can name a letter (RFC 1939 §7: 1 to 70 characters, 0x21 to 0x7E; a little longer is forgiven)."""
        return 0 < len(self.uid) <= MAX_UID and self.uid.isascii() and self.uid.isprintable()


@dataclass(frozen=True, slots=True)
class Listing:
    """All letters of the mailbox at one moment.

    `epoch` is IMAP's UIDVALIDITY, None for POP3. `complete`: the list was terminated and its length is what the
    server had announced; from any other list nothing may be concluded about letters that it lacks. `flagged` are IMAP's letters
    on their way out (\\Deleted), ours or another client's; they are not among `letters`. `unlisted`: how many more letters the
    server counts than it lists with all that is needed to fetch them.
    """

    letters: tuple[Listed, ...] = field(default=())
    epoch: int | None = None
    complete: bool = False
    has_uids: bool = True
    octets: int = 0
    flagged: tuple[Listed, ...] = ()
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class Begun:
    """The server began to send this letter."""

    letter: Listed


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next octets of this letter, dot-unstuffed, line ends as the server sent them."""

    letter: Listed
    data: bytes


@dataclass(frozen=True, slots=True)
class Complete:
    """The letter is whole: its terminator was seen. `doubtful`: the server may have more of it."""

    letter: Listed
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused to send this letter; the session goes on. `limited`: it refuses all, since a limit of its is reached."""

    letter: Listed
    reason: str
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """Another client has removed the letter since it was listed."""

    letter: Listed


Retrieved = Begun | Chunk | Complete | Refused | Gone


class RemoteMailbox(Protocol):
    """An open, logged-in session. Every method may raise FetchError; after one the session can only be closed."""

    connection: Connection
    exists: int
    """How many letters the server says there are."""
    together: int
    """How many letters the command named whose answer broke the session: any of them may be at fault."""

    def listing(self, at_once: int | None = None) -> Listing:
        """The letters of the mailbox as they were when the session began; at most `at_once` in one command, where that can be."""
        ...

    def heads(self, letters: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
        """Each of `letters`, in this order, with the octets of its header (at most HEAD_MAX); None where it cannot be had alone.

        Marks nothing as read.
        """
        ...

    def retrieve(self, letters: Iterable[Listed], at_once: int | None = None) -> Iterator[Retrieved]:
        """Fetch `letters` in this order, pipelined where the server can: Begun, Chunk…, Complete for each, or Refused, or Gone.

        Refused may follow Begun: what came of the letter so far is void.

        `letters` is read only as they are asked for, so the caller can end it early. At most `at_once` letters go in one command.
        """
        ...

    def delete(self, letters: Sequence[Listed]) -> Iterator[tuple[Listed, bool]]:
        """Mark `letters` as deleted; each of them, in this order, with whether the server accepted it.

        It takes effect at `quit` (POP3) or at once (IMAP). If the session breaks, the fault is with the first letter that was not
        yielded, or with one of the `together` letters from it on.
        """
        ...

    def mark_seen(self, letters: Sequence[Listed]) -> None:
        """Mark `letters` as read where the protocol has such a mark."""
        ...

    def reset(self) -> None:
        """Take back every deletion of this session that has not taken effect."""
        ...

    def quit(self) -> bool:
        """End the session properly. True: the server confirmed, deletions took effect. Never raises."""
        ...

    def close(self) -> None:
        """Drop the connection without committing anything. Never raises; may be called twice."""
        ...
