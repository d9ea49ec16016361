"""Deletions on the remote server: asked for, refused, confirmed, or the end of the session."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import F

from fetchrules.errors import DeletionFailed, FetchError
from fetchrules.ledger.letters import every_row
from fetchrules.ledger.runs import require_claim, require_run
from fetchrules.models import Run
from fetchrules.models.chunks import chunks
from fetchrules.policy import Fate


def record_deleting(run: Run, ids: Collection[int], now: datetime) -> None:
    """The deletion of these letters is about to be asked of the server. Raises RunOvertaken: then nothing may be deleted."""
    with transaction.atomic():
        require_claim(run, now)
        for chunk in chunks(sorted(ids)):
            every_row(chunk).update(fate=Fate.SENT, deletions=F("deletions") + 1, tried_at=now)


def record_deleted(ids: Collection[int], now: datetime) -> None:
    """The server confirmed the deletion of these letters."""
    for chunk in chunks(sorted(ids)):
        every_row(chunk).update(fate=Fate.DELETED, deleted_at=now, forgotten_at=now)


def record_undeleted(run: Run, ids: Collection[int]) -> None:
    """The server refused to delete these letters, or the deletion was taken back: it certainly did not happen. Raises RunOvertaken:
    another poll may have asked for it, too.
    """
    if not ids:
        return
    with transaction.atomic():
        require_run(run)
        for chunk in chunks(sorted(ids)):
            every_row(chunk).filter(fate=Fate.SENT).update(fate=Fate.WANTED)


def blame_deletion(row_id: int, error: FetchError, now: datetime) -> None:
    """The session broke when the deletion of this letter was asked for: next time it is asked for last, by itself."""
    note = {"tried_at": now, "reason": DeletionFailed.code, "detail": error.detail}
    every_row([row_id]).update(tries=F("tries") + 1, **note)
