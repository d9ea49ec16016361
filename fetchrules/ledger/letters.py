"""Letters: the transactions that keep letters from being lost or delivered twice.

A letter on the server has a row for each addressee, all with one name: (source, epoch, uid, ord). Its delivery (staged, delivered,
held) is written to one row; its name, its deletion and its absence on the server are written to all of them (`every_row`). The uid
is the server's unique-id, or a fingerprint if it gives none; `ord` counts the letters that have borne one uid.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, Exists, F, Func, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL

from fetchrules.errors import CameShort, FetchError, RunOvertaken
from fetchrules.ledger.columns import insert_all, marks
from fetchrules.ledger.runs import require_claim, require_run
from fetchrules.ledger.source_mailboxes import former_of
from fetchrules.models import FetchedBefore, Letter, Run, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy.known import IN_HAND, MAX_TRIES, Fate, Known, State
from fetchrules.policy.planning import Purpose, ToFetch
from fetchrules.remote.mailbox import Listed

STUCK_AFTER = timedelta(minutes=10)
"""No poll takes so long from recording a letter to delivering it."""


_EVERY_ROW = """
SELECT other.id FROM fetchrules_letter one JOIN fetchrules_letter other USING (source_id, epoch, uid, ord) WHERE one.id IN ({})
"""


@dataclass(frozen=True, slots=True)
class Filing:
    """Where a poll files letters: `run` reads `source`, and its unique-ids are names within `epoch`. `into`: the local folder."""

    run: Run
    source: SourceMailbox
    epoch: int
    into: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A letter that is staged durably and not delivered yet. `octets` as received; `head`: fingerprint of the header;
    `received_at`: when it arrived at the remote server; `lived`: seconds that its mailbox has lived through; `directory`: the
    marker of the staging directory."""

    wanted: ToFetch
    file_name: str
    octets: int
    fingerprint: str
    head: str = ""
    received_at: datetime | None = None
    lived: int | None = None
    directory: str = ""
    sender: str = ""
    subject: str = ""
    message_id: str = ""


_COLUMNS = (
    *("octets", "fingerprint", "head", "received_at", "lived"),
    *("file_name", "directory", "sender", "subject", "message_id"),
)
"""The columns of Letter that an Arrival has under the same name."""


_IS_IN_HAND = Func(
    F("state"),
    template="%(expressions)s IN ('{}', '{}')".format(*IN_HAND),
    output_field=BooleanField(),
)
"""The condition of the index `unfinished_letters`, word for word: if the states were parameters, SQLite would read every letter."""


def every_row(ids: Collection[int]) -> QuerySet[Letter]:
    """The rows of all addressees of these letters. At most as many ids as one statement may name (`chunks`)."""
    same = RawSQL(_EVERY_ROW.format(marks(ids) or "NULL"), tuple(ids))  # noqa: S611 -- nothing but the number of marks is put in
    return Letter.objects.filter(id__in=same)


def unfinished(source: SourceMailbox) -> list[Letter]:
    """Letters that were recorded and not delivered, as a crash leaves them; those that failed before come last."""
    return list(Letter.objects.filter(source=source, state__in=IN_HAND).order_by("tries", "id"))


def all_unfinished() -> QuerySet[Letter]:
    """The unfinished letters of all mailboxes, whose staged files are still needed."""
    return Letter.objects.filter(_IS_IN_HAND)


def unattended() -> QuerySet[Letter]:
    """Unfinished letters that no poll is working on: their account is not being polled. (A run names only one folder of it.)"""
    account = {f"source__{column}": OuterRef(f"source__{column}") for column in ("protocol", "host", "port", "user")}
    return all_unfinished().exclude(Exists(Run.objects.filter(**account, finished_at__isnull=True)))


def stuck(now: datetime) -> QuerySet[Letter]:
    """Letters that are unfinished for longer than any poll needs, so that a person has to look."""
    return all_unfinished().filter(first_seen_at__lte=now - STUCK_AFTER)


