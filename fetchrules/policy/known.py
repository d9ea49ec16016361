"""What the ledger knows of letters, as the plan needs it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from fetchrules.errors import DeletionFailed
from fetchrules.remote.mailbox import Listed, Listing

MAX_TRIES = 5
"""A letter that failed so often is held: tried again once a day, or when asked by hand."""

HELD_PAUSE = timedelta(days=1)


class State(StrEnum):
    """How far we have come with a letter."""

    READY = "ready"
    SENDING = "sending"
    DELIVERED = "delivered"
    HELD = "held"
    PASSED = "passed"
    READ = "read"
    """Marked as read on the server, and compared: it is none of the letters that we collected. Not collected, but left alone
    as long as the mark stays."""


IN_HAND = (State.READY, State.SENDING)
"""Recorded, and not known to be delivered."""


class Doubt(StrEnum):
    """Why a letter that was delivered is left on the server, whatever the rule says, until somebody has looked at it."""

    SHORT = "short"
    """It came far shorter than the server had said, twice with the same length."""
    PASSED = "passed"
    """It may be one that was passed over: too little is known of that one to tell."""


class Fate(StrEnum):
    """What is to become of the letter on the server, and how far that has come."""

    KEPT = "kept"
    WANTED = "wanted"
    """To be deleted; not asked of the server yet, as far as we know."""
    SENT = "sent"
    """The deletion was asked for and never confirmed: it may have happened."""
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds of one letter. `gone`: it was missing from a complete listing, or its deletion was confirmed.
    `tries`: how often it could not be fetched, delivered or deleted, at last for `reason`, an error's code. `lived`: what its
    mailbox had lived through when it was delivered. `octets`: how many came. `deletions`: how often its deletion was asked for;
    `deleted`: the server has confirmed it once. `head`: the fingerprint of its header. `former`: it is of the ledger that the
    mailbox had under another name.
    """

    id: int
    uid: str
    ord: int
    size: int
    state: State
    fate: Fate = Fate.KEPT
    gone: bool = False
    tries: int = 0
    tried_at: datetime | None = None
    reason: str = ""
    delivered_at: datetime | None = None
    doubt: Doubt | None = None
    lived: int | None = None
    octets: int = 0
    deletions: int = 0
    deleted: bool = False
    head: str = ""
    former: bool = False

    @property
    def in_hand(self) -> bool:
        """Whether it is on its way: recorded, and not known to be delivered."""
        return self.state in IN_HAND

    @property
    def broke_deleting(self) -> bool:
        """Whether asking for its deletion has broken a session: no other deletion may hang on the session that asks again."""
        return self.tries > 0 and self.reason == DeletionFailed.code

    @property
    def uncounted(self) -> bool:
        """Whether it was delivered before the days of its mailbox were counted."""
        return self.state is State.DELIVERED and self.lived is None

    def may_be_of_another(self, letter: Listed) -> bool:
        """Whether the name may have been given to another letter meanwhile."""
        return self.gone or self.size != letter.size

    def is_given_up(self, now: datetime) -> bool:
        """Whether it is left alone for a day."""
        return self.tries >= MAX_TRIES and self.tried_at is not None and abs(now - self.tried_at) < HELD_PAUSE


def ambiguous(listing: Listing) -> frozenset[str]:
    """Names that more than one letter has, or none."""
    counts = Counter(letter.uid for letter in listing.letters)
    return frozenset(one.uid for one in listing.letters if counts[one.uid] > 1 or not one.has_name)


def makeshift(letter: Listed) -> str:
    """What the ledger calls a letter that has no name of its own and made trouble. No server's name has a blank in it."""
    return f"size {letter.size}"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The ledger's view of a mailbox, fitted to one listing.

    `rows`: the newest row for each uid of the listing (or makeshift name), in the listing's epoch. `unlisted`: ids of the rows
    whose letters should be on the server but are not in the listing under their uid and epoch. `renumbered`: some of them are
    of another epoch.
    `marked`: uids of letters that were collected for another recipient, too, and marked as read by that. `moved`: letters are on
    record, for this recipient or another, that had their names in another epoch: a mark as read may be theirs.
    `passed`: letters that were passed over and may be listed under other names. `held_sizes`: sizes of letters among `unlisted`
    that could not be fetched so far. `former`: the mailbox had another name before, and its ledger has letters that may be here;
    `taken`: ids of those that are recognised already. `outdated`: ids of rows in state READ whose names are gone. `ask_last`: the
    unique-id of the letter over which the server said last that it gives no more.
    """

    rows: Mapping[str, Known] = field(default_factory=dict)
    unlisted: frozenset[int] = frozenset()
    renumbered: bool = False
    marked: frozenset[str] = frozenset()
    moved: bool = False
    passed: tuple[Known, ...] = ()
    held_sizes: frozenset[int] = frozenset()
    former: bool = False
    taken: frozenset[int] = frozenset()
    outdated: frozenset[int] = frozenset()
    ask_last: str = ""
