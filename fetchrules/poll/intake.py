"""Letters on their way in: staged as they arrive, then batch by batch made durable, recorded, and delivered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django.utils import timezone

from fetchrules.delivery.local import Draft, Staged
from fetchrules.destinations import Destination
from fetchrules.errors import (
    DeliveryFailed,
    DeliveryRefused,
    FetchError,
    LocalProtocolError,
    RunOvertaken,
    ServerRefused,
)
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import Arrival
from fetchrules.letterhead import read_letterhead
from fetchrules.models import SourceMailbox
from fetchrules.policy import Errand, Fate, State, Why
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Listed, Refused, Retrieved

BATCH_LETTERS = 64
BATCH_OCTETS = 16 * 1024 * 1024


@dataclass(slots=True)
class Intake:
    """The letters of one session between the two mailboxes.

    `to_delete` are the letters that are safe here and no longer wanted there, with their rows; `to_mark` those that stay and
    have been read. `taken` are the ledger's rows that belong to some letter of this mailbox already.
    """

    source: SourceMailbox
    epoch: int
    destination: Destination
    progress: Progress
    taken: set[int]
    to_delete: dict[int, Listed] = field(default_factory=dict)
    to_mark: list[Listed] = field(default_factory=list)
    _batch: list[tuple[Errand, Staged]] = field(default_factory=list)
    _committed: list[int] = field(default_factory=list)
    _draft: Draft | None = None
    _failure: DeliveryFailed | None = None

    def take(self, events: Iterator[Retrieved], errands: Mapping[int, Errand]) -> None:
        """Receive what `events` bring, by `errands` (by the letter's number), until they end.

        A session that breaks off keeps the letters that were whole by then. Raises FetchError.
        """
        try:
            for event in events:
                self._receive(event, errands)
        except DeliveryFailed:
            self._drop()
            raise
        except RunOvertaken:
            self._drop()
            raise
        except FetchError:
            self._discard_draft()
            self._settle()
            self._record()
            raise
        self._settle()
        self._record()

    def _receive(self, event: Retrieved, errands: Mapping[int, Errand]) -> None:
        match event:
            case Begun(letter):
                self._draft = self.destination.mailbox.stage(self._key(errands[letter.number]))
            case Chunk(data):
                self._open_draft().write(data)
                self.progress.received(len(data))
            case Complete(letter):
                staged = self._open_draft().finish()
                self._draft = None
                self._batch.append((errands[letter.number], staged))
                if len(self._batch) >= BATCH_LETTERS or sum(staged.size for _, staged in self._batch) >= BATCH_OCTETS:
                    self._settle()
            case Refused(letter, reason):
                self._discard_draft()
                self._hold(errands[letter.number], ServerRefused(reason))

    def _settle(self) -> None:
        """Durable files, then durable rows, then the rename: the order on which everything rests."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        local = self.destination.mailbox
        self.destination.prepare(0)
        local.sync([staged for _, staged in batch])
        try:
            fresh = self._without_known(batch)
            arrivals = [_arrival(errand, staged) for errand, staged in fresh]
            state = State.READY if local.exactly_once else State.SENDING
            now = timezone.now()
            won = ledger.record_ready(self.progress.run, self.source, self.epoch, arrivals, state, self._committed, now)
        except RunOvertaken:
            local.discard([staged.name for _, staged in batch])
            raise
        self._committed = []
        self.taken.update(won.values())
        local.discard([arrival.file_name for arrival in arrivals if arrival.file_name not in won])
        failures = self._commit(list(won))
        self._delivered([arrival for arrival in arrivals if arrival.file_name in won], won, failures)
        self.progress.renew()
        if self._failure is not None:
            raise self._failure

    def _commit(self, names: list[str]) -> dict[str, DeliveryFailed]:
        """Deliver; where letters are sent one after the other, the claim is renewed in between."""
        local = self.destination.mailbox
        if local.exactly_once:
            return local.commit(names)
        failures: dict[str, DeliveryFailed] = {}
        for name in names:
            failures |= local.commit([name])
            self.progress.received(0)
        return failures

    def _delivered(
        self, arrivals: list[Arrival], won: Mapping[str, int], failures: Mapping[str, DeliveryFailed]
    ) -> None:
        for arrival in arrivals:
            row_id, letter = won[arrival.file_name], arrival.errand.letter
            failure = failures.get(arrival.file_name)
            if failure is not None:
                self._not_delivered(arrival, row_id, failure)
                continue
            self._committed.append(row_id)
            self.progress.fetched += 1
            if arrival.errand.delete_after:
                self.to_delete[row_id] = letter
            else:
                self.to_mark.append(letter)

    def _not_delivered(self, arrival: Arrival, row_id: int, failure: DeliveryFailed) -> None:
        if self.destination.mailbox.exactly_once:
            self._failure = failure  # the row stays READY: whether the letter moved is found out at the next poll
            return
        self.destination.mailbox.discard([arrival.file_name])
        if isinstance(failure, DeliveryRefused):
            tries = arrival.errand.row.tries + 1 if arrival.errand.row else 1
            ledger.hold_back(row_id, failure, tries, timezone.now())
            self.progress.held += 1
        else:
            ledger.take_back(row_id)
            self._failure = failure

    def _without_known(self, batch: list[tuple[Errand, Staged]]) -> list[tuple[Errand, Staged]]:
        """The batch without the letters that the ledger knows by another name; those are called by their present one."""
        prints = {staged.fingerprint for errand, staged in batch if errand.compare}
        twins = ledger.known_twins(self.source, prints, self.taken) if prints else {}
        fresh: list[tuple[Errand, Staged]] = []
        for errand, staged in batch:
            candidates = twins.get(staged.fingerprint) if errand.compare else None
            if not candidates:
                fresh.append((errand, staged))
                continue
            row = next((twin for twin in candidates if twin.uid == errand.letter.uid), candidates[0])
            candidates.remove(row)
            self.taken.add(row.id)
            ledger.rebind(self.progress.run, self.epoch, errand, row, timezone.now())
            self.destination.mailbox.discard([staged.name])
            self.progress.left[Why.SEEN] += 1
            if errand.delete_after and row.fate is not Fate.KEPT:
                self.to_delete[row.id] = errand.letter
        return fresh

    def _record(self) -> None:
        if self._committed:
            ledger.record_delivered(self._committed, timezone.now())
            self._committed = []

    def _hold(self, errand: Errand, error: FetchError) -> None:
        ledger.hold(self.progress.run, self.source, self.epoch, errand, error, timezone.now())
        self.progress.held += 1

    def _key(self, errand: Errand) -> str:
        return f"{self.source.pk}/{self.epoch}/{errand.letter.uid}/{errand.ord}"

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
        self._record()


def recover(source: SourceMailbox) -> int:
    """Finish what a crash left between the record and the delivery; how many letters. Raises DeliveryFailed."""
    unfinished = ledger.unfinished(source)
    for recipient in sorted({letter.recipient for letter in unfinished}):
        rows = {letter.file_name: letter.id for letter in unfinished if letter.recipient == recipient}
        destination = Destination(recipient)
        try:
            destination.prepare(0)
            if not destination.mailbox.exactly_once:
                ledger.record_twice(rows.values())
            failures = destination.mailbox.commit(list(rows))
        finally:
            destination.close()
        ledger.record_delivered([rows[name] for name in rows if name not in failures], timezone.now())
        for name, failure in failures.items():
            if not isinstance(failure, DeliveryRefused):
                raise failure
            ledger.hold_back(rows[name], failure, 1, timezone.now())
    return len(unfinished)


def _arrival(errand: Errand, staged: Staged) -> Arrival:
    head = read_letterhead(staged.head)
    return Arrival(errand, staged.name, staged.size, staged.fingerprint, head.sender, head.subject, head.message_id)
