"""Letters: what we know of each, and the transactions by which none is lost and none comes twice."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from fetchrules.errors import CameShort, FetchError, RunOvertaken
from fetchrules.ledger.claims import require_claim, require_run
from fetchrules.ledger.former import copy_of_former
from fetchrules.ledger.names import forget_former, names_for, next_order
from fetchrules.ledger.trouble import doubted, replace_held
from fetchrules.models import Letter, Run, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy import IN_HAND, MAX_TRIES, Fate, Known, Purpose, State, ToFetch
from fetchrules.remote.mailbox import Listed

STUCK_AFTER = timedelta(minutes=10)
"""A letter that is in hand for so long is stuck: no poll takes it that long to get from the record into the mailbox."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A letter that is staged, durably, and not delivered yet. `octets` as received; `header` is the
    fingerprint of its header; `lived` what its mailbox has lived through; `directory` is the staging one's marker.
    """

    wanted: ToFetch
    file_name: str
    octets: int
    fingerprint: str
    header: str = ""
    lived: int | None = None
    directory: str = ""
    sender: str = ""
    subject: str = ""
    message_id: str = ""


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
        record_delivered(delivered, now)
        replaced = {arrival.file_name: arrival.wanted.row.id for arrival in arrivals if arrival.wanted.row}
        twice = doubted(source, [one.fingerprint for one in arrivals]) if state is State.SENDING else frozenset()
        for arrival in arrivals:
            forget_former(arrival.wanted.row, now)
        trouble = replace_held(replaced.values()) if replaced else {}
        rows = _rows(run, source, epoch, arrivals, state, trouble, now)
        for row in rows:
            row.maybe_twice = row.fingerprint in twice
        Letter.objects.bulk_create(rows, ignore_conflicts=True)
        names = [arrival.file_name for arrival in arrivals]
        won = dict(Letter.objects.filter(run=run, state=state, file_name__in=names).values_list("file_name", "id"))
        former = {one.wanted.row.id: one.wanted.row.uid for one in arrivals if one.wanted.row and one.file_name in won}
        named = dict(Letter.objects.filter(id__in=former).values_list("id", "uid")) if former else {}
        # Some have been recognised under other names by now.
        still = [row_id for row_id, uid in former.items() if named.get(row_id) == uid]
        if still:
            Letter.objects.filter(id__in=still).update(forgotten_at=now)
        return won


def record_twice(ids: Collection[int]) -> None:
    """These letters are about to be sent again, and may already have arrived."""
    Letter.objects.filter(id__in=ids).update(maybe_twice=True)


def rebind(run: Run, source: SourceMailbox, epoch: int, wanted: ToFetch, row: Known, header: str, now: datetime) -> int:
    """The letter of `wanted` is the one that `row` remembers: from now on by its present name. The id of its row from now on.

    `header`: the fingerprint of its header, where that is known. A row of a former ledger stays, and has a copy here. Raises
    RunOvertaken.
    """
    goes = wanted.delete_after or wanted.delete_known
    fate = Fate.WANTED if goes and row.fate is not Fate.KEPT else Fate.KEPT
    changes: dict[str, object] = {"missing_since": None, "forgotten_at": None, "fate": fate}
    if not row.broke_deleting:
        changes["tries"] = 0
    if fate is Fate.KEPT:
        changes["deleted_at"] = None
    if header:
        changes["head"] = header
    if wanted.named:
        changes |= {"size": wanted.letter.size, "epoch": epoch, "uid": wanted.letter.uid}
        if row.former or row.uid != wanted.letter.uid or not wanted.row or row.id != wanted.row.id:
            changes["ord"] = wanted.ord
    with transaction.atomic():
        require_claim(run, now)
        row_id = copy_of_former(source, row, epoch) if row.former else row.id
        if not wanted.named and row.gone:
            changes["ord"] = next_order(row_id)  # later letters may have had its name
        if wanted.row and wanted.row.id != row_id:
            forget_former(wanted.row, now)
            former = Letter.objects.filter(id=wanted.row.id, uid=wanted.row.uid)  # it may have got another name by now
            # These hold the name that the row is going to have.
            former.filter(state__in=[State.HELD, State.READ]).delete()
            former.update(forgotten_at=now)
        Letter.objects.filter(id=row_id).update(**changes)
    return row_id


def record_read(
    run: Run, source: SourceMailbox, epoch: int, compared: Sequence[tuple[Listed, str]], now: datetime
) -> None:
    """These letters are marked as read, or for deletion, on the server, and none of ours; each with its header's fingerprint.

    Nothing else is remembered of them: they go on being judged by the marks. Raises RunOvertaken.
    """
    with transaction.atomic():
        require_claim(run, now)
        names = [letter.uid for letter, _ in compared]
        for uids in chunks(names):
            Letter.objects.filter(source=source, epoch=epoch, uid__in=uids, state=State.READ).delete()
        rows = [
            Letter(
                source=source,
                epoch=epoch,
                uid=letter.uid,
                recipient=run.recipient,
                state=State.READ,
                size=letter.size,
                head=head,
                first_seen_at=now,
                received_at=letter.received,
            )
            for letter, head in compared
        ]
        Letter.objects.bulk_create(rows, ignore_conflicts=True)


def hold(
    run: Run,
    source: SourceMailbox,
    epoch: int,
    wanted: ToFetch,
    error: FetchError,
    now: datetime,
    *,
    short: int | None = None,
) -> None:
    """Note that this letter could not be fetched or delivered. It stays on the server and is tried again, after the others.

    Where it has the name of one that was delivered, it may be another: it has a row of its own, to be seen by people. `short`: it
    ended after so many octets, far too few; the first time that is no try. Raises RunOvertaken: another poll may have collected it
    meanwhile.
    """
    tries = wanted.row.tries if wanted.row else 0
    first = short is not None and not (wanted.row and wanted.row.reason == CameShort.code)
    note = {"tries": tries if first else tries + 1, **_trouble(error, now)}
    if short is not None:
        note["octets"] = short
    with transaction.atomic():
        require_run(run)
        if wanted.row and wanted.again:
            # What the row says of an earlier delivery stays true.
            Letter.objects.filter(id=wanted.row.id).update(**note)
            return
        state, order = State.HELD, wanted.ord
        if wanted.purpose is not Purpose.COLLECT:
            # Not to be collected, as far as is known: it is only to be compared.
            state, order = State.READ, wanted.row.ord if wanted.row else 0
        key = {"source": source, "epoch": epoch, "uid": wanted.name, "ord": order}
        note |= {"run": run, "size": wanted.letter.size}
        new = {"recipient": run.recipient, "state": state, "first_seen_at": now}
        Letter.objects.update_or_create(
            **key,
            defaults={**note, "missing_since": None, "forgotten_at": None},
            create_defaults={**note, **new, "received_at": wanted.letter.received},
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


def record_present(
    run: Run, source: SourceMailbox, epoch: int, letters: Sequence[tuple[Listed, str]], now: datetime
) -> None:
    """These letters lay there before we came: they count as collected, and no later one does. Each comes with the fingerprint of
    its header, as far as that is known. Raises RunOvertaken.

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
            head=head,
            first_seen_at=now,
            received_at=letter.received,
        )
        for letter, head in letters
    ]
    with transaction.atomic():
        require_claim(run, now)
        if not SourceMailbox.objects.filter(id=source.pk, pass_present=True).update(pass_present=False):
            raise RunOvertaken("the letters are to be fetched after all")
        Letter.objects.bulk_create(rows, ignore_conflicts=True)


