"""Compare suspect letters (`policy.planning`) with the ledger: each is a known letter, or new, or in doubt."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.utils import timezone

from fetchrules.delivery.staging import Staged
from fetchrules.ledger import knowing
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import Filing
from fetchrules.policy.known import Doubt, Fate, Known, PassedMatch, State, passed_by_head
from fetchrules.policy.planning import Purpose, ToFetch, Why
from fetchrules.poll.deleting import DeletionRequest
from fetchrules.poll.looking import heads
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, RemoteMailbox


@dataclass(slots=True)
class Comparison:
    """The comparisons of one session.

    `taken`: ids of rows whose letters are found already. `passed`: rows of passed letters that may be here under other names.
    `to_delete`: known letters to delete on the server; `spared`: how many known ones stay; `postponed`: how many wait.
    """

    filing: Filing
    progress: Progress
    taken: set[int]
    passed: list[Known] = field(default_factory=list)
    to_delete: list[DeletionRequest] = field(default_factory=list)
    spared: int = 0
    postponed: int = 0
    _marked: list[Known] | None = None
    _apart: list[tuple[Listed, str]] = field(default_factory=list)

    def without_known(self, batch: Sequence[tuple[ToFetch, Staged]]) -> list[tuple[ToFetch, Staged]]:
        """The batch's new letters. Known ones get their present names in the ledger, and are dropped.

        A letter that is not suspect may still equal one that vanished from the server, and is then that letter unless its deletion
        was confirmed. A letter that equals one in hand is left for the next poll.
        """
        twins = knowing.known_twins(self.filing.source, {staged.fingerprint for _, staged in batch}, self.taken)
        owed = self._owed(batch)
        fresh: list[tuple[ToFetch, Staged]] = []
        for wanted, staged in batch:
            known = [] if wanted.again else twins.get(staged.fingerprint, [])
            row = _twin(wanted, known) or self._marked_or_passed_over(wanted, staged)
            if row is not None:
                if row in known:
                    known.remove(row)
                self._found(wanted, row, staged)
            elif wanted.purpose is Purpose.COLLECT or staged.name in owed:
                fresh.append((self._doubted(wanted, staged), staged))
            else:
                self.set_apart(wanted.letter, staged.header)
        return fresh

    def knows(self, wanted: ToFetch, staged: Staged) -> bool:
        """Whether a suspect letter, exactly as it came, was delivered before."""
        return wanted.compare and bool(knowing.known_twins(self.filing.source, [staged.fingerprint], self.taken))

    def _found(self, wanted: ToFetch, row: Known, staged: Staged) -> None:
        self.taken.add(row.id)
        self.progress.came += 1
        if row.in_hand:
            self.progress.left[Why.IN_HAND] += 1
            return
        row_id = self.recognise(wanted, row, wanted.head or staged.header)
        if (wanted.delete_after or wanted.delete_known) and row.fate is not Fate.KEPT:
            self.to_delete.append(DeletionRequest.of(wanted.letter, row, row_id))
        else:
            self.spared += 1

    def set_apart(self, letter: Listed, header: str) -> None:
        """Leave a letter that others have marked as read or deleted, and that we never collected."""
        self._apart.append((letter, header))
        self.progress.left[Why.SEEN] += 1
        self.progress.came += 1

    def recognise(self, wanted: ToFetch, row: Known, header: str) -> int:
        """Record that this letter is the one of `row`. Returns the id of its row from now on."""
        if _name_was_given_away(wanted, row):
            self.progress.shifted += 1
        self.taken.add(row.id)
        self.passed = [one for one in self.passed if one.id != row.id]
        self.progress.left[Why.PASSED if row.state is State.PASSED else Why.SEEN] += 1
        return ledger.rebind(self.filing, wanted, row, header, timezone.now())

    def _marked_or_passed_over(self, wanted: ToFetch, staged: Staged) -> Known | None:
        """The short or passed letter of this size and header."""
        if not wanted.compare:
            return None
        if self._marked is None:
            self._marked = knowing.came_short(self.filing.source)
        size, header = wanted.letter.size, staged.header
        marked = (row for row in self._marked if row.size == size and row.head == header and row.id not in self.taken)
        return next(marked, None) or self.passed_match(wanted, header).row

    def passed_match(self, wanted: ToFetch, header: str) -> PassedMatch:
        """Which passed letter this one is, by the fingerprint of its header."""
        before = [wanted.row] if wanted.row and wanted.row.state is State.PASSED else []
        return passed_by_head([*self.passed, *before], wanted.letter, header)

    def _doubted(self, wanted: ToFetch, staged: Staged) -> ToFetch:
        """A new letter; it stays on the server if it may be one that was passed over."""
        if _name_was_given_away(wanted, None):
            self.progress.shifted += 1
        if wanted.compare and self.passed_match(wanted, staged.header).perhaps:
            return replace(wanted, delete_after=False, doubt=Doubt.PASSED)
        return wanted

    def _owed(self, batch: Sequence[tuple[ToFetch, Staged]]) -> set[str]:
        """File names of letters whose mark as read is ours, made when they were delivered to another recipient."""
        asked = [(staged, wanted.doubt) for wanted, staged in batch if wanted.purpose is Purpose.OWED]
        # The content of a letter that came short cannot be compared, so its header decides.
        heads = {staged.header for staged, doubt in asked if doubt is Doubt.SHORT}
        prints, known_heads = knowing.collected_for_others(
            self.filing.source, {staged.fingerprint for staged, _ in asked}, heads
        )
        return {
            staged.name
            for staged, doubt in asked
            if staged.fingerprint in prints or (doubt is Doubt.SHORT and staged.header in known_heads)
        }

    def record(self) -> None:
        """Record the letters set apart, so that they are not compared again. Raises RunOvertaken."""
        compared, self._apart = self._apart, []
        if compared:
            ledger.record_read(self.filing, compared, timezone.now())


def _twin(wanted: ToFetch, known: Sequence[Known]) -> Known | None:
    """Which of `known`, all equal in content, the fetched letter is."""
    twins = [row for row in known if wanted.compare or row.fate is not Fate.DELETED]
    if wanted.purpose is Purpose.FLAGGED:
        twins = [row for row in twins if row.fate in (Fate.WANTED, Fate.SENT)] or twins
    return next((row for row in twins if row.uid == wanted.letter.uid and not row.former), twins[0] if twins else None)


def _name_was_given_away(wanted: ToFetch, row: Known | None) -> bool:
    """Whether the letter's unique-id was another's, which never went missing. `row`: the letter that this one is, if known."""
    before = wanted.row
    if before is None or not wanted.compare or before.gone or before.state not in (State.DELIVERED, State.PASSED):
        return False
    return row is None or row.id != before.id


def settled_by_head(mailbox: RemoteMailbox, planned: Sequence[ToFetch], comparison: Comparison) -> list[ToFetch]:
    """Those of `planned` that have to be fetched; the others are settled by their headers.

    Passed letters are recognised. A letter marked as read or deleted, whose header no ledger of the account knows, is not ours and
    stays. Letters beyond `limits.headers` wait for a later poll.
    """
    looked_at = [one for one in planned if one.compare and (comparison.passed or _is_known_by_head(one))]
    if not looked_at:
        return list(planned)
    # Letters without names are never postponed: they are recognised in each poll, so those behind them would wait for ever.
    progress = comparison.progress
    postponed = {one.letter.number for one in looked_at[progress.limits.headers :] if one.named}
    now = [one.letter for one in looked_at if one.letter.number not in postponed]
    known = {letter.number: head for letter, head in heads(mailbox, comparison.filing.source, now, progress)}
    ours, headless = knowing.collected_heads(comparison.filing.source, comparison.filing.epoch)
    remaining: list[ToFetch] = []
    for wanted in planned:
        head = known.get(wanted.letter.number, "")
        match = comparison.passed_match(wanted, head)
        if wanted.letter.number in postponed:
            comparison.postponed += 1
            progress.left[Why.DOUBT] += 1
        elif not head:
            remaining.append(wanted)
        elif match.row is not None:
            comparison.recognise(wanted, match.row, head)
            progress.came += 1
        elif wanted.purpose is not Purpose.COLLECT and head not in ours and not headless:
            comparison.set_apart(wanted.letter, head)
        else:
            remaining.append(wanted)
    comparison.record()
    return remaining


def _is_known_by_head(wanted: ToFetch) -> bool:
    return wanted.purpose is not Purpose.COLLECT or (wanted.row is not None and wanted.row.state is State.PASSED)
