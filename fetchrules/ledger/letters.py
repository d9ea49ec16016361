"""Letters: the transactions by which none is lost and none comes twice.

A letter on the server has a row for each addressee, all of one name: (source, epoch, uid, ord). What becomes of it here is written
to one row: staged, delivered, held. What is known of it there is written to all of them (`every_row`): its name, its deletion, and
that it is missing. The name is the server's own unique-id, or a fingerprint where it gives none; `ord` counts the letters that have
had one name.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.expressions import RawSQL

from fetchrules.errors import CameShort, FetchError, RunOvertaken
from fetchrules.ledger.runs import require_claim, require_run
from fetchrules.ledger.source_mailboxes import former_of
from fetchrules.models import Letter, Run, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy import IN_HAND, MAX_TRIES, Fate, Known, Purpose, State, ToFetch
from fetchrules.remote.mailbox import Listed

STUCK_AFTER = timedelta(minutes=10)
"""A letter that is in hand for so long is stuck: no poll takes it that long to get from the record into the mailbox."""


_EVERY_ROW = """
SELECT other.id FROM fetchrules_letter one JOIN fetchrules_letter other USING (source_id, epoch, uid, ord) WHERE one.id IN ({})
"""


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


def every_row(ids: Collection[int]) -> QuerySet[Letter]:
    """All rows of the letters that these are rows of: one for each addressee. As many as one statement may name (`chunks`)."""
    marks = ", ".join(["%s"] * len(ids)) or "NULL"
    same = RawSQL(_EVERY_ROW.format(marks), tuple(ids))  # noqa: S611 -- nothing but the number of marks is put in
    return Letter.objects.filter(id__in=same)


def unfinished(source: SourceMailbox) -> list[Letter]:
    """Letters that were recorded and whose delivery was not; what a crash leaves behind. Those that made trouble come last."""
    return list(Letter.objects.filter(source=source, state__in=IN_HAND).order_by("tries", "id"))


def all_unfinished() -> QuerySet[Letter]:
    """The same, of all mailboxes: what staged files are still needed for."""
    return Letter.objects.filter(state__in=IN_HAND)


def unattended() -> QuerySet[Letter]:
    """Unfinished letters whose account is not being polled, so that no poll has them in its hands.

    The account, and not the mailbox: of the folders that a rule collects, its run names one.
    """
    account = {f"source__{column}": OuterRef(f"source__{column}") for column in ("protocol", "host", "port", "user")}
    return all_unfinished().exclude(Exists(Run.objects.filter(**account, finished_at__isnull=True)))


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
        twice = _perhaps_taken(source, [one.fingerprint for one in arrivals]) if state is State.SENDING else frozenset()
        for arrival in arrivals:
            _forget_former(arrival.wanted.row, now)
        trouble = _replace_held(replaced.values()) if replaced else {}
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
            every_row(still).update(forgotten_at=now)
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
        row_id = _copy_of_former(source, row, epoch) if row.former else row.id
        if not wanted.named and row.gone:
            changes["ord"] = _next_order(row_id)  # later letters may have had its name
        if wanted.row and wanted.row.id != row_id:
            _forget_former(wanted.row, now)
            former = every_row([wanted.row.id]).filter(uid=wanted.row.uid)  # it may have got another name by now
            former.update(forgotten_at=now)
            # These hold the name that the row is going to have.
            former.filter(state__in=[State.HELD, State.READ]).delete()
        every_row([row_id]).update(**changes)
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
        rows = [_row(run, source, epoch, letter, now, state=State.READ, head=head) for letter, head in compared]
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
            every_row([wanted.row.id]).update(**note)
            return
        state, order = State.HELD, wanted.ord
        if wanted.purpose is not Purpose.COLLECT:
            # Not to be collected, as far as is known: it is only to be compared.
            state, order = State.READ, wanted.row.ord if wanted.row else 0
        key = {"source": source, "epoch": epoch, "uid": wanted.name, "ord": order, "addressee": ""}
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
    rows = [_row(run, source, epoch, letter, now, run=run, state=State.PASSED, head=head) for letter, head in letters]
    with transaction.atomic():
        require_claim(run, now)
        if not SourceMailbox.objects.filter(id=source.pk, pass_present=True).update(pass_present=False):
            raise RunOvertaken("the letters are to be fetched after all")
        Letter.objects.bulk_create(rows, ignore_conflicts=True)


def record_heads(heads: Mapping[int, str]) -> None:
    """The fingerprints of the headers of these letters, by the ids of their rows."""
    for row_id, head in heads.items():
        every_row([row_id]).update(head=head)


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
    names = _names_for(source, epoch, [(arrival.wanted, arrival.fingerprint) for arrival in arrivals])
    return [
        _row(
            run,
            source,
            epoch,
            arrival.wanted.letter,
            now,
            run=run,
            uid=uid,
            ord=order,
            state=state,
            fate=Fate.WANTED if arrival.wanted.delete_after else Fate.KEPT,
            doubt=arrival.wanted.doubt or "",
            octets=arrival.octets,
            fingerprint=arrival.fingerprint,
            head=arrival.header,
            lived=arrival.lived,
            file_name=arrival.file_name,
            directory=arrival.directory,
            sender=arrival.sender,
            subject=arrival.subject,
            message_id=arrival.message_id,
            **(trouble.get(arrival.wanted.row.id, {}) if arrival.wanted.row else {}),
        )
        for arrival, (uid, order) in zip(arrivals, names, strict=True)
    ]


def _row(polled: Run, source: SourceMailbox, epoch: int, letter: Listed, now: datetime, **columns: Any) -> Letter:
    """A new row for a letter as it is listed; `columns`: what is known besides, or better."""
    listed = {"uid": letter.uid, "size": letter.size, "received_at": letter.received, "recipient": polled.recipient}
    return Letter(source=source, epoch=epoch, first_seen_at=now, **listed | columns)


def _names_for(source: SourceMailbox, epoch: int, arrived: Iterable[tuple[ToFetch, str]]) -> list[tuple[str, int]]:
    """(uid, ord) of each of these letters (with its fingerprint). One without a name of its own is called by its fingerprint and
    counted on from its twins."""
    letters = [(wanted, f"fp:{fingerprint}") for wanted, fingerprint in arrived]
    own = {uid for wanted, uid in letters if not wanted.named}
    counted = Letter.objects.filter(source=source, epoch=epoch, uid__in=own).values_list("uid").annotate(Max("ord"))
    last = dict(counted) if own else {}
    names: list[tuple[str, int]] = []
    for wanted, uid in letters:
        if wanted.named:
            names.append((wanted.letter.uid, wanted.ord))
        else:
            last[uid] = last.get(uid, -1) + 1
            names.append((uid, last[uid]))
    return names


def _next_order(row_id: int) -> int:
    """An ordinal after all letters that have, or had, this letter's name."""
    return (_namesakes(row_id).aggregate(last=Max("ord"))["last"] or 0) + 1


