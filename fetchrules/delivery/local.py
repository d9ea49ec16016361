"""What a local mailbox can do: letters are staged beside it first, and delivered into it second."""

from collections.abc import Sequence
from typing import Protocol

from fetchrules.delivery.staging import Staging
from fetchrules.errors import DeliveryFailed


class LocalMailbox(Protocol):
    """One recipient's mailbox on this side, and the directory in which its letters wait (`staging`).

    `exactly_once`: `commit` can be repeated after a crash without delivering again (Maildir). Otherwise (LMTP, SMTP) a
    commit whose end was not recorded may deliver a second time.
    """

    exactly_once: bool
    staging: Staging

    def prepare(self, octets: int) -> None:
        """Make sure that about `octets` can be delivered now, into the mailbox known before. Raises DeliveryFailed.

        Comes first, and again before each batch.
        """
        ...

    def commit(self, names: Sequence[str]) -> dict[str, DeliveryFailed]:
        """Deliver staged letters durably; the ones that could not be, or perhaps were not, with the reason.

        A name that is gone was delivered before. Raises DeliveryFailed when nothing can be said of any of them.
        """
        ...

    def in_doubt(self, names: Sequence[str]) -> Sequence[str]:
        """Those of `names`, committed before, that committing again could deliver twice: none where it is exactly once."""
        ...

    def close(self) -> None:
        """Let go of descriptors and connections. What is staged stays. Never raises; may be called twice."""
        ...
