"""The plan of one poll: for every letter of a listing, what to do with it and why."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from fetchrules.policy.known import Fate, Knowledge, Known, State, ambiguous, makeshift
from fetchrules.policy.table import Action, Terms, decide
from fetchrules.remote.mailbox import Listed, Listing


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


_UNSETTLED = frozenset({Fate.WANTED, Fate.SENT})
_UNMET = frozenset({Why.PRESENT, Why.TOO_LARGE, Why.FETCHLIMIT, Why.HELD})
"""Of a letter that is left for such a reason nothing is known but its name."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A letter to fetch. `row` is the ledger's row of its uid, if any.

    `delete_after`: delete it once it is delivered. `compare`: its name proves nothing, so its fingerprint decides whether it is
    one that we have; if so it is not delivered again, and deleted only if it was to be. `ord` makes the new row's key unique.
    `named`: the server's name for the letter is its own; otherwise the ledger calls it by its fingerprint.
    """

    letter: Listed
    delete_after: bool
    compare: bool = False
    ord: int = 0
    row: Known | None = None
    named: bool = True

    @property
    def again(self) -> bool:
        """Whether the rule itself wants a letter once more that it certainly had (fetchall)."""
        return self.row is not None and self.row.state is State.DELIVERED and not self.compare


@dataclass(frozen=True, slots=True)
class Doomed:
    """A letter to delete before anything is fetched. `row` None: the server alone says that it was read."""

    letter: Listed
    row: Known | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one poll is going to do, in this order: `delete`, then `fetch`; the rest is `left`.

    `believed`: ids of the ledger's rows whose letters are here under their own names, so that no other letter can be theirs.
    `unsettled`: letters are left that may be some of the ledger's by other names. `back`: rows of letters that are passed over and
    were missing from an earlier list.
    """

    delete: tuple[Doomed, ...] = ()
    fetch: tuple[Errand, ...] = ()
    left: tuple[tuple[Listed, Why], ...] = ()
    believed: frozenset[int] = frozenset()
    distrusted: bool = False
    unsettled: bool = False
    back: frozenset[int] = frozenset()

    @property
    def present(self) -> tuple[Listed, ...]:
        """The letters that count as collected from now on, without being fetched."""
        return tuple(letter for letter, why in self.left if why is Why.PRESENT)

    @property
    def octets(self) -> int:
        """About how much is going to be fetched."""
        return sum(errand.letter.size for errand in self.fetch)


def plan(listing: Listing, knowledge: Knowledge, terms: Terms, now: datetime) -> Plan:
    """Decide over every letter of `listing`. New ones come first, what made trouble before last: it is in nobody's way.

    A doubt ends in keeping and comparing, never in deleting, never in a blind second delivery.
    """
    doubt = _Doubt.of(listing, knowledge)
    delete: list[Doomed] = []
    errands: list[Errand] = []
    left: list[tuple[Listed, Why]] = []
    for letter in listing.letters:
        match _verdict(letter, doubt, knowledge, terms, now):
            case Doomed() as doomed:
                delete.append(doomed)
            case Errand() as errand:
                errands.append(errand)
            case why:
                left.append((letter, why))
    delete += _half_deleted(listing, knowledge, terms, doubt)
    fetch: list[Errand] = []
    named = 0
    for errand in sorted(errands, key=_urgency):
        if why_not := _not_now(errand, terms, named):
            left.append((errand.letter, why_not))
        else:
            fetch.append(errand)
            named += errand.named
    believed = {row.id for uid, row in knowledge.rows.items() if uid not in doubt.ambiguous}
    believed -= {errand.row.id for errand in errands if errand.compare and errand.row}
    unsettled = doubt.strangers and any(why in _UNMET for _, why in left)
    passed = [knowledge.rows[letter.uid] for letter, why in left if why is Why.PASSED]
    back = frozenset(row.id for row in passed if row.gone)
    return Plan(tuple(delete), tuple(fetch), tuple(left), frozenset(believed), doubt.whole, unsettled, back)


def missing(listing: Listing, knowledge: Knowledge) -> frozenset[int]:
    """Ids of the rows that this listing proves to be absent: only a complete list that is not empty proves anything."""
    return knowledge.unlisted if listing.complete and listing.letters else frozenset()


