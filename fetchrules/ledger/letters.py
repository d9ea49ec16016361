"""Letters: what we know of each, and the transactions by which none is lost and none comes twice."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from fetchrules.errors import FetchError, RunOvertaken
from fetchrules.ledger.branches import collected_by_others, has_moved
from fetchrules.ledger.claims import require_claim, require_run
from fetchrules.ledger.names import forget_former, names_for, next_order
from fetchrules.ledger.trouble import doubted, replace_held
from fetchrules.models import Letter, Run, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy import MAX_TRIES, Errand, Fate, Knowledge, Known, State, ambiguous, makeshift
from fetchrules.remote.mailbox import Listed, Listing

STUCK_AFTER = timedelta(minutes=10)
"""A letter that is in hand for so long is stuck: no poll takes it that long to get from the record into the mailbox."""
IN_HAND = Letter.IN_HAND


@dataclass(frozen=True, slots=True)
class Arrival:
    """A letter that is staged, durably, and not delivered yet. `octets` as received; `directory` is the staging one's marker."""

    errand: Errand
    file_name: str
    octets: int
    fingerprint: str
    directory: str = ""
    sender: str = ""
    subject: str = ""
    message_id: str = ""


def epoch_of(source: SourceMailbox, listing: Listing) -> int:
    """IMAP's UIDVALIDITY, or our own counter where the protocol has none."""
    return source.epoch if listing.epoch is None else listing.epoch


def knowledge(source: SourceMailbox, listing: Listing) -> Knowledge:
    """What the ledger knows of the letters in `listing`, and which letters of its own it misses there."""
    epoch = epoch_of(source, listing)
    listed = {letter.uid for letter in (*listing.letters, *listing.flagged)}
    unclear = ambiguous(listing)
    listed |= {makeshift(letter) for letter in listing.letters if letter.uid in unclear}
    rows: dict[str, Known] = {}
    unlisted: set[int] = set()
    renumbered = False
    for row_epoch, in_hand, row in _known(Letter.objects.filter(source=source, forgotten_at=None)):
        if row_epoch == epoch and row.uid in listed:
            rows[row.uid] = row
        elif not in_hand:
            unlisted.add(row.id)
            renumbered |= row_epoch != epoch
    for uids in chunks(sorted(listed - rows.keys())):
        forgotten = Letter.objects.filter(source=source, epoch=epoch, uid__in=uids)
        rows.update({row.uid: row for _, _, row in _known(forgotten)})
    read = {letter.uid for letter in listing.letters if letter.seen} - rows.keys()
    marked, moved = collected_by_others(source, epoch, read), bool(read) and has_moved(source, epoch)
    return Knowledge(rows, frozenset(unlisted), renumbered, marked, moved)


def unfinished(source: SourceMailbox) -> list[Letter]:
    """Letters that were recorded and whose delivery was not; what a crash leaves behind. Those that made trouble come last."""
    return list(Letter.objects.filter(source=source, state__in=IN_HAND).order_by("tries", "id"))


def all_unfinished() -> QuerySet[Letter]:
    """The same, of all mailboxes: what staged files are still needed for."""
    return Letter.objects.filter(state__in=IN_HAND)


def stuck(now: datetime) -> QuerySet[Letter]:
    """Letters that are unfinished for longer than any poll needs: somebody has to look what holds them up."""
    return all_unfinished().filter(first_seen_at__lte=now - STUCK_AFTER)


def record_ready(
    run: Run,
    source: SourceMailbox,
    epoch: int,
    arrivals: Sequence[Arrival],
    state: State,
    delivered: Collection[int],
    now: datetime,
) -> dict[str, int]:
    """The transaction after which these letters are ours to deliver; row ids by file name, of those that nobody took before.

    `delivered` are the rows of the batch before, recorded here to save a transaction. Raises RunOvertaken, and then nothing is
    recorded.
    """
    with transaction.atomic():
        require_claim(run, now)
        _mark_delivered(delivered, now)
        replaced = {arrival.file_name: arrival.errand.row.id for arrival in arrivals if arrival.errand.row}
        twice = doubted(source, [one.fingerprint for one in arrivals]) if state is State.SENDING else frozenset()
        for arrival in arrivals:
            forget_former(arrival.errand.row, now)
        trouble = replace_held(replaced.values()) if replaced else {}
        rows = _rows(run, source, epoch, arrivals, state, trouble, now)
        for row in rows:
            row.maybe_twice = row.fingerprint in twice
        Letter.objects.bulk_create(rows, ignore_conflicts=True)
        names = [arrival.file_name for arrival in arrivals]
        won = dict(Letter.objects.filter(run=run, state=state, file_name__in=names).values_list("file_name", "id"))
        Letter.objects.filter(id__in=[replaced[name] for name in replaced.keys() & won]).update(forgotten_at=now)
        return won


