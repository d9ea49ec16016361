"""What the ledger knows of letters, read for a poll."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from django.db.models import Q, QuerySet

from fetchrules.ledger.branches import collected_by_others, has_moved
from fetchrules.ledger.former import has_letters, recognised
from fetchrules.ledger.sources import former_of
from fetchrules.models import Letter, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy import Doubt, Fate, Knowledge, Known, State, ambiguous, name_by_size
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
    read = {letter.uid for letter in listing.letters if letter.seen} - collected
    flagged = {letter.uid for letter in listing.flagged}
    missed = [row for _, row in unlisted.values()]
    former = former_of(source)
    taken = recognised(source, former) if former else frozenset()
    passed = _displaced(listing, unclear, rows, unlisted, epoch) + passed_in(former, taken, source)
    if not listed <= rows.keys():
        passed += _passed_and_forgotten(source, listing)
    return Knowledge(
        rows=rows,
        unlisted=frozenset(unlisted),
        renumbered=any(row_epoch != epoch for row_epoch, row in unlisted.values() if row.state is not State.PASSED),
        marked=collected_by_others(source, epoch, read),
        moved=bool(read or flagged - rows.keys()) and has_moved(source, epoch),
        passed=tuple(passed),
        held_sizes=frozenset(row.size for row in missed if row.state is State.HELD),
        former=bool(former) and has_letters(former, taken),
        taken=taken,
        outdated=frozenset(outdated),
        ask_last=source.ask_last,
    )


def _displaced(
    listing: Listing,
    unclear: Collection[str],
    rows: Mapping[str, Known],
    unlisted: Mapping[int, tuple[int, Known]],
    epoch: int,
) -> list[Known]:
    """Letters that were passed over and may be listed under other names, or whose names are other letters' by now.

    Within one UIDVALIDITY a name is the letter's own, so that an IMAP letter is gone with its name.
    """
    final = listing.epoch is not None
    sizes = {letter.uid: letter.size for letter in listing.letters}
    gone = [row for row_epoch, row in unlisted.values() if not final or row_epoch != epoch]
    doubtful = [row for row in rows.values() if row.uid in unclear or sizes.get(row.uid, row.size) != row.size]
    return [row for row in (*gone, *doubtful) if row.state is State.PASSED]


def _passed_and_forgotten(source: SourceMailbox, listing: Listing) -> list[Known]:
    """Letters that were passed over, were listed no more, and may come back under other names: by their headers they are known."""
    forgotten = Letter.objects.filter(source=source, state=State.PASSED, forgotten_at__isnull=False).exclude(head="")
    return [row for row_epoch, row in _known(forgotten, source) if row_epoch != listing.epoch]


def known_twins(source: SourceMailbox, fingerprints: Collection[str], taken: Collection[int]) -> dict[str, list[Known]]:
    """Letters of this mailbox with these fingerprints, delivered or in hand, that are not otherwise accounted for (`taken`).

    Those that it knows by the name that the mailbox had before come behind its own.
    """
    twins: dict[str, list[Known]] = {}
    former = former_of(source)
    same = Letter.objects.filter(source__in=[source, *former], fingerprint__in=fingerprints).exclude(state=State.HELD)
    # A letter whose deletion was confirmed is not there under another name of the mailbox: its copy is a new one.
    same = same.exclude(source__in=former, fate=Fate.DELETED) if former else same
    prints = dict(same.values_list("id", "fingerprint"))
    for _, row in _known(same, source):
        if row.id not in taken:
            twins.setdefault(prints[row.id], []).append(row)
    for rows in twins.values():
        rows.sort(key=lambda row: row.former)
    return twins


def came_short(source: SourceMailbox) -> list[Known]:
    """Letters that bear their mark since they came short; those known by a former name of the mailbox, too."""
    marked = Letter.objects.filter(~Q(doubt=""), source__in=[source, *former_of(source)], doubt=Doubt.SHORT)
    return [row for _, row in _known(marked, source)]


def passed_in(former: Sequence[SourceMailbox], taken: Collection[int], source: SourceMailbox) -> list[Known]:
    """Letters that were passed over under a former name of the mailbox, without those that are recognised already."""
    rows = _known(Letter.objects.filter(source__in=former, state=State.PASSED), source) if former else ()
    return [row for _, row in rows if row.id not in taken]


def has_names(source: SourceMailbox) -> bool:
    """Whether the ledger has letters of the mailbox under names that the server gave them."""
    named = Letter.objects.filter(source=source, forgotten_at=None)
    return named.exclude(uid__startswith="fp:").exclude(uid__contains=" ").exists()


def _known(letters: QuerySet[Letter], source: SourceMailbox) -> Iterator[tuple[int, Known]]:
    """(epoch, row) for each letter, in the order of `ord`, so that of one uid the newest comes last.

    Letters of another ledger than `source` are those of a former one.
    """
    place = ("source_id", "epoch", "missing_since", "forgotten_at", "deleted_at", "doubt")
    columns = ("id", "uid", "ord", "size", "state", "fate")
    trouble = ("tries", "tried_at", "reason", "delivered_at", "lived", "octets", "deletions", "head")
    rows = letters.order_by("ord").values_list(*place, *columns, *trouble).iterator(chunk_size=2000)
    for (
        ledger_id,
        epoch,
        missing_since,
        forgotten_at,
        deleted_at,
        doubt,
        row_id,
        uid,
        order,
        size,
        state,
        fate,
        *rest,
    ) in rows:
        tries, tried_at, reason, delivered_at, lived, octets, deletions, head = rest
        yield (
            epoch,
            Known(
                id=row_id,
                uid=uid,
                ord=order,
                size=size,
                state=State(state),
                fate=Fate(fate),
                gone=missing_since is not None or forgotten_at is not None,
                tries=tries,
                tried_at=tried_at,
                reason=reason,
                delivered_at=delivered_at,
                doubt=Doubt(doubt) if doubt else None,
                lived=lived,
                octets=octets,
                deletions=deletions,
                deleted=deleted_at is not None,
                head=head,
                former=ledger_id != source.pk,
            ),
        )
