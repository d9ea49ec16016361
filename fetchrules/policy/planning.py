"""The plan of one poll: for every letter of a listing, what to do with it and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from fetchrules.policy.errands import Errand, Plan, Purpose, ToDelete, Why
from fetchrules.policy.known import Fate, Knowledge, Known, State, ambiguous, makeshift
from fetchrules.policy.table import Action, Terms, decide
from fetchrules.remote.mailbox import Listed, Listing

_UNSETTLED = frozenset({Fate.WANTED, Fate.SENT})
_UNCOMPARED = frozenset({Why.PRESENT, Why.TOO_LARGE, Why.FETCHLIMIT, Why.HELD})
"""For these reasons a letter is skipped unread, so its content cannot be compared."""


def plan(listing: Listing, knowledge: Knowledge, terms: Terms, now: datetime) -> Plan:
    """Decide over every letter of `listing`. New letters come first and those that made trouble last, in nobody's way.

    A doubt ends in keeping and comparing, never in deleting, never in a blind second delivery.
    """
    doubt = _Doubt.of(listing, knowledge)
    delete: list[ToDelete] = []
    errands: list[Errand] = []
    left: list[tuple[Listed, Why]] = []
    for letter in listing.letters:
        match _verdict(letter, doubt, knowledge, terms, now):
            case ToDelete() as to_delete:
                delete.append(to_delete)
            case Errand() as errand:
                errands.append(errand)
            case why:
                left.append((letter, why))
    half_deleted = _half_deleted(listing, knowledge, terms, doubt, now)
    errands += _perhaps_ours(listing, knowledge, terms)
    fetch: list[Errand] = []
    named = 0
    for errand in sorted(errands, key=lambda one: _urgency(one, knowledge.ask_last)):
        if why_not := _not_now(errand, terms, named):
            left.append((errand.letter, why_not))
        else:
            fetch.append(errand)
            named += errand.named
    believed = {row.id for uid, row in knowledge.rows.items() if uid not in doubt.ambiguous}
    believed -= {errand.row.id for errand in errands if errand.compare and errand.row}
    passed = [(letter, knowledge.rows[letter.uid]) for letter, why in left if why is Why.PASSED]
    return Plan(
        delete=(*delete, *half_deleted),
        fetch=tuple(fetch),
        left=tuple(left),
        believed=frozenset(believed),
        distrusted=doubt.whole,
        unsettled=doubt.strangers and any(why in _UNCOMPARED for _, why in left),
        back=frozenset(row.id for _, row in passed if row.gone),
        flagged=len(listing.flagged) - len(half_deleted),
        headless=tuple((letter, row) for letter, row in passed if not row.head),
    )


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
    held_sizes: frozenset[int]
    """A letter of this size may be one that could not be fetched under its former name."""
    former: bool
    """Unknown letters may be known by the name that the mailbox had before."""

    @classmethod
    def of(cls, listing: Listing, knowledge: Knowledge) -> "_Doubt":
        unclear = ambiguous(listing)
        known = [letter for letter in listing.letters if letter.uid in knowledge.rows]
        final = listing.epoch is not None
        renamed = bool(knowledge.unlisted) and not final
        resized = any(letter.size != knowledge.rows[letter.uid].size for letter in known)
        nameless = not listing.has_uids or bool(unclear)
        whole = not listing.complete or nameless or knowledge.renumbered or resized or (renamed and not known)
        strangers = renamed or nameless or knowledge.renumbered or bool(knowledge.passed)
        moved = knowledge.moved or knowledge.former
        held = knowledge.held_sizes
        return cls(whole, strangers, unclear, final, knowledge.marked, moved, held, knowledge.former)


def _half_deleted(
    listing: Listing, knowledge: Knowledge, terms: Terms, doubt: "_Doubt", now: datetime
) -> list[ToDelete]:
    """Letters that a poll flagged for deletion and that were not expunged, whatever the server said of it.

    What only others have flagged is theirs.
    """
    if doubt.whole:
        return []
    rows = ((letter, knowledge.rows.get(letter.uid)) for letter in listing.flagged)
    return [
        ToDelete(letter, row)
        for letter, row in rows
        if row and row.state is State.DELIVERED and row.size == letter.size and _was_ours_to_delete(row, terms, now)
    ]


def _was_ours_to_delete(row: Known, terms: Terms, now: datetime) -> bool:
    return row.fate is not Fate.KEPT and _goes(row, terms, now)


def _perhaps_ours(listing: Listing, knowledge: Knowledge, terms: Terms) -> list[Errand]:
    """Letters flagged for deletion under new names: perhaps by us, under the old ones."""
    if terms.leaves or not (knowledge.moved or knowledge.former):
        return []
    return [
        Errand(letter, delete_after=True, compare=True, purpose=Purpose.FLAGGED)
        for letter in listing.flagged
        if letter.uid not in knowledge.rows
    ]


def _verdict(
    letter: Listed, doubt: _Doubt, knowledge: Knowledge, terms: Terms, now: datetime
) -> ToDelete | Errand | Why:
    if letter.uid in doubt.ambiguous:
        trouble = knowledge.rows.get(makeshift(letter))
        return _of_unknown(letter, trouble if trouble and trouble.state is State.HELD else None, doubt, terms, now)
    row = knowledge.rows.get(letter.uid)
    if row is None or row.state in (State.HELD, State.READ):
        return _of_unknown(letter, row, doubt, terms, now)
    if row.in_hand:
        return Why.IN_HAND
    if row.state is State.PASSED and row.size == letter.size and (doubt.final or not row.gone):
        return Why.PASSED
    return _of_known(letter, row, doubt, terms, now)


def _of_known(letter: Listed, row: Known, doubt: _Doubt, terms: Terms, now: datetime) -> ToDelete | Errand | Why:
    unsettled = row.fate in _UNSETTLED
    collected = row.state is not State.PASSED
    goes = collected and _goes(row, terms, now)
    if goes and row.size == letter.size and not doubt.whole and (again := _deleted_again(letter, row, doubt, now)):
        return again
    doubtful = unsettled and (doubt.whole or (row.fate is Fate.SENT and not doubt.final))
    # A name that may have been given to another letter meanwhile proves nothing: look at the letter itself.
    if doubtful or row.may_be_of_another(letter):
        to_delete = collected and not terms.leaves
        errand = Errand(letter, to_delete, compare=True, ord=row.ord + 1, row=row, delete_known=goes)
        return Why.HELD if row.is_given_up(now) else errand
    if row.doubt is not None:
        return Why.MARKED
    if unsettled and not terms.leaves:
        return Why.HELD if row.is_given_up(now) else ToDelete(letter, row)
    if terms.expire(row.delivered_at, row.lived, now):
        return Why.DOUBT if doubt.whole else ToDelete(letter, row)
    return _of_seen(letter, row, doubt, terms)


def _goes(row: Known, terms: Terms, now: datetime) -> bool:
    """Whether the rule wants a letter that it has collected to be deleted by now."""
    flushed = decide(True, terms) is Action.DELETE
    return not terms.leaves or flushed or terms.expire(row.delivered_at, row.lived, now)


def _deleted_again(letter: Listed, row: Known, doubt: _Doubt, now: datetime) -> ToDelete | Why | None:
    """What to do with a letter that is listed though its deletion was asked for before; None: it has to be fetched and compared.

    An IMAP name is the letter's own, so the deletion is repeated. A POP3 name may be another letter's by now: the first time the
    letter is compared as a whole, from then on its header is enough.
    """
    if row.fate not in (Fate.SENT, Fate.DELETED):
        return None
    if row.is_given_up(now):
        return Why.HELD
    if doubt.final:
        return ToDelete(letter, row) if row.fate is Fate.DELETED else None
    return ToDelete(letter, row, if_head=True) if row.deletions > 1 else None


def _of_unknown(
    letter: Listed, row: Known | None, doubt: _Doubt, terms: Terms, now: datetime
) -> ToDelete | Errand | Why:
    """`row`: the letter made trouble (HELD), or was found to be read and none of ours (READ)."""
    if terms.pass_present and row is None and letter.uid not in doubt.ambiguous:
        return Why.PRESENT
    named = letter.uid not in doubt.ambiguous
    apart = row is not None and row.state is State.READ
    compared = row is not None and apart and not row.reason
    # A letter that was held, or taken up after all, is collected though it has been read meanwhile.
    read = letter.seen and not terms.uidl and (row is None or apart) and letter.uid not in doubt.marked
    uncertain = read and doubt.moved and not compared
    if read:
        verdict = _of_seen(letter, None, doubt, terms)
        if not uncertain and not isinstance(verdict, Errand):
            return verdict
        owed = not isinstance(verdict, Errand) and letter.size not in doubt.held_sizes
    else:
        owed = False
    if named and row and row.is_given_up(now) and not row.may_be_of_another(letter):
        return Why.HELD
    return Errand(
        letter,
        delete_after=not terms.leaves,
        # A later use of a name: the letter may be one that had it before, as when it was first doubted.
        compare=doubt.strangers or doubt.former or uncertain or (row is not None and row.ord > 0),
        ord=(row.ord + apart) if row else 0,
        row=row,
        named=named,
        purpose=Purpose.OWED if owed else Purpose.COLLECT,
    )


def _of_seen(letter: Listed, row: Known | None, doubt: _Doubt, terms: Terms) -> ToDelete | Errand | Why:
    match decide(True, terms):
        case Action.DELETE:
            return Why.DOUBT if doubt.whole else ToDelete(letter, row)
        case Action.LEAVE:
            return Why.SEEN
        case Action.FETCH_DELETE | Action.FETCH_LEAVE:
            return Errand(letter, delete_after=not terms.leaves, ord=row.ord + 1 if row else 0, row=row)
        case never:
            assert_never(never)


def _urgency(errand: Errand, ask_last: str) -> tuple[bool, int, bool, bool]:
    row = errand.row
    last = bool(ask_last) and errand.name == ask_last
    return (last, row.tries if row else 0, not errand.named, row is not None and row.state is not State.HELD)


def _not_now(errand: Errand, terms: Terms, named: int) -> Why | None:
    """A letter without a name of its own is compared at each poll anew, so it does not count against `fetchlimit`."""
    if terms.limit is not None and errand.letter.size > terms.limit:
        return Why.TOO_LARGE
    if terms.fetchlimit is not None and errand.named and named >= terms.fetchlimit:
        return Why.FETCHLIMIT
    return None
