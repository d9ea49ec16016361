"""What any local mailbox can do: take a letter into safety first, deliver it second. `poll` knows no more than this."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from fetchrules.errors import DeliveryFailed


@dataclass(frozen=True, slots=True)
class Staged:
    """A whole letter, written beside the mailbox but not yet in it.

    `size` is in octets as received; `fingerprint` as `fetchrules.delivery.fingerprint` defines it; `head` the first
    octets of its header (at most 16 KiB), for the journal. `header` is the fingerprint of the header alone (`head_print`);
    `canonical` the size in octets with each line end counted as two, however it was sent.
    """

    name: str
    size: int
    fingerprint: str
    head: bytes
    header: str = ""
    canonical: int = 0


class Draft(Protocol):
    """A letter that is being written. Exactly one of `finish` and `discard` ends it."""

    def write(self, data: bytes) -> None:
        """Append octets as the remote server sent them. Raises DeliveryFailed (DiskFull, …)."""
        ...

    def finish(self) -> Staged:
        """The letter is complete. Not durable before `LocalMailbox.sync`."""
        ...

    def discard(self) -> None:
        """Remove what was written. Never raises."""
        ...


class LocalMailbox(Protocol):
    """One recipient's mailbox on this side.

    `exactly_once`: `commit` can be repeated after a crash without delivering again (Maildir). Otherwise (LMTP, SMTP) a
    commit whose end was not recorded may deliver a second time.
    """

    exactly_once: bool

    @property
    def marker(self) -> str | None:
        """The id by which the staging directory is known again; to be recorded after the first `prepare`."""
        ...

    def prepare(self, octets: int) -> None:
        """Make sure that about `octets` can be delivered now, into the mailbox known before. Raises DeliveryFailed.

        Comes first, and again before each batch.
        """
        ...

    @property
    def sealed(self) -> bool:
        """Whether the staging directory is certainly the one that its marker was made in, and no copy. Raises DeliveryFailed.

        Only there a letter that is missing was delivered.
        """
        ...

    def seal(self, waiting: Collection[str]) -> None:
        """From now on this directory is the one, though it may be a copy: `waiting` are all letters that were recorded for its
        marker and are not known to be delivered. Raises MaildirReplaced where one of them is missing, DeliveryFailed.
        """
        ...

    def stage(self, key: str) -> Draft:
        """Begin a letter. `key` names it for ever (source, epoch, uid, ord) and is hashed into the file name."""
        ...

    def sync(self, staged: Sequence[Staged]) -> None:
        """Make staged letters durable. Raises DeliveryFailed; the letters are then gone: no fsync can be repeated."""
        ...

    def commit(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Deliver staged letters durably; the ones that could not be, or perhaps were not, with the reason.

        A name that is gone was delivered before. Raises DeliveryFailed when nothing can be said of any of them.
        """
        ...

    def in_doubt(self, names: Sequence[str]) -> Sequence[str]:
        """Those of `names`, committed before, that committing again could deliver twice: none where it is exactly once."""
        ...

    def discard(self, names: Sequence[str]) -> None:
        """Remove staged letters that will not be delivered. Never raises."""
        ...

    def leftovers(self) -> list[str]:
        """Staged files of ours older than 24 hours, unless the clock was set. Raises DeliveryFailed.

        They may belong to an unfinished letter of this mailbox, or to a poll at work: to be discarded when that is ruled out.
        """
        ...

    def close(self) -> None:
        """Let go of descriptors and connections. What is staged stays. Never raises; may be called twice."""
        ...
