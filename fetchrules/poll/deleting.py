"""The deletions of one session: asked for in portions, counted when the server confirms them."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.utils import timezone

from fetchrules.errors import DeletionFailed, FetchError, RunOvertaken
from fetchrules.ledger import deletions as ledger
from fetchrules.models import SourceMailbox
from fetchrules.policy import READ_AGAIN, Known, Remark, ToDelete, Why
from fetchrules.poll.heads import heads
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, RemoteMailbox

AT_ONCE = 500
"""Between two portions of deletions the claim is renewed and the rule read again."""


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """A letter to delete, and its row, if it has one.

    `counted`: the server has confirmed its deletion before, so that it does not count again. `broke`: so often asking for its
    deletion has broken a session.
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
    """What a session deletes. `final`: the server names no other letter so, and deletes at once (IMAP).

    `accepted`: deletions that the server has agreed to, and not yet confirmed by its goodbye. `put_off`: letters that broke a
    session before wait for a session of their own.
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
        """Delete what needs no comparing. Whether time ran out before the end; and what has to be compared as a whole first."""
        same, doubted = self._by_head(planned)
        return self.delete([DeletionRequest.of(one.letter, one.row) for one in same], until), doubted

    def delete(self, requests: Iterable[DeletionRequest], until: float = math.inf) -> bool:
        """Ask for the deletion of letters that are safe here. Whether `until` (of the monotonic clock) came before the end.

        Those that broke a session wait for `delete_those_that_broke`.
        """
        chosen = list(requests)
        self._broke += [one for one in chosen if one.broke]
        chosen = [one for one in chosen if not one.broke]
        for start in range(0, len(chosen), AT_ONCE):
            if time.monotonic() > until:
                return True
            self._delete(chosen[start : start + AT_ONCE])
        return False

    def delete_those_that_broke(self) -> None:
        """Ask once more for deletions that broke a session, if nothing else hangs on this one. Raises DeletionFailed."""
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
        """End the session. Only a confirmed goodbye proves that the deletions happened; otherwise the rows keep their doubt.

        The rule is read a last time: one that keeps its mail by now deletes nothing. Raises RunOvertaken.
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
        """Those whose names are theirs for certain, or whose headers are still the ones on record; and those to be compared.

        Of a server that gives no headers a letter is left alone for a day before it is fetched and compared again.
        """
        looked_at = [one for one in planned if one.if_head]
        told = {
            letter.number: head for letter, head in heads(self.mailbox, self.source, _letters(looked_at), self.progress)
        }
        same = [one for one in planned if not one.if_head]
        doubted: list[ToDelete] = []
        for one in looked_at:
            head, row = told.get(one.letter.number, ""), one.row
            if head and row and head == row.head:
                same.append(one)
            elif head or row is None or row.tried_at is None or _is_long_ago(row.tried_at):
                doubted.append(replace(one, head=head))
            else:
                self.progress.left[Why.SEEN] += 1
                self.progress.remark(Remark.NOT_DELETED, 1)
        return same, doubted

    def _delete(self, requests: Sequence[DeletionRequest]) -> None:
        """The rule is read once more in the transaction before: one that was changed meanwhile deletes nothing."""
        rows = {one.letter.number: one.row_id for one in requests if one.row_id is not None}
        self._require_claim(list(rows.values()))
        told = 0
        accepted: set[int] = set()
        try:
            for letter, deleted in self.mailbox.delete([one.letter for one in requests]):
                told += 1
                if deleted:
                    accepted.add(letter.number)
        except RunOvertaken:
            raise
        except FetchError as error:
            for one in requests[told : told + max(self.mailbox.together, 1)]:
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
        except RunOvertaken:
            self.mailbox.reset()
            raise


def _is_long_ago(tried_at: datetime) -> bool:
    return abs(timezone.now() - tried_at) >= READ_AGAIN


def _letters(planned: Iterable[ToDelete]) -> list[Listed]:
    return [one.letter for one in planned]
