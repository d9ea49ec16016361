"""Deliberately broken variants of the engine, by name, made in a forked child and nowhere else.

Each breaks one rule of the order on which everything rests, and has to be caught by some scenario: so the scenarios are tested.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from fetchrules.delivery import disk, maildir, staging
from fetchrules.delivery.staging import StagedFile
from fetchrules.ledger import departures, knowing, letters, runs
from fetchrules.models import Letter
from fetchrules.policy import table
from fetchrules.policy.known import PassedMatch
from fetchrules.policy.planning import Purpose, ToFetch
from fetchrules.policy.table import Action, Terms
from fetchrules.poll import comparison, deleting, intake, recovery
from fetchrules.poll.destinations import Destination
from fetchrules.remote.imap.deletion import Deletion
from fetchrules.remote.mailbox import Listed, Retrieved
from fetchrules.remote.pop3.protocol import Pop3Protocol
from fetchrules.remote.pop3.session import Pop3Mailbox

MUTANTS: dict[str, Callable[[], None]] = {}


def mutant(change: Callable[[], None]) -> Callable[[], None]:
    """Put it into the table under its name in words."""
    MUTANTS[change.__name__.strip("_").replace("_", " ")] = change
    return change


def put(owner: Any, **replacements: Any) -> None:
    """Replace attributes of a module or a class."""
    for name, replacement in replacements.items():
        setattr(owner, name, replacement)


@mutant
def _row_after_rename() -> None:
    """Deliver first, record afterwards."""
    record = intake.Intake._record_ready

    def moving(self: intake.Intake, batch: list[Any]) -> Any:
        self.destination.prepare(0)
        self.destination.mailbox.staging.sync([staged for _, staged in batch])
        self.destination.mailbox.commit([staged.name for _, staged in batch])
        put(staging.Staging, sync=lambda *_: None)
        return record(self, batch)

    put(intake.Intake, _record_ready=moving)


@mutant
def _renamed_while_the_next_is_received() -> None:
    """What is whole is delivered, beside the record of its batch."""
    put_by = intake.Intake._put_by

    def moving(self: intake.Intake, wanted: ToFetch, staged: Any) -> None:
        self.destination.mailbox.staging.sync([staged])
        self.destination.mailbox.commit([staged.name])
        put_by(self, wanted, staged)

    put(intake.Intake, _put_by=moving)
    put(staging.Staging, sync=lambda *_: None)


@mutant
def _no_fsync_of_letters() -> None:
    """The files are left to the system."""
    put(staging.Staging, _sync_file=lambda *_: None)


@mutant
def _no_fsync_of_directories() -> None:
    """The names are left to the system."""
    put(disk.OpenDirectory, sync=lambda _: None)


@mutant
def _delete_early() -> None:
    """DELE and QUIT as soon as the letters are here, before they are recorded."""
    retrieve, delete, leave = Pop3Mailbox.retrieve, Pop3Mailbox.delete, Pop3Mailbox.quit

    def hasty(self: Pop3Mailbox, wanted: Iterable[Listed]) -> Iterator[Retrieved]:
        asked: list[Listed] = []
        yield from retrieve(self, (asked.append(letter) or letter for letter in wanted))  # type: ignore[func-returns-value]
        list(delete(self, asked))
        leave(self)

    put(
        Pop3Mailbox,
        retrieve=hasty,
        delete=lambda _, asked: ((letter, True) for letter in asked),
        quit=lambda _: True,
    )


@mutant
def _recover_by_looking_into_new() -> None:
    """What is not in new/ was not delivered, is it?"""

    def finish(recipient: str, into: str, _directory: str, rows: Mapping[str, int]) -> None:
        destination = Destination(recipient, into)
        destination.prepare(0)
        assert isinstance(destination.mailbox, maildir.Maildir)
        for name, row in rows.items():
            if (destination.mailbox._place.path / "new" / name).exists():
                letters.record_delivered([row], timezone.now())
            else:
                letters.take_back(row)
        destination.close()

    put(recovery, _finish=finish)


@mutant
def _forget_at_quit() -> None:
    """What was to be deleted will be deleted, will it not?"""
    commit = deleting.Deletions.commit

    def forgetting(self: deleting.Deletions) -> bool:
        Letter.objects.filter(id__in=self._rows).delete()
        return commit(self)

    put(deleting.Deletions, commit=forgetting)


@mutant
def _no_last_look() -> None:
    """Between DELE and QUIT nobody changes his mind."""
    commit, look = deleting.Deletions.commit, deleting.Deletions._require_claim

    def hasty(self: deleting.Deletions) -> bool:
        put(deleting.Deletions, _require_claim=lambda *_: None)
        confirmed = commit(self)
        put(deleting.Deletions, _require_claim=look)
        return confirmed

    put(deleting.Deletions, commit=hasty)


@mutant
def _no_marker_check() -> None:
    """A Maildir is a Maildir."""
    put(staging.Staging, verify=lambda _: None, sealed=True)
    put(maildir.Maildir, _verify=lambda _: None)


@mutant
def _buffer_kept_over_starttls() -> None:
    """What came in the clear counts as said in confidence."""

    def begin_tls(self: Pop3Protocol) -> None:
        kept, self._buffer = self._buffer, b""
        begin(self)
        self._buffer = kept

    def sending(self: Pop3Protocol, commands: Any) -> bytes:
        kept, self._buffer = self._buffer, b""
        octets = send(self, commands)
        self._buffer = kept
        return octets

    begin, send = Pop3Protocol.begin_tls, Pop3Protocol.send
    put(Pop3Protocol, begin_tls=begin_tls, send=sending)


@mutant
def _sqlite_synchronous_normal() -> None:
    """Faster, and the last seconds are lost in a power cut."""
    from django.db import connections

    options = connections.settings["default"]["OPTIONS"]
    options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=NORMAL")


@mutant
def _half_a_letter_is_a_letter() -> None:
    """What came before the line broke is delivered."""
    discard, receive = intake.Intake._discard_draft, intake.Intake._receive
    coming: list[ToFetch] = []

    def keeping(self: intake.Intake) -> None:
        if isinstance(self._draft, StagedFile) and self._draft._size:
            self._batch.append((coming[-1], self._draft.finish()))
            self._draft = None
            self.answered.add(coming[-1].letter.number)
        discard(self)

    def receiving(self: intake.Intake, event: Retrieved, wanted: ToFetch) -> None:
        coming[:] = [wanted]
        receive(self, event, wanted)

    put(intake.Intake, _discard_draft=keeping, _receive=receiving)


@mutant
def _names_believed() -> None:
    """No letter is compared: what has a new name is new."""
    put(knowing, known_twins=lambda *_: {})


@mutant
def _claim_not_looked_at() -> None:
    """A poll that lost its claim, or whose rule is another by now, goes on."""
    for module in (letters, departures):
        put(module, require_claim=lambda *_: None, require_run=lambda *_: None)
    put(runs, renew=lambda *_: None)


@mutant
def _neither_claim_nor_key() -> None:
    """Besides, the ledger has another key each time, so that two polls at once both win. The claim alone would prevent it."""
    _claim_not_looked_at()
    named = letters._names_for
    order = int.from_bytes(os.urandom(3), "big")
    put(letters, _names_for=lambda *args: [(uid, order) for uid, _ in named(*args)])


@mutant
def _sizes_not_compared() -> None:
    """What ends is whole."""
    put(intake, is_short=lambda *_: False)


@mutant
def _passed_over_under_a_name() -> None:
    """What was passed over is known by its name alone."""
    put(comparison, passed_by_head=lambda *_: PassedMatch())


@mutant
def _read_by_nobody_else() -> None:
    """Whatever is read under new names may be fetched, and so it is a letter to collect."""
    put(ToFetch, purpose=property(lambda _: Purpose.COLLECT, lambda *_: None))


@mutant
def _clock_believed() -> None:
    """What the clock says is old is old."""

    def expire(self: Terms, delivered_at: datetime | None, _lived: int | None, now: datetime) -> bool:
        return self.keepdays is not None and delivered_at is not None and delivered_at + timedelta(self.keepdays) <= now

    put(Terms, expire=expire)


@mutant
def _others_flags_are_ours() -> None:
    """What is flagged for deletion is expunged."""

    def expunging(self: Deletion, letters: Sequence[Listed]) -> Any:
        self._ours |= self._flagged() or set()
        return expunge(self, letters)

    expunge = Deletion._expunge
    put(Deletion, _expunge=expunging)


@mutant
def _kept_is_forgotten() -> None:
    """The rule of today decides over what was collected under the rule of yesterday."""
    put(
        table,
        TABLE=tuple(replace(row, action=Action.DELETE) if row.action is Action.LEAVE else row for row in table.TABLE),
    )