def record_ready(
    filing: Filing, arrivals: Sequence[Arrival], state: State, delivered: Collection[int], now: datetime
) -> dict[str, int]:
    """Record these letters, in one transaction, as ours to deliver. Returns row ids by file name, without letters recorded before.

    `delivered`: rows of the batch before, recorded here to save a transaction. Raises RunOvertaken, recording nothing.
    """
    with transaction.atomic():
        require_claim(filing.run, now)
        record_delivered(delivered, now)
        replaced = {arrival.file_name: arrival.wanted.row.id for arrival in arrivals if arrival.wanted.row}
        twice = _perhaps_taken(filing.source, arrivals) if state is State.SENDING else frozenset()
        for arrival in arrivals:
            _forget_former(arrival.wanted.row, now)
        trouble = _replace_held(replaced.values()) if replaced else {}
        rows = _rows(filing, arrivals, state, trouble, now)
        for row in rows:
            row["maybe_twice"] = row["fingerprint"] in twice
        insert_all(Letter, rows)
        names = [arrival.file_name for arrival in arrivals]
        won = dict(
            Letter.objects.filter(run=filing.run, state=state, file_name__in=names).values_list("file_name", "id")
        )
        former = {one.wanted.row.id: one.wanted.row.uid for one in arrivals if one.wanted.row and one.file_name in won}
        named = dict(Letter.objects.filter(id__in=former).values_list("id", "uid")) if former else {}
        # Leave out those that were recognised under other names meanwhile.
        still = [row_id for row_id, uid in former.items() if named.get(row_id) == uid]
        if still:
            every_row(still).update(forgotten_at=now)
        return won


def record_twice(ids: Collection[int]) -> None:
    """Note that these letters are sent again and may have arrived before."""
    Letter.objects.filter(id__in=ids).update(maybe_twice=True)


