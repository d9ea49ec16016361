"""The deletions of one session: requested in portions, counted when the server confirms them."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from django.utils import timezone

from fetchrules.errors import DeletionFailed, FetchError, RunOvertaken
from fetchrules.ledger import departures as ledger
from fetchrules.models import SourceMailbox
from fetchrules.policy.known import Fate, Known
from fetchrules.policy.planning import READ_AGAIN, Remark, ToDelete, Why
from fetchrules.poll.looking import heads
from fetchrules.poll.outlasting import rest
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, RemoteMailbox


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """A letter to delete, and its row, if it has one.

    `counted`: the server has confirmed its deletion before, so it is not counted again. `broke`: how often asking for its deletion
    broke a session.
    """

    letter: Listed
    row_id: int | None = None
    counted: bool = False
    broke: int = 0

    @classmethod
    def of(cls, letter: Listed, row: Known | None, row_id: int | None = None) -> "DeletionRequest":
        """The letter that `row` remembers, now as `row_id`."""
        if row is None:
            return cls(letter, row_id)
        return cls(letter, row_id or row.id, counted=row.deleted, broke=row.tries if row.broke_deleting else 0)


@dataclass(slots=True)
class Deletions:
    """What a session deletes. `final`: names are never used again, and deletions take effect at once (IMAP).

    `accepted`: deletions that the server agreed to and has not confirmed by its answer to QUIT yet. `put_off`: deletions that broke
    a session before wait for a session of their own.
    """

    mailbox: RemoteMailbox
    source: SourceMailbox
    progress: Progress
    final: bool
    put_off: bool = False
    accepted: int = 0
    _rows: set[int] = field(default_factory=set)
    _broke: list[DeletionRequest] = field(default_factory=list)

    def flush(self, planned: Sequence[ToDelete], until: float) -> tuple[bool, list[ToDelete]]:
        """Delete what needs no comparison. Returns whether `until` passed before the end, and what must be fetched and compared."""
        same, doubted = self._by_head(planned)
        return self.delete([DeletionRequest.of(one.letter, one.row) for one in same], until), doubted

    def delete(self, requests: Iterable[DeletionRequest], until: float = math.inf) -> bool:
        """Delete delivered letters; whether `until` (monotonic) passed before the end. Those that broke a session wait."""
        at_once = self.progress.limits.deletions_at_once
        chosen = list(requests)
        self._broke += [one for one in chosen if one.broke]
        chosen = [one for one in chosen if not one.broke]
        for start in range(0, len(chosen), at_once):
            if time.monotonic() > until:
                return True
            self._delete(chosen[start : start + at_once])
        return False

    def delete_those_that_broke(self) -> None:
        """Repeat deletions that broke a session, unless others depend on this one. Raises DeletionFailed."""
        if not self._broke:
            return
        if self._rows and not self.final:
            self.put_off = True
            return
        waiting = sorted(self._broke, key=lambda one: one.broke)
        alone = waiting if self.final else waiting[:1]
        self.put_off = len(alone) < len(self._broke)
        for one in alone:
            try:
                self._delete([one])
            except RunOvertaken:
                raise
            except FetchError as error:
                raise DeletionFailed(error.detail) from error

    def commit(self) -> bool:
        """QUIT; whether the server confirmed it. Only that proves the deletions; otherwise the rows stay SENT.

        Raises RunOvertaken, and deletes nothing, if the rule was changed meanwhile.
        """
        if self._rows or self.accepted:
            self._require_claim()
        confirmed = self.mailbox.quit()
        if confirmed:
            ledger.record_deleted(self._rows, timezone.now())
        else:
            self.progress.deleted -= self.accepted
            self.progress.remark(Remark.UNCONFIRMED, self.accepted)
        return confirmed

    def _by_head(self, planned: Sequence[ToDelete]) -> tuple[list[ToDelete], list[ToDelete]]:
        """Split into letters that are certainly the recorded ones, and those to fetch and compare: at most once a day if the server
        gives no headers."""
        looked_at = [one for one in planned if one.if_head]
        letters = [one.letter for one in looked_at]
        known = {letter.number: head for letter, head in heads(self.mailbox, self.source, letters, self.progress)}
        same = [one for one in planned if not one.if_head]
        doubted: list[ToDelete] = []
        for one in looked_at:
            head, row = known.get(one.letter.number, ""), one.row
            if head and row and head == row.head:
                same.append(one)
            elif head or row is None or row.tried_at is None or abs(timezone.now() - row.tried_at) >= READ_AGAIN:
                doubted.append(replace(one, head=head))
            else:
                self.progress.left[Why.SEEN] += 1
                self.progress.remark(Remark.UNCONFIRMED if row.fate is Fate.SENT else Remark.NOT_DELETED, 1)
        return same, doubted

    def _delete(self, requests: Sequence[DeletionRequest]) -> None:
        """DELE or EXPUNGE, after a transaction that checks the rule and records the requests."""
        rows = {one.letter.number: one.row_id for one in requests if one.row_id is not None}
        self._require_claim(list(rows.values()))
        answered = 0
        accepted: set[int] = set()
        try:
            for letter, deleted in self.mailbox.delete([one.letter for one in requests]):
                answered += 1
                if deleted:
                    accepted.add(letter.number)
        except RunOvertaken:
            raise
        except FetchError as error:
            for one in requests[answered : answered + max(self.mailbox.together, 1)]:
                if one.row_id is not None:
                    ledger.blame_deletion(one.row_id, error, timezone.now())
            raise
        ledger.record_undeleted(self.progress.run, {rows[number] for number in rows.keys() - accepted})
        counted = sum(one.letter.number in accepted and not one.counted for one in requests)
        self.progress.deleted += counted
        self.progress.remark(Remark.UNDELETED, len(requests) - len(accepted))
        self.progress.remark(Remark.NOT_DELETED, len(accepted) - counted)
        self.accepted += counted
        self._rows |= {rows[number] for number in rows.keys() & accepted}

    def _require_claim(self, rows: Sequence[int] = ()) -> None:
        try:
            ledger.record_deleting(self.progress.run, rows, timezone.now())
            rest()
        except RunOvertaken:
            self.mailbox.reset()
            raise
