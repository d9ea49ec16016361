"""Read what the ledger knows of a mailbox's letters: for its recipient, for others, and under former names of the mailbox."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby
from operator import itemgetter, or_
from typing import Any

from django.db.models import Q, QuerySet

from fetchrules.ledger.fetched import heeded
from fetchrules.ledger.source_mailboxes import former_of
from fetchrules.models import FetchedBefore, Letter, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy.known import (
    IN_HAND,
    Doubt,
    Fate,
    FetchedElsewhere,
    Knowledge,
    Known,
    State,
    ambiguous,
    name_by_size,
)
from fetchrules.remote.mailbox import Listing


def epoch_of(source: SourceMailbox, listing: Listing) -> int:
    """IMAP's UIDVALIDITY, or our own counter where the protocol has none."""
    return source.epoch if listing.epoch is None else listing.epoch


def knowledge(source: SourceMailbox, listing: Listing) -> Knowledge:
    """What the ledger knows of the letters in `listing`, and which letters of its own it misses there."""
    epoch = epoch_of(source, listing)
    listed = {letter.uid for letter in (*listing.letters, *listing.flagged)}
    unclear = ambiguous(listing)
    listed |= {name_by_size(letter) for letter in listing.letters if letter.uid in unclear}
    rows: dict[str, Known] = {}
    unlisted: dict[int, tuple[int, Known]] = {}
    outdated: set[int] = set()
    for row_epoch, row in _known(Letter.objects.filter(source=source, forgotten_at=None), source):
        if row_epoch == epoch and row.uid in listed:
            rows[row.uid] = row
        elif row.state is State.READ:
            outdated.add(row.id)
        elif not row.in_hand:
            unlisted[row.id] = row_epoch, row
    for uids in chunks(sorted(listed - rows.keys())):
        forgotten = Letter.objects.filter(source=source, epoch=epoch, uid__in=uids)
        rows.update({row.uid: row for _, row in _known(forgotten, source)})
    collected = {uid for uid, row in rows.items() if row.state is not State.READ}
    seen = {letter.uid for letter in listing.letters if letter.seen}
    read = seen - collected
    held = {uid for uid in seen if uid in rows and rows[uid].state is State.HELD}
    flagged = {letter.uid for letter in listing.flagged}
    missed = [row for _, row in unlisted.values()]
    former = former_of(source)
    taken = _recognised(source, former) if former else frozenset()
    passed_before = _known(Letter.objects.filter(source__in=former, state=State.PASSED), source)
    passed = _displaced(listing, rows, unlisted, epoch) + [row for _, row in passed_before if row.id not in taken]
    if not listed <= rows.keys():
        passed += _passed_and_forgotten(source, listing)
    return Knowledge(
        rows=rows,
        unlisted=frozenset(unlisted),
        renumbered=any(row_epoch != epoch for row_epoch, row in unlisted.values() if row.state is not State.PASSED),
        renamed=tuple(
            row
            for row_epoch, row in unlisted.values()
            if source.epoch not in (0, epoch) and row_epoch != epoch and _stays_under_any_name(row)
        ),
        marked=_marked_for_others(source, epoch, read | held),
        moved=bool(read or flagged - rows.keys()) and _has_moved(source, epoch),
        passed=tuple(passed),
        held_sizes=frozenset(row.size for row in missed if row.state is State.HELD),
        former=bool(former) and _has_letters(former, taken),
        taken=taken,
        outdated=frozenset(outdated),
        ask_last=source.ask_last,
        elsewhere=_fetched_elsewhere(heeded(source), listing),
    )


def _fetched_elsewhere(sources: Collection[SourceMailbox], listing: Listing) -> FetchedElsewhere | None:
    lists = dict(FetchedBefore.objects.filter(source__in=sources).values_list("id", "uids"))
    if not lists:
        return None
    names = frozenset().union(*lists.values())
    epoch = "" if listing.epoch is None else f"{listing.epoch}/"
    listed = frozenset(one.uid for one in (*listing.letters, *listing.flagged) if f"{epoch}{one.uid}" in names)
    return FetchedElsewhere(tuple(lists), listed, len(names) - len(listed))


