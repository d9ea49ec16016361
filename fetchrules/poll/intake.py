"""Letters on their way in: staged as they arrive, then batch by batch made durable, recorded, and delivered.

With this order within a batch, a crash between any two steps loses nothing and delivers nothing twice:

1. The files are made durable in the staging directory. If that fails they are removed: the letters are still on the server.
2. One transaction checks the claim and inserts the rows (READY). A row is only ever inserted for a file that is durable.
3. The files are renamed into the mailbox. After a crash, a READY letter that is still staged was not delivered, and one that is
   gone from staging was: so recovery renames what is left, and never looks into the mailbox itself.
4. The rows become DELIVERED with the next batch, and only letters that are delivered are deleted on the server.

While a batch goes through these steps in a thread beside (`beside`), the letters of the next one are received.

A mail server as the destination cannot tell a letter that was sent from one that was not, so its rows are SENDING during step 3.
A row is always taken back before its file is removed: a letter on record whose file is gone counts as delivered.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import assert_never

from django.utils import timezone

from fetchrules import errors
from fetchrules.delivery.letterhead import read_letterhead
from fetchrules.delivery.spool import UnderWay
from fetchrules.delivery.staging import Staged, StagedFile
from fetchrules.ledger import hosts
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import Arrival, Filing
from fetchrules.policy.known import Doubt, State, is_short
from fetchrules.policy.planning import Remark, ToFetch, Why
from fetchrules.poll.beside import Beside
from fetchrules.poll.comparison import Comparison
from fetchrules.poll.deleting import DeletionRequest
from fetchrules.poll.destinations import Destination
from fetchrules.poll.outlasting import rest
from fetchrules.poll.progress import Progress, no_wait
from fetchrules.poll.recovery import blame, count_try
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Gone, Listed, Refused, Retrieved
from fetchrules.remote.stopping import STOPPING


@dataclass(slots=True)
class Intake:
    """The letters of one session between the two mailboxes.

    `to_delete`: delivered letters to delete on the server; `to_mark`: those that stay and are marked as read. `answered`: numbers
    of letters with a final answer. `lived`: seconds that the mailbox has lived through, if counted. `flags`: letters keep theirs.
    `limit`: the server gives no more letters for now, and said so at `limited_by`.
    """

    filing: Filing
    destination: Destination
    progress: Progress
    comparison: Comparison
    lived: int | None = None
    flags: bool = False
    to_delete: list[DeletionRequest] = field(default_factory=list)
    to_mark: list[Listed] = field(default_factory=list)
    limit: errors.OverLimit | None = None
    limited_by: ToFetch | None = None
    answered: set[int] = field(default_factory=set)
    _batch: list[tuple[ToFetch, Staged]] = field(default_factory=list)
    _octets: int = 0
    _beside: Beside = field(default_factory=Beside)
    _committed: list[int] = field(default_factory=list)
    _draft: StagedFile | None = None
    _failure: errors.DeliveryFailed | None = None
    _drafted: int = 0
    _unlooked: int = 0

    def take(self, events: Iterator[Retrieved], to_fetch: Iterable[ToFetch]) -> None:
        """Receive the letters `to_fetch` from `events`. If the session breaks off, complete letters are kept. Raises FetchError."""
        wanted = {one.letter.number: one for one in to_fetch}
        self.progress.quiet = self._beside.wait
        try:
            self._receive_all(events, wanted)
        except errors.Interrupted:
            raise
        except (errors.DeliveryFailed, errors.RunOvertaken):
            self.destination.mailbox.staging.remove([staged.name for _, staged in self._cut_batch()])
            raise
        finally:
            self._beside.leave()
            self.progress.quiet = no_wait
            self._record()

    def _receive_all(self, events: Iterator[Retrieved], wanted: Mapping[int, ToFetch]) -> None:
        try:
            for event in events:
                self._receive(event, wanted[event.letter.number])
        except errors.FetchError as error:
            self._discard_draft()
            if isinstance(error, errors.Interrupted) or not isinstance(
                error, errors.DeliveryFailed | errors.RunOvertaken
            ):
                self._settle_rest()
            raise
        self._settle_rest()

    def may_go_on(self) -> bool:
        """Whether another batch may be asked for. While one is being recorded, only `progress.received` asks the database."""
        return not STOPPING.is_set() if self._beside.busy else self.progress.may_go_on()

    def catch_up(self) -> None:
        """Wait until all full batches are recorded. Raises FetchError."""
        self._beside.wait()

    def hold(self, wanted: ToFetch, error: errors.FetchError, *, short: int | None = None) -> None:
        self._beside.wait()
        ledger.hold(self.filing, wanted, error, timezone.now(), short=short)
        self.progress.hold(self.filing.source, wanted.letter, error)
        self.progress.show()  # refusals, too, are a sign of life

    def _receive(self, event: Retrieved, wanted: ToFetch) -> None:
        match event:
            case Begun() | Chunk():
                self._write(event, wanted)
            case Complete() if self._drafted or not wanted.letter.size:
                staged = self._write(event, wanted)
                assert staged is not None
                self.answered.add(wanted.letter.number)
                self._judge(wanted, staged)
                self._settle_full_batch()
            case Complete():
                self._refuse(wanted, f"nothing came of {wanted.letter.size} octets")
            case Refused(_, reason, True):
                self._stop_at(wanted, reason)
            case Refused(_, reason):
                self._refuse(wanted, reason)
            case Gone():
                self._beside.wait()
                self.progress.left[Why.GONE] += 1
                self.progress.came += 1
                self.answered.add(wanted.letter.number)
            case never:
                assert_never(never)

    def _write(self, event: Begun | Chunk | Complete, wanted: ToFetch) -> Staged | None:
        """Write the letter's file; the staged letter once it is complete."""
        try:
            match event:
                case Begun():
                    self._draft = self.destination.mailbox.staging.begin(self._key(wanted), self._flags_of(wanted))
                    self._drafted = 0
                    return None
                case Complete():
                    staged = self._open_draft().finish(wanted.letter.received)
                    self._draft = None
                    return staged
            self._open_draft().write(event.data)
            self._expect_an_end(len(event.data), wanted.letter)
            self._keep_room(len(event.data))
        except errors.DeliveryFailed as error:
            self._give_up(wanted, error)
            raise
        self.progress.received(len(event.data))
        return None

    def _give_up(self, wanted: ToFetch, error: errors.DeliveryFailed) -> None:
        """Hold a letter that cannot be written, unless no letter can. Raises DeliveryFailed."""
        self._discard_draft()
        self.destination.prepare(0)  # raises where the mailbox is at fault and not this letter
        self.hold(wanted, error)
        self._settle_rest()

    def _judge(self, wanted: ToFetch, staged: Staged) -> None:
        """Take a complete letter. One that is far shorter than listed is fetched again in another poll; if it has the same length
        then, it is delivered, and stays on the server until somebody has looked at it."""
        short = is_short(wanted.letter.size, staged.canonical)
        if short:
            self._beside.wait()
        if not short or hosts.sizes_are_wrong(self.filing.source.host) or self.comparison.knows(wanted, staged):
            self._put_by(wanted, staged)
        elif wanted.row and wanted.row.reason == errors.CameShort.code and wanted.row.octets == staged.size:
            self._put_by(replace(wanted, delete_after=False, doubt=Doubt.SHORT), staged)
        else:
            self.destination.mailbox.staging.remove([staged.name])
            self.hold(wanted, errors.CameShort(f"{staged.size} of {wanted.letter.size} octets"), short=staged.size)

    def _put_by(self, wanted: ToFetch, staged: Staged) -> None:
        self._batch.append((wanted, staged))
        self._octets += staged.size

    def _stop_at(self, wanted: ToFetch, reason: str) -> None:
        """The server is over its limits: no letter is at fault, and this session asks for no more."""
        self._discard_draft()
        self.answered.add(wanted.letter.number)
        if self.limit is None:
            self.limit, self.limited_by = errors.OverLimit(reason), wanted

    def _refuse(self, wanted: ToFetch, reason: str) -> None:
        self._discard_draft()
        self.hold(wanted, errors.ServerRefused(reason))
        self.answered.add(wanted.letter.number)

    def _expect_an_end(self, octets: int, letter: Listed) -> None:
        """Raises RemoteProtocolError once far more has come than the letter's size."""
        self._drafted += octets
        if self._drafted > 2 * letter.size + self.progress.limits.spare_octets:
            raise errors.RemoteProtocolError(f"a letter of {letter.size} octets did not end after {self._drafted}")

    def _keep_room(self, octets: int) -> None:
        """Check the free space at times, so that long letters do not use up the reserve. Raises DeliveryFailed."""
        self._unlooked += octets
        if self._unlooked >= self.progress.limits.batch_octets:
            self._unlooked = 0
            self.destination.prepare(0)

    def _cut_batch(self) -> list[tuple[ToFetch, Staged]]:
        batch, self._batch, self._octets = self._batch, [], 0
        return batch

    def _settle_full_batch(self) -> None:
        limits = self.progress.limits
        if len(self._batch) >= limits.batch_letters or self._octets >= limits.batch_octets:
            self._beside.begin(partial(self._settle, self._cut_batch()))

    def _settle_rest(self) -> None:
        self._beside.wait()
        if self._batch:
            self._settle(self._cut_batch())

    def _settle(self, batch: list[tuple[ToFetch, Staged]]) -> None:
        """Make the batch durable, record it, deliver it. Raises FetchError."""
        arrivals, won = self._record_ready(batch)
        self.comparison.record()
        self._committed = []
        self.comparison.taken.update(won.values())
        self.destination.mailbox.staging.remove(
            [arrival.file_name for arrival in arrivals if arrival.file_name not in won]
        )
        failures = self.destination.mailbox.commit(list(won))
        self._delivered([arrival for arrival in arrivals if arrival.file_name in won], won, failures)
        self.progress.show()
        rest()
        if self._failure is not None and monotonic() > STOPPING.by:
            raise errors.Interrupted("the process ends") from self._failure
        if self._failure is not None:
            raise self._failure

    def _record_ready(self, batch: list[tuple[ToFetch, Staged]]) -> tuple[list[Arrival], dict[str, int]]:
        """Make the batch durable, and record its new letters. Returns them, and the row ids of those that are ours by file name.

        The files are removed if recording certainly failed, but stay after a database error, which may have recorded them.
        """
        local = self.destination.mailbox
        try:
            self.destination.prepare(0)
            local.staging.sync([staged for _, staged in batch])
            fresh = self.comparison.without_known(batch)
            known = {staged.name for _, staged in batch} - {staged.name for _, staged in fresh}
            local.staging.remove(sorted(known))
            arrivals = [self._arrival(wanted, staged) for wanted, staged in fresh]
            state = State.READY if local.exactly_once else State.SENDING
            won = ledger.record_ready(self.filing, arrivals, state, self._committed, timezone.now())
        except (errors.DeliveryFailed, errors.RunOvertaken):
            local.staging.remove([staged.name for _, staged in batch])
            raise
        return arrivals, won

    def _delivered(
        self, arrivals: list[Arrival], won: Mapping[str, int], failures: Mapping[str, errors.DeliveryFailed]
    ) -> None:
        # Letters that failed before come last together: if they fail again, a server that took others is not at fault.
        old = self.progress.fetched > 0 and all(arrival.wanted.row for arrival in arrivals)
        verdict = blame(failures, server_works=old or len(failures) < len(won))
        self._failure = verdict.server
        for arrival in arrivals:
            row_id, letter = won[arrival.file_name], arrival.wanted.letter
            failure = failures.get(arrival.file_name)
            if failure is not None:
                self._not_delivered(arrival, row_id, failure, to_blame=arrival.file_name in verdict.letters)
                continue
            self._committed.append(row_id)
            self.progress.fetched += 1
            self.progress.remark(Remark.DOUBTED, int(arrival.wanted.doubt is not None))
            if arrival.wanted.delete_after:
                self.to_delete.append(DeletionRequest(letter, row_id))
            else:
                self.to_mark.append(letter)
                self.progress.finished.add((self.filing.source.pk, letter.uid))

    def _not_delivered(self, arrival: Arrival, row_id: int, failure: errors.DeliveryFailed, *, to_blame: bool) -> None:
        if self.destination.mailbox.exactly_once or isinstance(failure, UnderWay):
            return  # the row stays in hand, and recovery finds out at the next poll
        if to_blame:
            self.progress.hold(self.filing.source, arrival.wanted.letter, failure)
            if not count_try(row_id, failure):
                return  # the file waits to be sent again
        else:
            ledger.take_back(row_id)
        self.destination.mailbox.staging.remove([arrival.file_name])

    def _record(self) -> None:
        if self._committed:
            ledger.record_delivered(self._committed, timezone.now())
            self._committed = []

    def _arrival(self, wanted: ToFetch, staged: Staged) -> Arrival:
        head, directory = read_letterhead(staged.head), self.destination.mailbox.staging.marker or ""
        received_at = wanted.letter.received or staged.arrived
        known = (staged.fingerprint, staged.header, received_at, self.lived, directory)
        return Arrival(wanted, staged.name, staged.size, *known, head.sender, head.subject, head.message_id)

    def _key(self, wanted: ToFetch) -> str:
        return f"{self.filing.source.pk}/{self.filing.epoch}/{wanted.letter.uid}/{wanted.ord}"

    def _flags_of(self, wanted: ToFetch) -> str:
        """The letters of the flags that the letter keeps, as Maildirs have them (in the order of the alphabet)."""
        if not self.flags or not self.destination.mailbox.exactly_once:
            return ""
        has = {"F": wanted.letter.starred, "R": wanted.letter.answered, "S": wanted.read}
        return "".join(name for name, is_set in has.items() if is_set)

    def _open_draft(self) -> StagedFile:
        if self._draft is None:
            raise errors.LocalProtocolError("a letter's text before its beginning")
        return self._draft

    def _discard_draft(self) -> None:
        if self._draft is not None:
            self._draft.discard()
            self._draft = None
