"""How far a poll is: what it counted, how long each stage took, and the sign of life that keeps its claim."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from django.utils import timezone

from fetchrules.errors import FetchError, Interrupted
from fetchrules.ledger import runs
from fetchrules.ledger.settled import Settled
from fetchrules.models import Run, SourceMailbox
from fetchrules.policy.planning import Plan, Remark, Why
from fetchrules.poll.outlasting import rest
from fetchrules.remote.account import Deadlines
from fetchrules.remote.imap.shared import SharedConnection
from fetchrules.remote.mailbox import Connection, Listed
from fetchrules.remote.memory import SERVERS, ServerMemory
from fetchrules.remote.stopping import STOPPING
from fetchrules.remote.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of letters, octets and seconds; the defaults are those of the product."""

    batch_letters: int = 128
    batch_octets: int = 16 * 1024 * 1024
    """What is made durable, recorded and delivered together."""
    spare_octets: int = 256 * 1024 * 1024
    """A letter longer than twice its listed size and this has no end: servers are wrong about sizes, but not so much."""
    checkpoint_letters: int = 5000
    checkpoint_seconds: float = 300.0
    """After so many letters that are to be deleted, or so long, the deletions are committed and a new session begins: this bounds
    what a cut session leaves in doubt."""
    deletions_at_once: int = 500
    """Between two portions of deletions the claim is renewed and the rule read again."""
    headers: int = 1000
    """Headers that one session asks for; the other letters wait for the next one."""
    list_at_least: int = 20
    """A listing asks for no fewer letters in one command."""
    renew_seconds: float = 2.0
    """How often a poll at work renews its claim and shows how far it is."""
    deadlines: Deadlines = field(default_factory=Deadlines)
    """Those of a rule without a timeout of its own."""


@dataclass(frozen=True, slots=True)
class Dated:
    """When a letter arrived, and the fingerprint of the header that says so, or empty."""

    received: datetime
    head: str


class StopAsked(Interrupted):
    """Somebody asked this poll to stop: it ends where it is, and nothing failed."""


def no_wait() -> None:
    """There is nothing to wait for."""