@dataclass(frozen=True, slots=True)
class _Doubt:
    """How far the listing's names can be believed."""

    whole: bool
    """The server's story changed: nothing is flushed in this poll."""
    strangers: bool
    """Letters that the ledger should see are absent, or names are no names: unknown ones may be known ones."""
    ambiguous: frozenset[str]
    """Names that more than one letter has, or none."""
    final: bool
    """The protocol promises that a name is never used again (IMAP within one UIDVALIDITY)."""
    marked: frozenset[str]
    """Letters whose mark as read is ours, and says nothing of this recipient."""
    moved: bool
    """No mark as read says anything of a letter that the ledger does not know by its present name."""

    @classmethod
    def of(cls, listing: Listing, knowledge: Knowledge) -> "_Doubt":
        unclear = ambiguous(listing)
        known = [letter for letter in listing.letters if letter.uid in knowledge.rows]
        final = listing.epoch is not None
        renamed = bool(knowledge.unlisted) and not final
        resized = any(letter.size != knowledge.rows[letter.uid].size for letter in known)
        nameless = not listing.has_uids or bool(unclear)
        whole = not listing.complete or nameless or knowledge.renumbered or resized or (renamed and not known)
        strangers = renamed or nameless or knowledge.renumbered
        return cls(whole, strangers, unclear, final, knowledge.marked, knowledge.moved)


def _half_deleted(listing: Listing, knowledge: Knowledge, terms: Terms, doubt: "_Doubt") -> list[Doomed]:
    """Letters that a poll flagged for deletion and that were not expunged then; what only others have flagged is theirs."""
    if terms.leaves or doubt.whole:
        return []
    rows = ((letter, knowledge.rows.get(letter.uid)) for letter in listing.flagged)
    return [
        Doomed(letter, row)
        for letter, row in rows
        if row and row.state is State.DELIVERED and row.fate in _UNSETTLED and not row.may_be_of_another(letter)
    ]


def _verdict(letter: Listed, doubt: _Doubt, knowledge: Knowledge, terms: Terms, now: datetime) -> Doomed | Errand | Why:
    if letter.uid in doubt.ambiguous:
        trouble = knowledge.rows.get(makeshift(letter))
        return _of_unknown(letter, trouble if trouble and trouble.state is State.HELD else None, doubt, terms, now)
    row = knowledge.rows.get(letter.uid)
    if row is None or row.state is State.HELD:
        return _of_unknown(letter, row, doubt, terms, now)
    if row.in_hand:
        return Why.IN_HAND
    if row.state is State.PASSED and row.size == letter.size:
        return Why.PASSED
    unsettled = row.fate in _UNSETTLED
    doubtful = unsettled and (doubt.whole or (row.fate is Fate.SENT and not doubt.final))
    # A name that may have been given to another letter meanwhile proves nothing: look at the letter itself.
    if doubtful or row.may_be_of_another(letter):
        goes = not terms.leaves and row.state is not State.PASSED
        errand = Errand(letter, delete_after=goes, compare=True, ord=row.ord + 1, row=row)
        return Why.HELD if row.is_given_up(now) else errand
    if unsettled and not terms.leaves:
        return Doomed(letter, row)
    if terms.expire(row.delivered_at, now):
        return Why.DOUBT if doubt.whole else Doomed(letter, row)
    return _of_seen(letter, row, doubt, terms)


def _of_unknown(letter: Listed, row: Known | None, doubt: _Doubt, terms: Terms, now: datetime) -> Doomed | Errand | Why:
    if terms.pass_present and row is None and letter.uid not in doubt.ambiguous:
        return Why.PRESENT
    read = letter.seen and not terms.uidl and row is None and letter.uid not in doubt.marked
    if read and not doubt.moved:
        verdict = _of_seen(letter, None, doubt, terms)
        if not isinstance(verdict, Errand):
            return verdict
    named = letter.uid not in doubt.ambiguous
    if named and row and row.is_given_up(now) and not row.may_be_of_another(letter):
        return Why.HELD
    return Errand(
        letter,
        delete_after=not terms.leaves,
        # A later use of a name: the letter may be one that had it before, as when it was first doubted.
        compare=doubt.strangers or (read and doubt.moved) or (row is not None and row.ord > 0),
        ord=row.ord if row else 0,
        row=row,
        named=named,
    )


def _of_seen(letter: Listed, row: Known | None, doubt: _Doubt, terms: Terms) -> Doomed | Errand | Why:
    match decide(True, terms):
        case Action.DELETE:
            return Why.DOUBT if doubt.whole else Doomed(letter, row)
        case Action.LEAVE:
            return Why.SEEN
        case Action.FETCH_DELETE | Action.FETCH_LEAVE:
            return Errand(letter, delete_after=not terms.leaves, ord=row.ord + 1 if row else 0, row=row)
        case never:
            assert_never(never)


def _urgency(errand: Errand) -> tuple[int, bool, bool]:
    row = errand.row
    return (row.tries if row else 0, not errand.named, row is not None and row.state is not State.HELD)


def _not_now(errand: Errand, terms: Terms, named: int) -> Why | None:
    """What has no name of its own is compared at each poll anew: it is no part of the `named`, or would use up their number."""
    if terms.limit is not None and errand.letter.size > terms.limit:
        return Why.TOO_LARGE
    if terms.fetchlimit is not None and errand.named and named >= terms.fetchlimit:
        return Why.FETCHLIMIT
    return None