def record_heads(heads: Mapping[int, str]) -> None:
    """The fingerprints of the headers of these letters, by the ids of their rows."""
    for row_id, head in heads.items():
        Letter.objects.filter(id=row_id).update(head=head)


def start_counting(source: SourceMailbox, lived: int) -> None:
    """Letters that were delivered before the days of this mailbox were counted: theirs are counted from now on."""
    Letter.objects.filter(source=source, state=State.DELIVERED, lived=None, forgotten_at=None).update(lived=lived)


def record_delivered(ids: Collection[int], now: datetime) -> None:
    """These letters are durably in their local mailboxes; what trouble they made is over."""
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
    names = names_for(source, epoch, [(arrival.wanted, arrival.fingerprint) for arrival in arrivals])
    return [
        Letter(
            source=source,
            epoch=epoch,
            uid=uid,
            ord=order,
            run=run,
            recipient=run.recipient,
            state=state,
            fate=Fate.WANTED if arrival.wanted.delete_after else Fate.KEPT,
            doubt=arrival.wanted.doubt or "",
            size=arrival.wanted.letter.size,
            octets=arrival.octets,
            fingerprint=arrival.fingerprint,
            head=arrival.header,
            lived=arrival.lived,
            file_name=arrival.file_name,
            directory=arrival.directory,
            first_seen_at=now,
            received_at=arrival.wanted.letter.received,
            sender=arrival.sender,
            subject=arrival.subject,
            message_id=arrival.message_id,
            **(trouble.get(arrival.wanted.row.id, {}) if arrival.wanted.row else {}),
        )
        for arrival, (uid, order) in zip(arrivals, names, strict=True)
    ]
