"""The plan of one poll: for every letter of a listing, what to do with it and why. Pure.

How far a name can be trusted
-----------------------------
The ledger files a letter under (epoch, unique-id). On IMAP the epoch is the folder's UIDVALIDITY: while it stays the same,
RFC 3501 §2.3.1.1 promises that a UID never names another letter. POP3 promises less (RFC 1939 §7 lets servers use unique-ids
again), and some servers lose their index and number all letters anew; there the epoch is our counter, raised when that happens.

A *suspect* letter is one whose name proves nothing: it may be a letter that we have. Reasons: its size differs from the recorded
one; it was missing from a listing before; two letters bear its name, or it has none; letters of the ledger are absent while unknown
ones are here; UIDVALIDITY changed; the mailbox had another name before. Suspect letters are fetched and compared by fingerprint
(ToFetch.compare). A letter that is known is called by its present name and not delivered again; any other is new.

Some servers give another UIDVALIDITY at each login (Proton's bridge). Where it has changed since the last look, and the rule never
deletes, a letter is taken for the recorded one by its time of arrival and size, without a look at it, if both have such letters in
equal number. The ledger does not note that: the name proves nothing, so no deletion may ever rest on it. Once UIDVALIDITY stays,
the letters are compared.

If the listing as a whole contradicts the ledger (incomplete, resized or nameless letters, all letters renamed), nothing is deleted
unread in that poll. A doubt ends in "keep it on the server and look again": never in a deletion, never in a second delivery
without a comparison. An empty or incomplete listing proves no letter absent.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import assert_never

from fetchrules.policy.known import Doubt, Fate, Knowledge, Known, State, ambiguous, name_by_size
from fetchrules.policy.table import Action, Terms, decide
from fetchrules.remote.mailbox import Listed, Listing

READ_AGAIN = timedelta(days=1)
"""The pause before a letter that its server neither deletes nor gives the header of is fetched and compared again."""


class Why(StrEnum):
    """Why a letter is left alone in this poll."""

    SEEN = "seen"
    PRESENT = "present"
    ELSEWHERE = "elsewhere"
    """Another collector has fetched it, by its list (`FetchedElsewhere`)."""
    UNDATED = "undated"
    """Whether it counts as collected depends on its time of arrival, which is not known yet."""
    TOO_LARGE = "too_large"
    FETCHLIMIT = "fetchlimit"
    HELD = "held"
    PASSED = "passed"
    IN_HAND = "in_hand"
    DOUBT = "doubt"
    MARKED = "marked"
    """It was delivered with a doubt (`policy.Doubt`) that somebody has to settle."""
    GONE = "gone"


class Remark(StrEnum):
    """What went otherwise than planned without making the poll fail; counted in letters."""

    UNLISTED = "unlisted"
    """The server counts them, but does not list them, or without what is needed to fetch them."""
    UNDELETED = "undeleted"
    """The server refused to delete them, or would have deleted others' letters with them."""
    NOT_DELETED = "not_deleted"
    """The server confirmed their deletion in an earlier poll and lists them again."""
    FLAGGED = "flagged"
    """Others flagged them for deletion, so they are not collected."""
    DOUBTED = "doubted"
    """They were delivered with a doubt (`policy.Doubt`) and stay on the server."""
    UNCOUNTED = "uncounted"
    """Their days until deletion cannot be counted: polls are too rare or the clock is wrong."""
    RENAMED = "renamed"
    """The server gave them other UIDs; they were recognised by time and size."""
    NOT_THERE = "not_there"
    """Another collector's list has them, and the server does not."""
    UNCONFIRMED = "unconfirmed"
    """Their deletion was accepted and not confirmed, and is asked for again."""


class Purpose(Enum):
    """What a letter is fetched for."""

    COLLECT = "collect"
    """Deliver it, unless a comparison shows that it is known."""
    OWED = "owed"
    """It is marked as read on the server, perhaps by us. Deliver it only if it was collected for another recipient."""
    FLAGGED = "flagged"
    """It is flagged for deletion on the server, perhaps by us. Never deliver it; expunge it if it was ours to delete."""