@dataclass(slots=True)
class Progress:
    """The counters and limits of one poll while it runs. Not thread-safe, but for `disturbed`: another thread (`keeping`) sets it
    when the run may have lost its claim or been asked to stop. `quiet` waits until no thread beside uses the database."""

    run: Run
    disturbed: Event = field(default_factory=Event)
    limits: Limits = field(default_factory=Limits)
    memory: ServerMemory = field(default_factory=lambda: SERVERS)
    quiet: Callable[[], None] = no_wait
    found: int = 0
    fetched: int = 0
    deleted: int = 0
    held: int = 0
    wanted: int = 0
    """Letters that were to be fetched."""
    came: int = 0
    """Letters that turned out to need no delivery: recognised, gone, or in hand."""
    trouble: str = ""
    """Why the first letter could not be fetched or delivered."""
    shifted: int = 0
    """Letters under unique-ids that named other letters before."""
    seen: list[tuple[SourceMailbox, Settled]] = field(default_factory=list)
    """Mailboxes that this poll leaves settled."""
    finished: set[tuple[int, str]] = field(default_factory=set)
    """Letters that later sessions of this poll leave alone, as (source mailbox, unique-id): collected, or tried in vain."""
    dated: dict[tuple[int, str], Dated] = field(default_factory=dict)
    """When letters arrived that were asked for their headers, as (source mailbox, unique-id)."""
    octets: int = 0
    left: Counter[Why] = field(default_factory=Counter)
    remarks: Counter[Remark] = field(default_factory=Counter)
    stages: list[tuple[str, float]] = field(default_factory=list)
    connection: Connection | None = None
    shared: SharedConnection = field(default_factory=SharedConnection)
    transcript: Transcript = field(default_factory=Transcript)
    _announced: tuple[int, int] = (0, 0)
    """Letters and octets that are to be fetched, as far as is known."""
    _began: float = field(default_factory=time.monotonic)
    _renewed: float = field(default_factory=time.monotonic)

    def stage(self, name: str) -> None:
        self.stages.append((name, round(time.monotonic() - self._began, 3)))

    def listed(self, plan: Plan, unlisted: int, counted: set[str]) -> None:
        """Count a plan's letters, but those that an earlier session of the same poll has `counted` (unique-ids).

        Undated letters are counted by a later session.
        """
        left = [(letter, why) for letter, why in plan.left if why is not Why.UNDATED]
        fetch = [one for one in plan.fetch if one.letter.uid not in counted]
        letters = [*(one.letter for one in plan.delete), *(one.letter for one in plan.fetch), *(one for one, _ in left)]
        if fetch or (plan.delete and not counted):
            self._announced = (
                self._announced[0] + len(fetch),
                self._announced[1] + sum(one.letter.size for one in fetch),
            )
            runs.announce(self.run, self.found + len(plan.left), *self._announced)
        if not counted:
            self.remark(Remark.UNLISTED, unlisted)
            self.remark(Remark.FLAGGED, plan.flagged)
            self.remark(Remark.RENAMED, len(plan.recognised))
        self.found += sum(letter.uid not in counted for letter in letters)
        self.left.update(why for letter, why in left if letter.uid not in counted)
        counted.update(letter.uid for letter in letters)

    def unchanged(self, found: Settled) -> None:
        """Count the letters of a mailbox that is as it was at the last poll."""
        self.found += found.found
        self.left.update({Why(name): number for name, number in found.left.items()})
        self.remarks.update({Remark(name): number for name, number in found.remarks.items()})

    @property
    def interval(self) -> timedelta:
        """How often the rule is polled."""
        minutes = self.run.rule.interval if self.run.rule else None
        return timedelta(minutes=minutes or runs.usual_interval(self.run))

    def remark(self, remark: Remark, letters: int) -> None:
        if letters:
            self.remarks[remark] += letters

    def hold(self, source: SourceMailbox, letter: Listed, error: FetchError) -> None:
        """Count a letter that could not be fetched or delivered; this poll does not try it again."""
        self.held += 1
        self.trouble = self.trouble or str(error)
        self.finished.add((source.pk, letter.uid))

    def received(self, octets: int) -> None:
        """Count octets that came; every few seconds renew the claim, and end the poll if it was asked to. Raises RunOvertaken."""
        self.octets += octets
        if self.show():
            self.heed()

    def show(self) -> bool:
        """Renew the claim if that is due; whether it was. Raises RunOvertaken."""
        due = time.monotonic() - self._renewed > self.limits.renew_seconds
        if due:
            self.renew()
        return due

    def alive(self) -> None:
        """End the poll, while its server is silent, if it was asked to; asks the database only once `disturbed` is set, and does
        without it.

        Raises RunOvertaken.
        """
        if self.disturbed.is_set():
            self.disturbed.clear()
            self.heed()
        self.quiet()
        rest()

    def heed(self) -> None:
        """Raises StopAsked if somebody asked this run to stop or switched its rule off; RunOvertaken if the claim is lost."""
        self.quiet()
        if not runs.may_go_on(self.run):
            raise StopAsked("the poll was asked to stop")

    def renew(self) -> None:
        """Renew the claim and record the counters. Raises RunOvertaken."""
        self.quiet()
        self._renewed = time.monotonic()
        runs.renew(self.run, timezone.now(), self.counts())

    def may_go_on(self) -> bool:
        """Whether another batch may be begun: nobody asked this run, or the process, to stop. Raises RunOvertaken."""
        self.quiet()
        return not STOPPING.is_set() and runs.may_go_on(self.run)

    def ending(self, error: FetchError | None) -> runs.Ending:
        return runs.Ending(
            counts=self.counts(),
            error=error,
            stages=tuple(self.stages),
            transcript=_text(self.transcript),
            tls=self.connection.tls if self.connection else None,
            tls_version=self.connection.tls_version if self.connection else "",
            seen=tuple(self.seen),
        )

    def counts(self) -> runs.Counts:
        left = {name.value: count for counts in (self.left, self.remarks) for name, count in sorted(counts.items())}
        skipped = sum(self.left.values())
        found = self.found + self.left[Why.UNDATED]
        return runs.Counts(found, self.fetched, self.deleted, skipped, self.held, self.octets, left)


def _text(transcript: Transcript) -> str:
    lines = [f"{line.speaker}: {line.text}" for line in (*transcript.head, *transcript.tail)]
    if transcript.left_out:
        lines.insert(len(transcript.head), f"… {transcript.left_out} …")
    return "\n".join(lines)