def rebind(filing: Filing, wanted: ToFetch, row: Known, header: str, now: datetime) -> int:
    """Give the known letter `row` its present name, that of `wanted`. Returns the id of its row from now on.

    `header`: the fingerprint of its header, or empty. A row of a former ledger is copied into this one. Raises RunOvertaken.
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
        changes |= {"size": wanted.letter.size, "epoch": filing.epoch, "uid": wanted.letter.uid}
        if row.former or row.uid != wanted.letter.uid or not wanted.row or row.id != wanted.row.id:
            changes["ord"] = wanted.ord
    with transaction.atomic():
        require_claim(filing.run, now)
        row_id = _copy_of_former(filing, row) if row.former else row.id
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


def record_read(filing: Filing, compared: Sequence[tuple[Listed, str]], now: datetime) -> None:
    """Record letters that are marked as read or deleted on the server and not ours, with their headers' fingerprints.

    They go on being judged by their marks. Raises RunOvertaken.
    """
    with transaction.atomic():
        require_claim(filing.run, now)
        for uids in chunks([letter.uid for letter, _ in compared]):
            _filed(filing).filter(uid__in=uids, state=State.READ).delete()
        rows = [_row(filing, letter, now, state=State.READ, head=head) for letter, head in compared]
        insert_all(Letter, rows)


def hold(filing: Filing, wanted: ToFetch, error: FetchError, now: datetime, *, short: int | None = None) -> None:
    """Note that this letter could not be fetched or delivered. It stays on the server and is tried again, after the others.

    If its name is that of a delivered letter, it gets a row of its own. `short`: it ended after so many octets, far too few, which
    counts as a try from the second time on. Raises RunOvertaken: another poll may have collected it meanwhile.
    """
    tries = wanted.row.tries if wanted.row else 0
    first = short is not None and not (wanted.row and wanted.row.reason == CameShort.code)
    note = {"tries": tries if first else tries + 1, **_trouble(error, now)}
    if short is not None:
        note["octets"] = short
    with transaction.atomic():
        require_run(filing.run)
        if wanted.row and wanted.again:
            every_row([wanted.row.id]).update(**note)
            return
        state, order = State.HELD, wanted.ord
        if wanted.purpose is not Purpose.COLLECT:
            # It is only to be compared.
            state, order = State.READ, wanted.row.ord if wanted.row else 0
        key = {"source": filing.source, "epoch": filing.epoch, "uid": wanted.name, "ord": order, "addressee": ""}
        note |= {"run": filing.run, "size": wanted.letter.size}
        new = {"recipient": filing.run.recipient, "state": state, "first_seen_at": now}
        Letter.objects.update_or_create(
            **key,
            defaults={**note, "missing_since": None, "forgotten_at": None},
            create_defaults={**note, **new, "received_at": wanted.letter.received},
        )


def hold_back(row_id: int, error: FetchError, now: datetime) -> None:
    """Hold a recorded letter that the local mailbox did not take, and count a try."""
    _in_hand([row_id]).update(state=State.HELD, fate=Fate.KEPT, tries=F("tries") + 1, **_trouble(error, now))


def record_unanswered(row_id: int, error: FetchError, now: datetime) -> bool:
    """Count a try at a letter that the mail server may have taken. Returns whether it was the last: then the letter is held."""
    with transaction.atomic():
        _in_hand([row_id]).update(tries=F("tries") + 1, **_trouble(error, now))
        last = _in_hand([row_id]).filter(tries__gte=MAX_TRIES)
        return bool(last.update(state=State.HELD, fate=Fate.KEPT, maybe_twice=True))


def take_back(row_id: int) -> None:
    """Undo the record of a letter whose delivery failed through no fault of its own: it is new or held, as before."""
    _in_hand([row_id]).filter(tries=0).delete()
    _in_hand([row_id]).update(state=State.HELD, fate=Fate.KEPT)


def record_present(filing: Filing, letters: Sequence[tuple[Listed, str]], now: datetime, *, last: bool = True) -> None:
    """Count these letters, present at the first poll, as collected; each with its header's fingerprint, or empty.

    `last`: no other letter of the mailbox is to count as collected. Raises RunOvertaken, also if the rule no longer asks for it.
    """
    source = filing.source
    asked = SourceMailbox.objects.filter(Q(since=source.since) if source.since else Q(pass_present=True), id=source.pk)
    changes: dict[str, Any] = {"pass_present": False, "since": None} if last else {"since": source.since}
    rows = [_row(filing, letter, now, run=filing.run.id, state=State.PASSED, head=head) for letter, head in letters]
    with transaction.atomic():
        require_claim(filing.run, now)
        if not asked.update(**changes):
            raise RunOvertaken("the letters are to be fetched after all")
        for uids in chunks([letter.uid for letter, _ in letters]):
            _filed(filing).filter(uid__in=uids, state=State.READ).delete()
        insert_all(Letter, rows)


def record_elsewhere(
    filing: Filing, letters: Sequence[tuple[Listed, str]], lists: Collection[int], now: datetime
) -> None:
    """Count these letters, which another collector has fetched, as collected; each with its header's fingerprint, or empty.

    That is what its `lists` were for: they are removed. Raises RunOvertaken if one of them is gone.
    """
    rows = [_row(filing, letter, now, run=filing.run.id, state=State.PASSED, head=head) for letter, head in letters]
    with transaction.atomic():
        require_claim(filing.run, now)
        if FetchedBefore.objects.filter(id__in=lists).delete()[0] != len(lists):
            raise RunOvertaken("another list of fetched letters has come, or they are to be fetched after all")
        insert_all(Letter, rows)


def record_heads(heads: Mapping[int, str]) -> None:
    for row_id, head in heads.items():
        every_row([row_id]).update(head=head)


def start_counting(source: SourceMailbox, lived: int) -> None:
    """Start to count the days of letters that were delivered before this mailbox counted them."""
    Letter.objects.filter(source=source, state=State.DELIVERED, lived=None, forgotten_at=None).update(lived=lived)


def record_delivered(ids: Collection[int], now: datetime) -> None:
    if ids:
        over = {"tries": 0, "reason": "", "detail": ""}
        _in_hand(ids).update(state=State.DELIVERED, delivered_at=now, **over)


def _in_hand(ids: Collection[int]) -> QuerySet[Letter]:
    return Letter.objects.filter(id__in=ids, state__in=IN_HAND)


def _trouble(error: FetchError, now: datetime) -> dict[str, Any]:
    return {"tried_at": now, "reason": error.code, "detail": error.detail}


def _rows(
    filing: Filing, arrivals: Sequence[Arrival], state: State, trouble: Mapping[int, dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    names = _names_for(filing, [(arrival.wanted, arrival.fingerprint) for arrival in arrivals])
    return [
        _row(
            filing,
            arrival.wanted.letter,
            now,
            run=filing.run.id,
            uid=uid,
            ord=order,
            state=state,
            fate=Fate.WANTED if arrival.wanted.delete_after else Fate.KEPT,
            doubt=arrival.wanted.doubt or "",
            **{column: getattr(arrival, column) for column in _COLUMNS},
            **(trouble.get(arrival.wanted.row.id, {}) if arrival.wanted.row else {}),
        )
        for arrival, (uid, order) in zip(arrivals, names, strict=True)
    ]


def _row(filing: Filing, letter: Listed, now: datetime, **columns: Any) -> dict[str, Any]:
    """The values of a new row for a listed letter; `columns` add to them or replace them."""
    listed = {"uid": letter.uid, "size": letter.size, "received_at": letter.received}
    listed |= {"source": filing.source.pk, "epoch": filing.epoch}
    listed |= {"recipient": filing.run.recipient, "into": filing.into}
    return {"first_seen_at": now, **listed, **columns}


def _filed(filing: Filing) -> QuerySet[Letter]:
    return Letter.objects.filter(source=filing.source, epoch=filing.epoch)


def _names_for(filing: Filing, arrived: Iterable[tuple[ToFetch, str]]) -> list[tuple[str, int]]:
    """(uid, ord) of each letter, given its fingerprint, by which it is named and counted if it has no unique-id."""
    letters = [(wanted, f"fp:{fingerprint}") for wanted, fingerprint in arrived]
    own = {uid for wanted, uid in letters if not wanted.named}
    last = dict(_filed(filing).filter(uid__in=own).values_list("uid").annotate(Max("ord")))
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
    """The letter held as `row` has come, so earlier letters of its name are gone."""
    if row and row.state is State.HELD and row.ord:
        _namesakes(row.id).filter(ord__lt=row.ord, forgotten_at=None).update(forgotten_at=now)


def _namesakes(row_id: int) -> QuerySet[Letter]:
    this = Letter.objects.filter(id=row_id)
    return Letter.objects.filter(**{column: Subquery(this.values(column)) for column in ("source_id", "epoch", "uid")})


def _replace_held(ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """Remove the held ones of these rows. Returns, by id, the columns that their replacements take over."""
    held = Letter.objects.filter(id__in=ids, state=State.HELD)
    names = ("tries", "tried_at", "reason", "detail")
    columns = {row_id: dict(zip(names, values, strict=True)) for row_id, *values in held.values_list("id", *names)}
    held.delete()
    return columns


def _perhaps_taken(source: SourceMailbox, arrivals: Iterable[Arrival]) -> frozenset[str]:
    """The fingerprints of those of `arrivals` that were held and that a mail server may have taken, under any name."""
    held = Letter.objects.filter(source__in=[source, *former_of(source)], state=State.HELD, maybe_twice=True)
    held = held.filter(fingerprint__in=[arrival.fingerprint for arrival in arrivals])
    return frozenset(held.values_list("fingerprint", flat=True))


def _copy_of_former(filing: Filing, row: Known) -> int:
    """Copy a former ledger's letter into this one under an unused name. Returns the id of the copy of `row`."""
    copies, source = {}, filing.source
    for letter in every_row([row.id]).select_related("source"):
        former, lived = letter.id, letter.lived
        letter.lived = None if lived is None else source.lived - (letter.source.lived - lived)
        letter.pk, letter.source, letter.epoch, letter.run, letter.continues = None, source, filing.epoch, None, former
        letter.uid = f"former {row.id}"  # no server's name has a blank in it
        letter._state.adding = True
        letter.save(force_insert=True)
        copies[former] = letter.id
    return copies[row.id]