def _forget_former(row: Known | None, now: datetime) -> None:
    """The letter that was held as `row` has come: of letters that had its name before, none may be believed to be here by it."""
    if row and row.state is State.HELD and row.ord:
        _namesakes(row.id).filter(ord__lt=row.ord, forgotten_at=None).update(forgotten_at=now)


def _namesakes(row_id: int) -> QuerySet[Letter]:
    this = Letter.objects.filter(id=row_id)
    return Letter.objects.filter(**{column: Subquery(this.values(column)) for column in ("source_id", "epoch", "uid")})


_GOES_ON = ("tries", "tried_at", "reason", "detail")


def _replace_held(ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """Remove the held ones of these rows; by their ids, the columns that go on in the rows in their place."""
    held = Letter.objects.filter(id__in=ids, state=State.HELD)
    rows = held.values_list("id", *_GOES_ON)
    columns = {row_id: dict(zip(_GOES_ON, values, strict=True)) for row_id, *values in rows}
    held.delete()
    return columns


def _perhaps_taken(source: SourceMailbox, fingerprints: Iterable[str]) -> frozenset[str]:
    """Those that are held letters' which a mail server may have taken, whatever the letters are called now."""
    ledgers = [source, *former_of(source)]
    held = Letter.objects.filter(source__in=ledgers, state=State.HELD, maybe_twice=True, fingerprint__in=fingerprints)
    return frozenset(held.values_list("fingerprint", flat=True))


def _copy_of_former(source: SourceMailbox, row: Known, epoch: int) -> int:
    """A copy of a former ledger's letter in this one, under a name that is nobody's yet; the id of the copy of `row`.

    All that is known of the letter comes along: its mark, that it was passed over, and the time that it has lived through.
    """
    copies = {}
    for letter in every_row([row.id]).select_related("source"):
        former, lived = letter.id, letter.lived
        letter.lived = None if lived is None else source.lived - (letter.source.lived - lived)
        letter.pk, letter.source, letter.epoch, letter.run, letter.continues = None, source, epoch, None, former
        letter.uid = f"former {row.id}"  # no server's name has a blank in it
        letter._state.adding = True
        letter.save(force_insert=True)
        copies[former] = letter.id
    return copies[row.id]
