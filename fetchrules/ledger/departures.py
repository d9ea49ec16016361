"""Letters that leave the remote mailbox: deleted for us, or listed no more, and in the end forgotten."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from fetchrules.errors import DeletionFailed, FetchError
from fetchrules.ledger.letters import every_row
from fetchrules.ledger.runs import require_claim, require_run
from fetchrules.models import Letter, Run
from fetchrules.models.chunks import chunks, remove
from fetchrules.policy.known import Fate, State


def record_deleting(run: Run, ids: Collection[int], now: datetime) -> None:
    """Note that the server is about to be asked to delete these letters. Raises RunOvertaken: then nothing may be deleted."""
    with transaction.atomic():
        require_claim(run, now)
        for chunk in chunks(sorted(ids)):
            every_row(chunk).update(fate=Fate.SENT, deletions=F("deletions") + 1, tried_at=now)


def record_deleted(ids: Collection[int], now: datetime) -> None:
    for chunk in chunks(sorted(ids)):
        every_row(chunk).update(fate=Fate.DELETED, deleted_at=now, forgotten_at=now)


def record_undeleted(run: Run, ids: Collection[int]) -> None:
    """The server certainly did not delete these letters. Raises RunOvertaken: another poll may have asked for it, too."""
    if not ids:
        return
    with transaction.atomic():
        require_run(run)
        for chunk in chunks(sorted(ids)):
            every_row(chunk).filter(fate=Fate.SENT).update(fate=Fate.WANTED)


def blame_deletion(row_id: int, error: FetchError, now: datetime) -> None:
    """Note that deleting this letter broke the session: next time it is deleted last, by itself."""
    note = {"tried_at": now, "reason": DeletionFailed.code, "detail": error.detail}
    every_row([row_id]).update(tries=F("tries") + 1, **note)


FORGET_AFTER = timedelta(hours=24)
"""A letter has to be missing from two complete listings so far apart before it is forgotten."""
REMEMBER = timedelta(days=180)
"""How long the fingerprint of a forgotten letter is kept."""


def record_missing(ids: Collection[int], now: datetime, *, forget: bool = True) -> None:
    """Note that a complete listing lacks these letters. With `forget` they are forgotten if they lack for a day.

    Only `record_gone` forgets letters that were passed over: their content is unknown, so they could not be recognised later.
    """
    for chunk in chunks(sorted(ids)):
        rows = every_row(chunk)
        rows.filter(Q(missing_since=None) | Q(missing_since__gt=now)).update(missing_since=now)
        if forget:
            long_missing = rows.filter(missing_since__lte=now - FORGET_AFTER).exclude(state=State.PASSED)
            long_missing.update(forgotten_at=now)


def drop_outdated(ids: Collection[int]) -> None:
    """Drop rows in state READ under names that are listed no more."""
    for chunk in chunks(sorted(ids)):
        Letter.objects.filter(id__in=chunk, state=State.READ).delete()


def record_back(ids: Collection[int]) -> None:
    """These letters are listed again, and their names suffice to know them."""
    for chunk in chunks(sorted(ids)):
        every_row(chunk).update(missing_since=None, forgotten_at=None)


def record_gone(ids: Collection[int], now: datetime) -> None:
    """No letter of a complete listing is one of these, not even by another name. So a deletion that was asked for has happened, and
    passed letters that have been missing for a day have left the server."""
    for chunk in chunks(sorted(ids)):
        asked_for = every_row(chunk).filter(fate=Fate.SENT, missing_since__isnull=False)
        asked_for.update(fate=Fate.DELETED, deleted_at=now, forgotten_at=now)
        passed = every_row(chunk).filter(state=State.PASSED, missing_since__lte=now - FORGET_AFTER)
        passed.update(forgotten_at=now)


def purge(now: datetime) -> int:
    """Remove letters that were forgotten before REMEMBER, a portion at a time (`remove`); returns how many."""
    return remove(Letter.objects.filter(forgotten_at__lt=now - REMEMBER))