def record_delivered(ids: Collection[int], now: datetime) -> None:
    """These letters are durably in their local mailboxes; what trouble they made is over."""
    _mark_delivered(ids, now)


def record_twice(ids: Collection[int]) -> None:
    """These letters are about to be sent again, and may already have arrived."""
    Letter.objects.filter(id__in=ids).update(maybe_twice=True)


def known_twins(source: SourceMailbox, fingerprints: Collection[str], taken: Collection[int]) -> dict[str, list[Known]]:
    """Letters of this mailbox with these fingerprints, delivered or in hand, that are not otherwise accounted for (`taken`)."""
    twins: dict[str, list[Known]] = {}
    same = Letter.objects.filter(source=source, fingerprint__in=fingerprints).exclude(state=State.HELD)
    prints = dict(same.values_list("id", "fingerprint"))
    for _, _, row in _known(same):
        if row.id not in taken:
            twins.setdefault(prints[row.id], []).append(row)
    return twins


def rebind(run: Run, epoch: int, errand: Errand, row: Known, now: datetime) -> None:
    """The letter that `errand` fetched is the one that `row` remembers: from now on by its present name. Raises RunOvertaken."""
    fate = Fate.WANTED if errand.delete_after and row.fate is not Fate.KEPT else Fate.KEPT
    changes: dict[str, object] = {
        "missing_since": None,
        "forgotten_at": None,
        "deleted_at": None,
        "fate": fate,
        "tries": 0,
    }
    if errand.named:
        changes |= {"size": errand.letter.size, "epoch": epoch, "uid": errand.letter.uid}
        if row.uid != errand.letter.uid or not errand.row or row.id != errand.row.id:
            changes["ord"] = errand.ord
    with transaction.atomic():
        require_claim(run, now)
        if not errand.named and row.gone:
            changes["ord"] = next_order(row.id)  # later letters may have had its name
        if errand.row and errand.row.id != row.id:
            forget_former(errand.row, now)
            former = Letter.objects.filter(id=errand.row.id)
            former.filter(state=State.HELD).delete()  # it holds the name that the row is going to have
            former.update(forgotten_at=now)
        Letter.objects.filter(id=row.id).update(**changes)


def record_deleting(run: Run, ids: Collection[int], now: datetime) -> None:
    """The deletion of these letters is about to be asked of the server. Raises RunOvertaken: then nothing may be deleted."""
    with transaction.atomic():
        require_claim(run, now)
        for chunk in chunks(sorted(ids)):
            Letter.objects.filter(id__in=chunk).update(fate=Fate.SENT)


def record_deleted(ids: Collection[int], now: datetime) -> None:
    """The server confirmed the deletion of these letters."""
    for chunk in chunks(sorted(ids)):
        Letter.objects.filter(id__in=chunk).update(fate=Fate.DELETED, deleted_at=now, forgotten_at=now)


def record_undeleted(run: Run, ids: Collection[int]) -> None:
    """The server refused to delete these letters, or the deletion was taken back: it certainly did not happen. Raises RunOvertaken:
    another poll may have asked for it, too.
    """
    if not ids:
        return
    with transaction.atomic():
        require_run(run)
        for chunk in chunks(sorted(ids)):
            Letter.objects.filter(id__in=chunk, fate=Fate.SENT).update(fate=Fate.WANTED)


def hold(run: Run, source: SourceMailbox, epoch: int, errand: Errand, error: FetchError, now: datetime) -> None:
    """Note that this letter could not be fetched or delivered. It stays on the server and is tried again, after the others.

    Where it has the name of one that was delivered, it may be another: it has a row of its own, to be seen by people. Raises
    RunOvertaken: another poll may have collected it meanwhile.
    """
    tries = errand.row.tries + 1 if errand.row else 1
    note = {"tries": tries, **_trouble(error, now)}
    with transaction.atomic():
        require_run(run)
        if errand.row and errand.again:
            # What the row says of an earlier delivery stays true.
            Letter.objects.filter(id=errand.row.id).update(**note)
            return
        name = errand.letter.uid if errand.named else makeshift(errand.letter)
        key = {"source": source, "epoch": epoch, "uid": name, "ord": errand.ord}
        note |= {"run": run, "size": errand.letter.size}
        new = {"recipient": run.recipient, "state": State.HELD, "first_seen_at": now}
        Letter.objects.update_or_create(
            **key,
            defaults={**note, "missing_since": None, "forgotten_at": None},
            create_defaults={**note, **new, "received_at": errand.letter.received},
        )


