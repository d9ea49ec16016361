"""Letters on their way in: staged as they arrive, then batch by batch made durable, recorded, and delivered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import assert_never

from django.utils import timezone

from fetchrules.delivery.courier import UnderWay
from fetchrules.delivery.letterhead import read_letterhead
from fetchrules.delivery.local import Draft, Staged
from fetchrules.errors import (
    CameShort,
    DeliveryFailed,
    FetchError,
    Interrupted,
    LocalProtocolError,
    OverLimit,
    RemoteProtocolError,
    RunOvertaken,
    ServerRefused,
)
from fetchrules.ledger import hosts
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import Arrival
from fetchrules.models import SourceMailbox
from fetchrules.policy import Doubt, Remark, State, ToFetch, Why, is_short
from fetchrules.poll import STOPPING
from fetchrules.poll.blame import blame, count_try
from fetchrules.poll.comparison import Comparison
from fetchrules.poll.deleting import DeletionRequest
from fetchrules.poll.destinations import Destination
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Gone, Listed, Refused, Retrieved

BATCH_LETTERS = 64
BATCH_OCTETS = 16 * 1024 * 1024
SPARE_OCTETS = 256 * 1024 * 1024
"""So much longer than twice its listed size a letter may turn out to be; then it has no end. Servers are wrong about sizes."""


@dataclass(slots=True)
class Intake:
    """The letters of one session between the two mailboxes.

    `to_delete` are the letters that are safe here and no longer wanted there; `to_mark` those that stay and have been read.
    `comparison` knows them by other names. `lived`: what the mailbox has lived through, where that is counted. `limit`: the server
    gives no more letters for now, and said so over `limited_by`.
    """

    source: SourceMailbox
    epoch: int
    destination: Destination
    progress: Progress
    comparison: Comparison
    lived: int | None = None
    to_delete: list[DeletionRequest] = field(default_factory=list)
    to_mark: list[Listed] = field(default_factory=list)
    limit: OverLimit | None = None
    limited_by: ToFetch | None = None
    _batch: list[tuple[ToFetch, Staged]] = field(default_factory=list)
    _committed: list[int] = field(default_factory=list)
    _draft: Draft | None = None
    _failure: DeliveryFailed | None = None
    _answered: int = 0
    _drafted: int = 0
    _unlooked: int = 0

    def unanswered(self, asked: Sequence[ToFetch]) -> Sequence[ToFetch]:
        """Those of `asked` that nothing was said of: where a session broke, the first is to blame, or another of its command."""
        return asked[self._answered :]

    def take(self, events: Iterator[Retrieved], asked: Sequence[ToFetch]) -> None:
        """Receive what `events` bring, until they end; `asked` grows meanwhile and has their letters in their order.

        A session that breaks off, or is interrupted, keeps the letters that were whole by then. Raises FetchError.
        """
        try:
            for event in events:
                self._receive(event, asked[self._answered])
            self._settle()
        except Interrupted:
            self._discard_draft()
            self._settle()
            raise
        except (DeliveryFailed, RunOvertaken):
            self._drop()
            raise
        except FetchError:
            self._discard_draft()
            self._settle()
            raise
        finally:
            self._record()

    def hold(self, wanted: ToFetch, error: FetchError, *, short: int | None = None) -> None:
        """Note that this letter could not be fetched or delivered; `short`: it ended after so many octets."""
        ledger.hold(self.progress.run, self.source, self.epoch, wanted, error, timezone.now(), short=short)
        self.progress.hold(self.source, wanted.letter, error)
        self.progress.show()  # refusals, too, are a sign of life

    def _receive(self, event: Retrieved, wanted: ToFetch) -> None:
        try:
            self._stage(event, wanted)
        except DeliveryFailed as error:
            self._discard_draft()
            self.destination.prepare(0)  # if this raises, it is the mailbox's fault, and no letter's
            self.hold(wanted, error)
            self._settle()
            raise
        if len(self._batch) >= BATCH_LETTERS or sum(staged.size for _, staged in self._batch) >= BATCH_OCTETS:
            self._settle()

    def _stage(self, event: Retrieved, wanted: ToFetch) -> None:
        match event:
            case Begun():
                self._draft = self.destination.mailbox.stage(self._key(wanted))
                self._drafted = 0
            case Chunk(data):
                self._open_draft().write(data)
                self.progress.received(len(data))
                self._expect_an_end(len(data), wanted.letter)
                self._keep_room(len(data))
            case Complete(_, doubtful) if self._drafted or not wanted.letter.size:
                staged = self._open_draft().finish()
                self._draft = None
                self._answered += 1
                self._judge(wanted, staged, doubtful=doubtful)
            case Complete():
                self._refuse(wanted, f"nothing came of {wanted.letter.size} octets")
            case Refused(_, reason, True):
                self._stop_at(wanted, reason)
            case Refused(_, reason):
                self._refuse(wanted, reason)
            case Gone():
                self.progress.left[Why.GONE] += 1
                self.progress.came += 1
                self._answered += 1
            case never:
                assert_never(never)

    def _judge(self, wanted: ToFetch, staged: Staged, *, doubtful: bool) -> None:
        """Take a letter that came to its end; one that is far shorter than the server said is asked for once more first.

        If it has the same length then, it is all that there is: it is delivered, and left on the server for people to judge.
        """
        short = doubtful or is_short(wanted.letter.size, staged.canonical)
        if not short or hosts.sizes_are_wrong(self.source.host) or self.comparison.knows(wanted, staged):
            self._batch.append((wanted, staged))
        elif wanted.row and wanted.row.reason == CameShort.code and wanted.row.octets == staged.size:
            self._batch.append((replace(wanted, delete_after=False, doubt=Doubt.SHORT), staged))
        else:
            self.destination.mailbox.discard([staged.name])
            self.hold(wanted, CameShort(f"{staged.size} of {wanted.letter.size} octets"), short=staged.size)

    def _stop_at(self, wanted: ToFetch, reason: str) -> None:
        """The server is over its limits: no letter is to blame, and no more is asked for in this session."""
        self._discard_draft()
        self._answered += 1
        if self.limit is None:
            self.limit, self.limited_by = OverLimit(reason), wanted

    def _refuse(self, wanted: ToFetch, reason: str) -> None:
        """The server would not give the letter, or gave nothing and called it the letter."""
        self._discard_draft()
        self.hold(wanted, ServerRefused(reason))
        self._answered += 1

    def _expect_an_end(self, octets: int, letter: Listed) -> None:
        """Raises RemoteProtocolError when so much came of a letter that it is none."""
        self._drafted += octets
        if self._drafted > 2 * letter.size + SPARE_OCTETS:
            raise RemoteProtocolError(f"a letter of {letter.size} octets did not end after {self._drafted}")

    def _keep_room(self, octets: int) -> None:
        """Many long letters must not fill the disk: now and then the room is looked at. Raises DeliveryFailed."""
        self._unlooked += octets
        if self._unlooked >= BATCH_OCTETS:
            self._unlooked = 0
            self.destination.prepare(0)

    def _settle(self) -> None:
        """Durable files, then durable rows, then the rename: the order on which everything rests."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        arrivals, won = self._record_ready(batch)
        self.comparison.record()
        self._committed = []
        self.comparison.taken.update(won.values())
        self.destination.mailbox.discard([arrival.file_name for arrival in arrivals if arrival.file_name not in won])
        failures = self.destination.mailbox.commit(list(won))
        self._delivered([arrival for arrival in arrivals if arrival.file_name in won], won, failures)
        self.progress.renew()
        if self._failure is not None and monotonic() > STOPPING.by:
            raise Interrupted("the process ends") from self._failure
        if self._failure is not None:
            raise self._failure

    def _record_ready(self, batch: list[tuple[ToFetch, Staged]]) -> tuple[list[Arrival], dict[str, int]]:
        """The batch's new letters, durable and recorded; the rows of those that are ours to deliver, by file name.

        Where that certainly failed, the files are gone. An error of the database leaves them: nobody knows what it recorded.
        """
        local, run = self.destination.mailbox, self.progress.run
        try:
            self.destination.prepare(0)
            local.sync([staged for _, staged in batch])
            fresh = self.comparison.without_known(batch)
            known = {staged.name for _, staged in batch} - {staged.name for _, staged in fresh}
            local.discard(sorted(known))
            arrivals = [self._arrival(wanted, staged) for wanted, staged in fresh]
            state = State.READY if local.exactly_once else State.SENDING
            now = timezone.now()
            won = ledger.record_ready(run, self.source, self.epoch, arrivals, state, self._committed, now)
        except (DeliveryFailed, RunOvertaken):
            local.discard([staged.name for _, staged in batch])
            raise
        return arrivals, won

    def _delivered(
        self, arrivals: list[Arrival], won: Mapping[str, int], failures: Mapping[str, DeliveryFailed]
    ) -> None:
        # Letters that made trouble come last, by themselves: that they fail again says nothing of a server that took others.
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
                self.progress.finished.add((self.source.pk, letter.uid))

    def _not_delivered(self, arrival: Arrival, row_id: int, failure: DeliveryFailed, *, to_blame: bool) -> None:
        """The row before the file: a letter on record whose file is gone passes for one that was taken."""
        if self.destination.mailbox.exactly_once or isinstance(failure, UnderWay):
            return  # the row stays in hand: what became of the letter is found out at the next poll
        if to_blame:
            self.progress.hold(self.source, arrival.wanted.letter, failure)
            if not count_try(row_id, failure):
                return  # the file waits to be sent again
        else:
            ledger.take_back(row_id)
        self.destination.mailbox.discard([arrival.file_name])

    def _record(self) -> None:
        if self._committed:
            ledger.record_delivered(self._committed, timezone.now())
            self._committed = []

    def _arrival(self, wanted: ToFetch, staged: Staged) -> Arrival:
        head, directory = read_letterhead(staged.head), self.destination.mailbox.marker or ""
        told = (head.sender, head.subject, head.message_id)
        known = (staged.fingerprint, staged.header, self.lived, directory)
        return Arrival(wanted, staged.name, staged.size, *known, *told)

    def _key(self, wanted: ToFetch) -> str:
        return f"{self.source.pk}/{self.epoch}/{wanted.letter.uid}/{wanted.ord}"

    def _open_draft(self) -> Draft:
        if self._draft is None:
            raise LocalProtocolError("a letter's text before its beginning")
        return self._draft

    def _discard_draft(self) -> None:
        if self._draft is not None:
            self._draft.discard()
            self._draft = None

    def _drop(self) -> None:
        self._discard_draft()
        self.destination.mailbox.discard([staged.name for _, staged in self._batch])
        self._batch = []
