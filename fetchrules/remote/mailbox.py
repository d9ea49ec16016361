"""A remote mailbox in either protocol, as `poll` knows it."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from fetchrules.remote.auth.ways import Way

MAX_UID = 128
"""Characters of a unique-id that is kept as it is."""

HEAD_MAX = 256 * 1024
"""Octets of a header that are read, and that its fingerprint covers."""


class TlsLevel(StrEnum):
    """The protection of a connection, from least to most."""

    NONE = "none"
    WEAK = "weak"
    """By ciphers or keys that were good in 2010 (`authorities.WEAK`), whatever the certificate."""
    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    """The certificate verified, or was the pinned one."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """`sha256` is lower-case hex of the DER form."""

    sha256: str
    subject: str = ""
    issuer: str = ""
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """`way` is how it was logged in, None before the login."""

    address: str
    tls: TlsLevel
    tls_version: str = ""
    certificate: Certificate | None = None
    greeting: str = ""
    capabilities: frozenset[str] = frozenset()
    way: Way | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One letter of a listing.

    Commands of this session name it by `number` (POP3 message number, IMAP UID). `uid` is its lasting name (POP3 unique-id,
    IMAP UID), empty when the server has none. `size`, in octets, is a hint. `seen`, `starred` and `answered` are IMAP's \\Seen,
    \\Flagged and \\Answered.
    """

    number: int
    uid: str
    size: int
    seen: bool = False
    received: datetime | None = None
    starred: bool = False
    answered: bool = False

    @property
    def has_name(self) -> bool:
        """Whether `uid` can name a letter (RFC 1939 §7: 1 to 70 characters, 0x21 to 0x7E; a little longer is forgiven)."""
        return 0 < len(self.uid) <= MAX_UID and self.uid.isascii() and self.uid.isprintable()


@dataclass(frozen=True, slots=True)
class Listing:
    """All letters of the mailbox at one moment.

    `epoch` is IMAP's UIDVALIDITY, None for POP3. A `complete` list is terminated and as long as the server announced; any
    other list proves nothing about letters that it lacks. `flagged` letters are \\Deleted on IMAP, by any client, and not
    among `letters`. `unlisted` counts the letters that the server counts but does not list with name and size.
    """

    letters: tuple[Listed, ...] = ()
    epoch: int | None = None
    complete: bool = False
    has_uids: bool = True
    flagged: tuple[Listed, ...] = ()
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class Begun:
    letter: Listed


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next octets of a letter, dot-unstuffed, line ends as the server sent them."""

    letter: Listed
    data: bytes


@dataclass(frozen=True, slots=True)
class Complete:
    """All octets of the letter came, as many as the server announced."""

    letter: Listed


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused to send this letter; the session goes on. `limited`: it refuses all letters for now."""

    letter: Listed
    reason: str
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """Another client has removed the letter since it was listed."""

    letter: Listed


_BLANK_LINE = re.compile(rb"\A\r?\n|\n\r?\n")


class Head:
    """A header in pieces, with its blank line, cut at HEAD_MAX. Drops the body that some servers send behind it."""

    __slots__ = ("_ended", "_octets")

    def __init__(self) -> None:
        self._octets = bytearray()
        self._ended = False

    def feed(self, data: bytes) -> None:
        if self._ended:
            return
        searched = max(len(self._octets) - 2, 0)
        self._octets += data[: HEAD_MAX - len(self._octets)]
        if blank := _BLANK_LINE.search(self._octets, searched):
            del self._octets[blank.end() :]
        self._ended = blank is not None or len(self._octets) == HEAD_MAX

    def octets(self) -> bytes:
        return bytes(self._octets)


def digest(parts: Iterable[str]) -> str:
    """64 hex digits that stand for these parts, in this order; none of them has a line end in it."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


Retrieved = Begun | Chunk | Complete | Refused | Gone


class RemoteMailbox(Protocol):
    """An open, logged-in session. Every method may raise FetchError; after one the session can only be closed."""

    connection: Connection
    exists: int
    """The server's count of letters."""

    @property
    def state(self) -> str:
        """What the mailbox holds, in short: the same in two sessions only if all letters, names, sizes and marks are the same.

        Empty as long as that is not known. IMAP may know it before the listing (RFC 7162), or else after it.
        """

    @property
    def gives_heads(self) -> bool:
        """Whether the server is worth asking for headers alone, or for more of them, in this session."""

    @property
    def together(self) -> int:
        """How many letters the deletion named that broke the session: any of them may be at fault."""

    def listing(self, at_once: int | None = None) -> Listing:
        """The letters as they were when the session began; at most `at_once` in one command, where that is possible."""

    def heads(self, letters: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
        """Each of `letters`, in any order, with at most HEAD_MAX octets of its header, None without one. Marks nothing as read."""

    def retrieve(self, letters: Iterable[Listed]) -> Iterator[Retrieved]:
        """Fetch `letters`, in any order: Begun, Chunk…, Complete for each, one letter behind the other, or Refused, or Gone.

        A Refused after Begun voids what came of the letter. `letters` is read as they are asked for, so it may end early.
        """

    def delete(self, letters: Sequence[Listed]) -> Iterator[tuple[Listed, bool]]:
        """Each of `letters`, in order, with whether the server accepted its deletion, effective at `quit` (POP3) or at once (IMAP).

        If the session breaks, one of the `together` letters from the first that was not yielded is at fault.
        """

    def mark_seen(self, letters: Sequence[Listed]) -> None:
        """Mark `letters` as read; POP3 has no such mark."""

    def reset(self) -> None:
        """Take back the deletions of this session that have not taken effect."""

    def quit(self) -> bool:
        """End the session. True: the server confirmed, and deletions took effect. Never raises."""

    def close(self) -> None:
        """Drop the connection and commit nothing. Never raises; may be called twice."""