def _stays_under_any_name(row: Known) -> bool:
    return row.state is State.DELIVERED and row.fate is Fate.KEPT and row.doubt is None and not row.gone


def _displaced(
    listing: Listing, rows: Mapping[str, Known], unlisted: Mapping[int, tuple[int, Known]], epoch: int
) -> list[Known]:
    """Passed letters that may be listed under other names, or whose names may be other letters' by now.

    Not within one UIDVALIDITY, where a name is never used again.
    """
    final, unclear = listing.epoch is not None, ambiguous(listing)
    sizes = {letter.uid: letter.size for letter in listing.letters}
    gone = [row for row_epoch, row in unlisted.values() if not final or row_epoch != epoch]
    doubtful = [row for row in rows.values() if row.uid in unclear or sizes.get(row.uid, row.size) != row.size]
    return [row for row in (*gone, *doubtful) if row.state is State.PASSED]


def _passed_and_forgotten(source: SourceMailbox, listing: Listing) -> list[Known]:
    """Passed letters that were forgotten and may come back under other names, to be known by their headers."""
    forgotten = Letter.objects.filter(source=source, state=State.PASSED, forgotten_at__isnull=False).exclude(head="")
    return [row for row_epoch, row in _known(forgotten, source) if row_epoch != listing.epoch]


def known_twins(source: SourceMailbox, fingerprints: Collection[str], taken: Collection[int]) -> dict[str, list[Known]]:
    """Letters of this mailbox by these fingerprints, delivered or in hand, without those `taken`.

    Letters of former ledgers come last.
    """
    twins: dict[str, list[Known]] = {}
    former = former_of(source)
    same = Letter.objects.filter(source__in=[source, *former], fingerprint__in=fingerprints)
    # A letter whose deletion was confirmed is not there under another name of the mailbox: its copy is a new one.
    same = same.exclude(source__in=former, fate=Fate.DELETED) if former else same
    prints = dict(same.values_list("id", "fingerprint"))
    for _, row in _known(same, source) if prints else ():
        if row.state is not State.HELD and row.id not in taken:
            twins.setdefault(prints[row.id], []).append(row)
    for rows in twins.values():
        rows.sort(key=lambda row: row.former)
    return twins


def came_short(source: SourceMailbox) -> list[Known]:
    """Letters in doubt because they came short; those of former ledgers, too."""
    marked = Letter.objects.filter(~Q(doubt=""), source__in=[source, *former_of(source)], doubt=Doubt.SHORT)
    return [row for _, row in _known(marked, source)]


def has_names(source: SourceMailbox) -> bool:
    """Whether the ledger has letters of the mailbox under unique-ids of the server."""
    named = Letter.objects.filter(source=source, forgotten_at=None)
    return named.exclude(uid__startswith="fp:").exclude(uid__contains=" ").exists()


def _marked_for_others(source: SourceMailbox, epoch: int, uids: Collection[str]) -> frozenset[str]:
    """Those of these letters that were collected for another recipient."""
    others = list(_for_everybody(source).exclude(pk=source.pk)) if uids else []
    theirs = Letter.objects.filter(source__in=others, epoch=epoch, state=State.DELIVERED)
    found: set[str] = set()
    for some in chunks(sorted(uids)) if others else ():
        found.update(theirs.filter(uid__in=some).values_list("uid", flat=True))
    return frozenset(found)