@dataclass(frozen=True, slots=True)
class ToFetch:
    """A letter to fetch. `row` is the ledger's row of its unique-id, if any.

    `delete_after`: delete it once delivered. `compare`: it is suspect; if known, it is not delivered again, and is deleted only if
    the known letter was to be. `ord` makes the new row's key unique. `named`: the unique-id is this letter's alone; otherwise the
    ledger names it by its fingerprint. `delete_known`: its deletion was asked for before; delete it if it is still the same letter.
    `head`: fingerprint of its header when fetched alone, which may differ from that of the whole letter. `read`: it is marked as
    read, and certainly not by us, who mark letters that stay after their delivery to anybody.
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
    read: bool = False

    @property
    def again(self) -> bool:
        """Whether the rule fetches a letter that was certainly collected once more (fetchall)."""
        return self.row is not None and self.row.state is State.DELIVERED and not self.compare

    @property
    def name(self) -> str:
        """The ledger's name for the letter until it is collected."""
        return self.letter.uid if self.named else name_by_size(self.letter)


@dataclass(frozen=True, slots=True)
class ToDelete:
    """A letter to delete without fetching it. `row` is None if only the server's mark says that it was read.

    `if_head`: only if its header is still that of `row`. `head`: the fingerprint of its present header.
    """

    letter: Listed
    row: Known | None
    if_head: bool = False
    head: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one poll is going to do: first `delete`, then `fetch`; the rest is `left`.

    `believed`: ids of rows whose letters are here under their own names. `distrusted`: the listing contradicts the ledger.
    `unsettled`: letters that may be known by other names are left uncompared. `back`: rows of passed letters that an earlier
    listing lacked. `flagged`: how many letters others flagged for deletion. `headless`: passed letters with unrecorded headers, and
    their rows. `recognised`: ids of rows whose letters are here under other names, known by time and size.
    """

    delete: tuple[ToDelete, ...] = ()
    fetch: tuple[ToFetch, ...] = ()
    left: tuple[tuple[Listed, Why], ...] = ()
    believed: frozenset[int] = frozenset()
    distrusted: bool = False
    unsettled: bool = False
    back: frozenset[int] = frozenset()
    flagged: int = 0
    headless: tuple[tuple[Listed, Known], ...] = ()
    recognised: frozenset[int] = frozenset()

    @property
    def present(self) -> tuple[Listed, ...]:
        """Letters that count as collected from now on, unfetched."""
        return tuple(letter for letter, why in self.left if why is Why.PRESENT)

    @property
    def elsewhere(self) -> tuple[Listed, ...]:
        """Letters that another collector has fetched; they count as collected from now on, unfetched."""
        return tuple(letter for letter, why in self.left if why is Why.ELSEWHERE)

    @property
    def undated(self) -> bool:
        """Whether letters are left until it is known when they arrived."""
        return any(why is Why.UNDATED for _, why in self.left)

    @property
    def idle(self) -> bool:
        """Whether it does nothing, and the letters that are left need nothing recorded."""
        return not (
            self.delete or self.fetch or self.back or self.headless or self.recognised or self.present or self.elsewhere
        )

    @property
    def octets(self) -> int:
        return sum(wanted.letter.size for wanted in self.fetch)


_UNSETTLED = frozenset({Fate.WANTED, Fate.SENT})
_UNCOMPARED = frozenset({Why.PRESENT, Why.ELSEWHERE, Why.UNDATED, Why.TOO_LARGE, Why.FETCHLIMIT, Why.HELD, Why.DOUBT})
"""For these reasons a letter is skipped unread, so its content cannot be compared."""


def plan(listing: Listing, knowledge: Knowledge, terms: Terms, now: datetime) -> Plan:
    """Decide over every letter of `listing`. New letters are fetched first, and those that failed before last."""
    decision = _Decision.of(listing, knowledge, terms, now)
    delete: list[ToDelete] = []
    to_fetch: list[ToFetch] = []
    left: list[tuple[Listed, Why]] = []
    for letter in listing.letters:
        match decision.over(letter):
            case ToDelete() as verdict:
                delete.append(verdict)
            case ToFetch() as verdict:
                to_fetch.append(verdict)
            case why:
                left.append((letter, why))
    half_deleted = decision.half_deleted()
    to_fetch += decision.perhaps_ours()
    fetch: list[ToFetch] = []
    named = 0
    for wanted in sorted(to_fetch, key=lambda one: _urgency(one, knowledge.ask_last)):
        if why_not := _not_now(wanted, terms, named):
            left.append((wanted.letter, why_not))
        else:
            fetch.append(wanted)
            named += wanted.named
    believed = {row.id for uid, row in knowledge.rows.items() if uid not in decision.ambiguous}
    believed -= {wanted.row.id for wanted in to_fetch if wanted.compare and wanted.row}
    passed = [(letter, knowledge.rows[letter.uid]) for letter, why in left if why is Why.PASSED]
    return Plan(
        delete=(*delete, *half_deleted),
        fetch=tuple(fetch),
        left=tuple(left),
        believed=frozenset(believed),
        distrusted=decision.distrusts_all,
        unsettled=decision.suspects_unknown and any(why in _UNCOMPARED for _, why in left),
        back=frozenset(row.id for _, row in passed if row.gone),
        flagged=len(listing.flagged) - len(half_deleted),
        headless=tuple((letter, row) for letter, row in passed if not row.head),
        recognised=frozenset(row.id for same in decision.recognised.values() for row in same),
    )


def missing(listing: Listing, knowledge: Knowledge) -> frozenset[int]:
    """Ids of the rows that this listing proves absent: only a complete, non-empty one proves anything."""
    return knowledge.unlisted if listing.complete and listing.letters else frozenset()


_Arrival = tuple[datetime, int]
"""Time of arrival, and size in octets."""


def _recognised(
    listing: Listing, knowledge: Knowledge, terms: Terms, unclear: frozenset[str]
) -> Mapping[_Arrival, Sequence[Known]]:
    """The rows of another UIDVALIDITY whose letters are here: for their time and size there are as many letters as rows.

    Not for a rule that may delete a letter, and not from a listing that lacks any.
    """
    if (
        not listing.complete
        or terms.keepdays is not None
        or not terms.leaves
        or decide(True, terms) is not Action.LEAVE
    ):
        return {}
    here = Counter(
        (letter.received, letter.size)
        for letter in listing.letters
        if letter.uid not in knowledge.rows and letter.uid not in unclear
    )
    rows: dict[_Arrival, list[Known]] = {}
    for row in knowledge.renamed:
        if row.received_at is not None:
            rows.setdefault((row.received_at, row.size), []).append(row)
    return {arrival: same for arrival, same in rows.items() if here[arrival] == len(same)}


@dataclass(frozen=True, slots=True)
class _Decision:
    """What is decided over the letters of one listing, and which of its names prove nothing."""

    listing: Listing
    knowledge: Knowledge
    terms: Terms
    now: datetime
    distrusts_all: bool
    """The listing contradicts the ledger: no letter is deleted unread in this poll."""
    suspects_unknown: bool
    """Known letters are absent, or names are ambiguous: a letter with an unknown name may be a known one."""
    ambiguous: frozenset[str]
    """Names that more than one letter has, and unusable ones."""
    recognised: Mapping[_Arrival, Sequence[Known]]
    """What other names' letters are, by time and size."""
    lasting: bool
    """The protocol promises that a name is never used again (IMAP within one UIDVALIDITY)."""

    @classmethod
    def of(cls, listing: Listing, knowledge: Knowledge, terms: Terms, now: datetime) -> "_Decision":
        unclear = ambiguous(listing)
        known = [letter for letter in listing.letters if letter.uid in knowledge.rows]
        lasting = listing.epoch is not None
        renamed = bool(knowledge.unlisted) and not lasting
        resized = any(letter.size != knowledge.rows[letter.uid].size for letter in known)
        nameless = not listing.has_uids or bool(unclear)
        contradiction = nameless or knowledge.renumbered or resized or (renamed and not known)
        return cls(
            listing,
            knowledge,
            terms,
            now,
            distrusts_all=not listing.complete or contradiction,
            suspects_unknown=renamed or nameless or knowledge.renumbered or bool(knowledge.passed),
            ambiguous=unclear,
            recognised=_recognised(listing, knowledge, terms, unclear),
            lasting=lasting,
        )

    def half_deleted(self) -> list[ToDelete]:
        """Letters that we flagged for deletion and the server did not expunge; not those that others flagged."""
        if self.distrusts_all:
            return []
        rows = ((letter, self.knowledge.rows.get(letter.uid)) for letter in self.listing.flagged)
        return [
            ToDelete(letter, row)
            for letter, row in rows
            if row
            and row.state is State.DELIVERED
            and row.size == letter.size
            and row.fate is not Fate.KEPT
            and self._goes(row)
        ]

    def perhaps_ours(self) -> list[ToFetch]:
        """Letters flagged for deletion under unknown names: we may have flagged them under their former ones."""
        if self.terms.leaves or not self._marks_may_be_ours:
            return []
        return [
            ToFetch(letter, delete_after=True, compare=True, purpose=Purpose.FLAGGED)
            for letter in self.listing.flagged
            if letter.uid not in self.knowledge.rows
        ]

    def over(self, letter: Listed) -> ToDelete | ToFetch | Why:
        if letter.uid in self.ambiguous:
            trouble = self.knowledge.rows.get(name_by_size(letter))
            return self._over_unknown(letter, trouble if trouble and trouble.state is State.HELD else None)
        row = self.knowledge.rows.get(letter.uid)
        if row is None and (letter.received, letter.size) in self.recognised:
            return Why.SEEN
        if row is None or row.state in (State.HELD, State.READ):
            return self._over_unknown(letter, row)
        if row.in_hand:
            return Why.IN_HAND
        if row.state is State.PASSED and row.size == letter.size and (self.lasting or not row.gone):
            return Why.PASSED
        return self._over_known(letter, row)

    def _over_known(self, letter: Listed, row: Known) -> ToDelete | ToFetch | Why:
        unsettled = row.fate in _UNSETTLED
        collected = row.state is not State.PASSED
        goes = collected and self._goes(row)
        believed = goes and row.size == letter.size and not self.distrusts_all
        if believed and (again := self._deleted_again(letter, row)):
            return again
        doubtful = unsettled and (self.distrusts_all or (row.fate is Fate.SENT and not self.lasting))
        if doubtful or row.may_be_of_another(letter):
            to_delete = collected and not self.terms.leaves
            wanted = ToFetch(letter, to_delete, compare=True, ord=row.ord + 1, row=row, delete_known=goes)
            return Why.HELD if row.is_given_up(self.now) else wanted
        if row.doubt is not None:
            return Why.MARKED
        if unsettled and not self.terms.leaves:
            return Why.HELD if row.is_given_up(self.now) else ToDelete(letter, row)
        if self.terms.expire(row.delivered_at, row.lived, self.now):
            return Why.DOUBT if self.distrusts_all else ToDelete(letter, row)
        return self._over_seen(letter, row)

    def _goes(self, row: Known) -> bool:
        """Whether the rule deletes this collected letter by now."""
        flushed = decide(True, self.terms) is Action.DELETE
        return not self.terms.leaves or flushed or self.terms.expire(row.delivered_at, row.lived, self.now)

    def _deleted_again(self, letter: Listed, row: Known) -> ToDelete | Why | None:
        """What to do with a listed letter whose deletion was asked for before; None: fetch and compare it.

        On IMAP the deletion is repeated. A POP3 name may be another letter's by now: the first time the whole letter is compared,
        after that its header.
        """
        if row.fate not in (Fate.SENT, Fate.DELETED):
            return None
        if row.is_given_up(self.now):
            return Why.HELD
        if self.lasting:
            return ToDelete(letter, row) if row.fate is Fate.DELETED else None
        return ToDelete(letter, row, if_head=True) if row.deletions > 1 else None

    def _over_unknown(self, letter: Listed, row: Known | None) -> ToDelete | ToFetch | Why:
        """The verdict on a letter that was never collected. `row`: it failed before (HELD) or was read by others (READ)."""
        named = letter.uid not in self.ambiguous
        if row is None and named and self.knowledge.elsewhere and letter.uid in self.knowledge.elsewhere.listed:
            return Why.ELSEWHERE
        apart = row is not None and row.state is State.READ
        if (row is None or apart) and named and (passed := self._passed_over(letter)):
            return passed
        compared = row is not None and apart and not row.reason
        # A letter that was held stays to be collected though somebody has read it meanwhile.
        judged_by_mark = (row is None or apart) and letter.uid not in self.knowledge.marked
        read = letter.seen and not self.terms.uidl and judged_by_mark
        uncertain = read and self._marks_may_be_ours and not compared
        owed = False
        if read:
            verdict = self._over_seen(letter, None)
            if isinstance(verdict, ToDelete) and self._may_be_passed(letter):
                verdict = Why.DOUBT
            if not uncertain and not isinstance(verdict, ToFetch):
                return verdict
            owed = not isinstance(verdict, ToFetch) and letter.size not in self.knowledge.held_sizes
        if named and row and row.is_given_up(self.now) and not row.may_be_of_another(letter):
            return Why.HELD
        # With `ord` > 0 the name was another letter's before, and this may be that letter again.
        named_another = row is not None and row.ord > 0
        return ToFetch(
            letter,
            delete_after=not self.terms.leaves,
            compare=self.suspects_unknown or self.knowledge.former or uncertain or named_another,
            ord=(row.ord + apart) if row else 0,
            row=row,
            named=named,
            purpose=Purpose.OWED if owed else Purpose.COLLECT,
            read=self._read_by_people(letter, row),
        )

    def _may_be_passed(self, letter: Listed) -> bool:
        """Whether it may be a letter, of another name before, that was passed over and whose header nobody has seen."""
        return any(row.size == letter.size and not row.head for row in self.knowledge.passed)

    def _passed_over(self, letter: Listed) -> Why | None:
        """Why a letter that is not ours is left at the first contact with the mailbox; None if it is new."""
        since = self.terms.since
        if since is None:
            return Why.PRESENT if self.terms.pass_present else None
        if letter.received is None:
            return Why.UNDATED
        return Why.PRESENT if letter.received < since else None

    def _over_seen(self, letter: Listed, row: Known | None) -> ToDelete | ToFetch | Why:
        match decide(True, self.terms):
            case Action.DELETE:
                return Why.DOUBT if self.distrusts_all else ToDelete(letter, row)
            case Action.LEAVE:
                return Why.SEEN
            case Action.FETCH_DELETE | Action.FETCH_LEAVE:
                return ToFetch(letter, not self.terms.leaves, ord=row.ord + 1 if row else 0, row=row)
            case never:
                assert_never(never)

    def _read_by_people(self, letter: Listed, row: Known | None) -> bool:
        """Whether an uncollected letter is marked as read, and not by a delivery, of which only HELD rows may have had one."""
        delivered = row is not None and row.delivered_at is not None
        return letter.seen and not (delivered or letter.uid in self.knowledge.marked or self._marks_may_be_ours)

    @property
    def _marks_may_be_ours(self) -> bool:
        """Whether we may have marked an unknown letter, as read or for deletion, under its former name."""
        return self.knowledge.moved or self.knowledge.former


def _urgency(wanted: ToFetch, ask_last: str) -> tuple[bool, int, bool, bool]:
    row = wanted.row
    last = bool(ask_last) and wanted.name == ask_last
    return (last, row.tries if row else 0, not wanted.named, row is not None and row.state is not State.HELD)


def _not_now(wanted: ToFetch, terms: Terms, named: int) -> Why | None:
    """Why the letter has to wait. `fetchlimit` does not count letters without names, which are compared at each poll."""
    if terms.limit is not None and wanted.letter.size > terms.limit:
        return Why.TOO_LARGE
    if terms.fetchlimit is not None and wanted.named and named >= terms.fetchlimit:
        return Why.FETCHLIMIT
    return None
