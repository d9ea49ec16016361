"""What a poll is going to do with the letters of a mailbox, one by one."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum

from fetchrules.policy.known import Doubt, Known, State, makeshift
from fetchrules.remote.mailbox import Listed

READ_AGAIN = timedelta(days=1)
"""A letter that its server does not delete, and gives no header of, is fetched again to be compared no more often than this."""


class Why(StrEnum):
    """Why a letter is left alone in this poll."""

    SEEN = "seen"
    PRESENT = "present"
    TOO_LARGE = "too_large"
    FETCHLIMIT = "fetchlimit"
    HELD = "held"
    PASSED = "passed"
    IN_HAND = "in_hand"
    DOUBT = "doubt"
    MARKED = "marked"
    """It was delivered and bears a doubt that somebody has to settle (`policy.Doubt`)."""
    GONE = "gone"


class Purpose(Enum):
    """What a letter is fetched for."""

    COLLECT = "collect"
    """To be delivered, unless it is compared and turns out to be known."""
    OWED = "owed"
    """It is marked as read on the server, perhaps by us. Deliver it only if it was collected for somebody else."""
    FLAGGED = "flagged"
    """It is flagged for deletion on the server, perhaps by us. Never deliver it; expunge it if it was ours to delete."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A letter to fetch. `row` is the ledger's row of its uid, if any.

    `delete_after`: delete it once it is delivered. `compare`: its name proves nothing, so its fingerprint decides whether it is
    one that we have; if so it is not delivered again, and deleted only if it was to be. `ord` makes the new row's key unique.
    `named`: the server's name for the letter is its own; otherwise the ledger calls it by its fingerprint. `doubt`: it is left on
    the server once it is delivered, until somebody has looked at it. `delete_known`: its deletion was asked for before; if it is
    the same letter still, it is to be deleted, whatever becomes of new ones. `head`: the
    fingerprint of its header, fetched alone, which may differ from that of the whole letter.
    """

    letter: Listed
    delete_after: bool
    compare: bool = False
    ord: int = 0
    row: Known | None = None
    named: bool = True
    purpose: Purpose = Purpose.COLLECT
    doubt: Doubt | None = None
    delete_known: bool = False
    head: str = ""

    @property
    def again(self) -> bool:
        """Whether the rule itself wants a letter once more that it certainly had (fetchall)."""
        return self.row is not None and self.row.state is State.DELIVERED and not self.compare

    @property
    def name(self) -> str:
        """What the ledger calls the letter as long as it made nothing but trouble."""
        return self.letter.uid if self.named else makeshift(self.letter)


@dataclass(frozen=True, slots=True)
class ToDelete:
    """A letter to delete without fetching it. `row` None: the server alone says that it was read.

    `if_head`: only if its header is still the one that `row` remembers. `head`: the fingerprint of the present one.
    """

    letter: Listed
    row: Known | None
    if_head: bool = False
    head: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one poll is going to do, in this order: `delete`, then `fetch`; the rest is `left`.

    `believed`: ids of the ledger's rows whose letters are here under their own names, so that no other letter can be theirs.
    `unsettled`: letters are left that may be some of the ledger's by other names. `back`: rows of letters that are passed over and
    were missing from an earlier list. `flagged`: how many letters somebody else, as far as we know, has flagged for deletion.
    `headless`: rows of letters that are passed over and whose headers are not on record yet, with the letters.
    """

    delete: tuple[ToDelete, ...] = ()
    fetch: tuple[Errand, ...] = ()
    left: tuple[tuple[Listed, Why], ...] = ()
    believed: frozenset[int] = frozenset()
    distrusted: bool = False
    unsettled: bool = False
    back: frozenset[int] = frozenset()
    flagged: int = 0
    headless: tuple[tuple[Listed, Known], ...] = ()

    @property
    def present(self) -> tuple[Listed, ...]:
        """The letters that count as collected from now on, without being fetched."""
        return tuple(letter for letter, why in self.left if why is Why.PRESENT)

    @property
    def octets(self) -> int:
        """About how much is going to be fetched."""
        return sum(errand.letter.size for errand in self.fetch)