def collected_for_others(
    source: SourceMailbox, fingerprints: Collection[str], heads: Collection[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Those of these fingerprints of contents and of headers whose letters were collected for another recipient."""
    ours = [source, *former_of(source)]
    others = _for_everybody(*ours).exclude(pk__in=[one.pk for one in ours])
    theirs = Letter.objects.filter(source__in=others, state=State.DELIVERED)
    known = theirs.filter(fingerprint__in=fingerprints).values_list("fingerprint", flat=True)
    known_heads = theirs.filter(head__in=set(heads) - {""}).values_list("head", flat=True)
    return frozenset(known), frozenset(known_heads)


def collected_heads(source: SourceMailbox, epoch: int) -> tuple[frozenset[str], bool]:
    """Header fingerprints of letters collected from the mailbox, for any recipient, in another epoch or under a former name; and
    whether the header of any such letter is unknown."""
    present = list(_for_everybody(source))
    former = _for_everybody(*former_of(source)) if source.continues_id else ()
    letters = Letter.objects.filter(source__in=present).exclude(epoch=epoch) | Letter.objects.filter(
        source__in=list(former)
    )
    heads = letters.filter(state__in=[State.DELIVERED, *IN_HAND]).values_list("head", flat=True)
    known = frozenset(heads.distinct())
    return known - {""}, "" in known


def _has_moved(source: SourceMailbox, epoch: int) -> bool:
    """Whether letters of another epoch, forgotten or not, are recorded for any recipient of the mailbox."""
    letters = Letter.objects.filter(source__in=list(_for_everybody(source))).exclude(state=State.READ)
    # Each uses the index of names; "not equal" would read all of it.
    return letters.filter(epoch__lt=epoch).exists() or letters.filter(epoch__gt=epoch).exists()


def _for_everybody(*ledgers: SourceMailbox) -> QuerySet[SourceMailbox]:
    """The ledgers of the same mailboxes for every recipient."""
    columns = ("protocol", "host", "port", "user", "folder")
    mailboxes = [Q(**{column: getattr(one, column) for column in columns}) for one in ledgers]
    return SourceMailbox.objects.filter(reduce(or_, mailboxes))


def _recognised(source: SourceMailbox, former: Sequence[SourceMailbox]) -> frozenset[int]:
    """Ids of the former ledgers' letters that this ledger has as well, as copies to and fro: names may be changed back."""
    own = set(Letter.objects.filter(source=source).values_list("id", flat=True))
    copies = Letter.objects.filter(source__in=[source, *former], continues__isnull=False)
    original = dict(copies.values_list("id", "continues"))
    families: dict[int, set[int]] = {}
    for row_id in original:
        first = row_id
        while (before := original.get(first)) is not None:
            first = before
        families.setdefault(first, {first}).add(row_id)
    found = (family for family in families.values() if not own.isdisjoint(family))
    return frozenset().union(*found) - own


def _has_letters(former: Sequence[SourceMailbox], taken: Collection[int]) -> bool:
    """Whether these ledgers know letters, not `taken` yet, that may be in the mailbox."""
    letters = Letter.objects.filter(source__in=former).exclude(state__in=[State.HELD, State.READ])
    return not set(letters.exclude(fate=Fate.DELETED).values_list("id", flat=True)) <= set(taken)


_NAME = ("ord", "uid", "epoch", "source_id")
_JUDGED = ("state", "fate", "missing_since", "forgotten_at", "deleted_at", "doubt")
_PLAIN = (
    "id",
    "size",
    "tries",
    "tried_at",
    "reason",
    "delivered_at",
    "lived",
    "octets",
    "deletions",
    "head",
    "received_at",
)
"""The columns that Known has as they are."""


def _known(letters: QuerySet[Letter], source: SourceMailbox) -> Iterator[tuple[int, Known]]:
    """(epoch, letter) for the letters that these rows belong to, by `ord`, so that the newest of one uid comes last.

    Letters of another ledger than `source` count as those of a former one.
    """
    rows = letters.order_by(*_NAME, "id").values_list(*_NAME, *_JUDGED, *_PLAIN).iterator(chunk_size=2000)
    for (_, _, epoch, _), same in groupby(rows, key=itemgetter(slice(len(_NAME)))):
        yield epoch, reduce(Known.beside, (_as_known(row, source) for row in same))


def _as_known(row: tuple[Any, ...], source: SourceMailbox) -> Known:
    order, uid, _, ledger_id, state, fate, missing_since, forgotten_at, deleted_at, doubt, *plain = row
    return Known(
        **dict(zip(_PLAIN, plain, strict=True)),
        uid=uid,
        ord=order,
        state=State(state),
        fate=Fate(fate),
        gone=missing_since is not None or forgotten_at is not None,
        doubt=Doubt(doubt) if doubt else None,
        deleted=deleted_at is not None,
        former=ledger_id != source.pk,
    )
