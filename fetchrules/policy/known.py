"""The ledger's knowledge that a plan needs, and what size and header prove about a letter that was not fetched."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from fetchrules.errors import DeletionFailed
from fetchrules.remote.mailbox import Listed, Listing

MAX_TRIES = 5
"""A letter that failed so often is tried again once a day only, or by hand."""
HELD_PAUSE = timedelta(days=1)

SHORT_OCTETS = 1024
SHORT_SHARE = 0.1


class State(StrEnum):
    """How far we have come with a letter."""

    READY = "ready"
    SENDING = "sending"
    DELIVERED = "delivered"
    HELD = "held"
    PASSED = "passed"
    READ = "read"
    """Marked as read on the server, and compared: not one that we collected. It is left alone while the mark stays."""


IN_HAND = (State.READY, State.SENDING)
"""Recorded, and not known to be delivered."""


class Doubt(StrEnum):
    """Why a delivered letter stays on the server, whatever the rule says, until somebody has looked at it."""

    SHORT = "short"
    """It came far shorter than the server had said, twice with the same length."""
    PASSED = "passed"
    """It may be a letter that was passed over; too little is known of that one to tell."""


class Fate(StrEnum):
    """How far the letter's deletion on the server is."""

    KEPT = "kept"
    WANTED = "wanted"
    """To be deleted; the server was not asked yet, as far as we know."""
    SENT = "sent"
    """The server was asked and did not confirm: the deletion may have happened."""
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Known:
    """One letter in the ledger, for all its addressees. `id`: that of the row that is furthest behind.

    `gone`: a complete listing lacked it, or its deletion was confirmed. `tries`: failures to fetch, deliver or delete it, the last
    one for `reason`, an error's code. `lived`: seconds that its mailbox had lived through at its delivery. `octets`: received.
    `deletions`: how often its deletion was asked for; `deleted`: confirmed once. `head`: fingerprint of its header. `received_at`:
    when it arrived at the server (INTERNALDATE, else its header). `former`: it is in the ledger of the mailbox's former name.
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
    received_at: datetime | None = None
    former: bool = False

    @property
    def in_hand(self) -> bool:
        return self.state in IN_HAND

    @property
    def broke_deleting(self) -> bool:
        """Whether its deletion broke a session: no other deletion may depend on the session that repeats it."""
        return self.tries > 0 and self.reason == DeletionFailed.code

    @property
    def uncounted(self) -> bool:
        """Whether it was delivered before its mailbox counted days."""
        return self.state is State.DELIVERED and self.lived is None

    def beside(self, other: "Known") -> "Known":
        """One letter of two addressees' rows: it is as far as the row behind, and was delivered when the later one was."""
        behind, ahead = sorted((self, other), key=lambda row: _BEHIND_FIRST.index(row.state))
        return replace(
            behind,
            fate=max(behind.fate, ahead.fate, key=list(Fate).index),
            doubt=behind.doubt or ahead.doubt,
            delivered_at=_later(behind.delivered_at, ahead.delivered_at),
            lived=None if behind.lived is None or ahead.lived is None else max(behind.lived, ahead.lived),
        )

    def may_be_of_another(self, letter: Listed) -> bool:
        """Whether the name may have been given to another letter meanwhile."""
        return self.gone or self.size != letter.size

    def is_given_up(self, now: datetime) -> bool:
        """Whether it is left alone for a day."""
        return self.tries >= MAX_TRIES and self.tried_at is not None and abs(now - self.tried_at) < HELD_PAUSE


_BEHIND_FIRST = (*IN_HAND, State.HELD, State.PASSED, State.READ, State.DELIVERED)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)


def ambiguous(listing: Listing) -> frozenset[str]:
    """Names that more than one letter has, and those that cannot be names."""
    counts = Counter(letter.uid for letter in listing.letters)
    return frozenset(one.uid for one in listing.letters if counts[one.uid] > 1 or not one.has_name)


def name_by_size(letter: Listed) -> str:
    """The ledger's name for a letter without a unique-id that could not be collected. The blank keeps it apart from unique-ids."""
    return f"size {letter.size}"


@dataclass(frozen=True, slots=True)
class FetchedElsewhere:
    """Letters that another collector has fetched and left, by lists that wait for a complete listing. `lists`: their ids.

    `listed`: unique-ids of the lists that are listed now; `absent`: how many are not.
    """

    lists: tuple[int, ...]
    listed: frozenset[str]
    absent: int


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The ledger's view of a mailbox for one listing."""

    rows: Mapping[str, Known] = field(default_factory=dict)
    """The newest row for each name in the listing (or `name_by_size`), within the listing's epoch."""
    unlisted: frozenset[int] = frozenset()
    """Ids of rows whose letters should be on the server but are not in the listing under their uid and epoch."""
    renumbered: bool = False
    """Some of these are of another epoch."""
    renamed: tuple[Known, ...] = ()
    """Delivered letters among `unlisted` that stayed there, if UIDVALIDITY has changed since the last look."""
    marked: frozenset[str] = frozenset()
    """Uids of letters that were also collected for another recipient, and marked as read by that."""
    moved: bool = False
    """Letters of another epoch are recorded for any recipient: a mark as read may be theirs."""
    passed: tuple[Known, ...] = ()
    """Letters that were passed over and may be listed under other names."""
    held_sizes: frozenset[int] = frozenset()
    """Sizes of letters among `unlisted` that could not be fetched so far."""
    former: bool = False
    """The ledger of the mailbox's former name has letters that may be here."""
    taken: frozenset[int] = frozenset()
    """Ids of those that are recognised already."""
    outdated: frozenset[int] = frozenset()
    """Ids of rows in state READ whose names are gone."""
    ask_last: str = ""
    """The name of the letter at which the server was last over its limits."""
    elsewhere: FetchedElsewhere | None = None


def is_short(listed: int, octets: int) -> bool:
    """Whether a letter of `octets`, each line end counted as two, is too short to be one of `listed` octets.

    Servers count sizes in different ways. A letter is short if it lacks more than 1 KB and more than a tenth, or half of it.
    """
    lack = listed - octets
    return (lack > SHORT_OCTETS and lack > SHORT_SHARE * listed) or 2 * octets < listed


@dataclass(frozen=True, slots=True)
class PassedMatch:
    """`row`: the passed letter that this one is. `perhaps`: it may be one of them, but too little is known to tell."""

    row: Known | None = None
    perhaps: bool = False


def passed_by_head(passed: Sequence[Known], letter: Listed, head: str) -> PassedMatch:
    """Which of the `passed` letters this one is, by size and header (`head`, empty if unknown), as they were never fetched.

    Both equal: it is that letter. Only the header equal, or one header unknown and the size or the unique-id equal: it may be.
    """
    same_size = [row for row in passed if row.size == letter.size]
    alike = [row for row in passed if row.size == letter.size or row.uid == letter.uid]
    if head:
        for row in same_size:
            if row.head == head:
                return PassedMatch(row)
        if any(row.head == head for row in passed):
            return PassedMatch(perhaps=True)
    return PassedMatch(perhaps=any(not (head and row.head) for row in alike))