def hold_back(row_id: int, error: FetchError, now: datetime) -> None:
    """The local mailbox did not take a recorded letter, and that counts as a try: it stays on the server."""
    _in_hand([row_id]).update(state=State.HELD, fate=Fate.KEPT, tries=F("tries") + 1, **_trouble(error, now))


def record_unanswered(row_id: int, error: FetchError, now: datetime) -> bool:
    """The mail server may have taken this letter, or not, and that counts as a try. Whether it was the last: then it is held."""
    with transaction.atomic():
        _in_hand([row_id]).update(tries=F("tries") + 1, **_trouble(error, now))
        last = _in_hand([row_id]).filter(tries__gte=MAX_TRIES)
        return bool(last.update(state=State.HELD, fate=Fate.KEPT, maybe_twice=True))


def take_back(row_id: int) -> None:
    """A recorded letter was not delivered, through no fault of its own: it is what it was before, new or held."""
    _in_hand([row_id]).filter(tries=0).delete()
    _in_hand([row_id]).update(state=State.HELD, fate=Fate.KEPT)


def record_present(run: Run, source: SourceMailbox, epoch: int, letters: Sequence[Listed], now: datetime) -> None:
    """These letters lay there before we came: they count as collected, and no later one does. Raises RunOvertaken.

    That was asked for once, and may have been taken back meanwhile.
    """
    rows = [
        Letter(
            source=source,
            epoch=epoch,
            uid=letter.uid,
            run=run,
            recipient=run.recipient,
            state=State.PASSED,
            size=letter.size,
            first_seen_at=now,
            received_at=letter.received,
        )
        for letter in letters
    ]
    with transaction.atomic():
        require_claim(run, now)
        if not SourceMailbox.objects.filter(id=source.pk, pass_present=True).update(pass_present=False):
            raise RunOvertaken("the letters are to be fetched after all")
        Letter.objects.bulk_create(rows, ignore_conflicts=True)


def _known(letters: QuerySet[Letter]) -> Iterator[tuple[int, bool, Known]]:
    """(epoch, in hand, row) for each letter, in the order of `ord`, so that of one uid the newest comes last."""
    place = ("epoch", "missing_since", "forgotten_at", "id", "uid", "ord", "size", "state", "fate")
    trouble = ("tries", "tried_at", "reason", "delivered_at")
    rows = letters.order_by("ord").values_list(*place, *trouble).iterator(chunk_size=2000)
    for epoch, missing_since, forgotten_at, row_id, uid, order, size, state, fate, *rest in rows:
        gone = missing_since is not None or forgotten_at is not None
        yield epoch, state in IN_HAND, Known(row_id, uid, order, size, State(state), Fate(fate), gone, *rest)


def _mark_delivered(ids: Collection[int], now: datetime) -> None:
    if ids:
        over = {"tries": 0, "reason": "", "detail": ""}
        _in_hand(ids).update(state=State.DELIVERED, delivered_at=now, **over)


def _in_hand(ids: Collection[int]) -> QuerySet[Letter]:
    return Letter.objects.filter(id__in=ids, state__in=IN_HAND)


def _trouble(error: FetchError, now: datetime) -> dict[str, Any]:
    return {"tried_at": now, "reason": error.code, "detail": error.detail}


def _rows(
    run: Run,
    source: SourceMailbox,
    epoch: int,
    arrivals: Sequence[Arrival],
    state: State,
    trouble: Mapping[int, dict[str, Any]],
    now: datetime,
) -> list[Letter]:
    names = names_for(source, epoch, [(arrival.errand, arrival.fingerprint) for arrival in arrivals])
    return [
        Letter(
            source=source,
            epoch=epoch,
            uid=uid,
            ord=order,
            run=run,
            recipient=run.recipient,
            state=state,
            fate=Fate.WANTED if arrival.errand.delete_after else Fate.KEPT,
            size=arrival.errand.letter.size,
            octets=arrival.octets,
            fingerprint=arrival.fingerprint,
            file_name=arrival.file_name,
            directory=arrival.directory,
            first_seen_at=now,
            received_at=arrival.errand.letter.received,
            sender=arrival.sender,
            subject=arrival.subject,
            message_id=arrival.message_id,
            **(trouble.get(arrival.errand.row.id, {}) if arrival.errand.row else {}),
        )
        for arrival, (uid, order) in zip(arrivals, names, strict=True)
    ]
