"""The beginning of a session: the mailbox is opened and listed, and what to do with its letters is decided. Nothing is touched."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.utils import timezone

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    NoUniqueIds,
    PassPresentRefused,
    RemoteProtocolError,
    ServerRefused,
    ServerTemporary,
    TimedOut,
)
from fetchrules.ledger import hosts, knowing
from fetchrules.ledger.mailboxes import live
from fetchrules.models import FetchRule, ServiceSettings, SourceMailbox
from fetchrules.policy import Knowledge, Plan, Remark, Terms, ToFetch, plan
from fetchrules.poll.progress import Progress
from fetchrules.poll.remote_account import account_of
from fetchrules.remote.mailbox import Listing, RemoteMailbox
from fetchrules.remote.opening import open_mailbox
from fetchrules.rule import MASK, Protocol

CHECKPOINT_SECONDS = 300.0
"""After so long the deletions are committed and a new session begins."""
LIST_AT_LEAST = 20
"""No fewer letters in one command of a listing."""
PASSING_FAILURES = 3
"""So often running a server may keep back the unique-ids that it is known to have; then it counts as one without."""


def terms_of(rule: FetchRule, source: SourceMailbox) -> Terms:
    """The part of the rule, and of what was said of its mailbox, that decides over letters."""
    return Terms.of(
        rule.as_rule(MASK), restricted=rule.restricted, lived=source.lived, pass_present=source.pass_present
    )


@dataclass(slots=True)
class Session:
    """An open mailbox, what it lists, and what this poll makes of it."""

    rule: FetchRule
    source: SourceMailbox
    mailbox: RemoteMailbox
    progress: Progress
    listing: Listing
    knowledge: Knowledge
    plan: Plan
    terms: Terms
    asked: list[ToFetch] = field(default_factory=list)
    until: float = field(default_factory=lambda: time.monotonic() + CHECKPOINT_SECONDS)
    cut_short: bool = False
    narrowed: bool = False
    """It broke over a command for several letters: the next session asks for fewer at a time."""
    blamed: bool = False
    """It broke over a letter that has broken one before: it is the letter's fault alone."""
    limit: FetchError | None = None
    """The server gives no more letters for now."""
    settled: int = 0
    """Letters to fetch that were settled by their headers."""

    @property
    def epoch(self) -> int:
        """Under which the ledger files this listing's letters."""
        return knowing.epoch_of(self.source, self.listing)

    @property
    def compared_all(self) -> bool:
        """Whether every letter that may be one of the ledger's by another name was asked for."""
        asked = len(self.asked) + self.settled
        return not self.plan.unsettled and self.limit is None and asked == len(self.plan.fetch)

    @property
    def to_fetch(self) -> Sequence[ToFetch]:
        """The letters to fetch that this poll has not finished with, as many of those with a name as it still may."""
        finished = self.progress.finished
        untried = [one for one in self.plan.fetch if not one.named or (self.source.pk, one.letter.uid) not in finished]
        if self.rule.fetchlimit is None:
            return untried
        room = iter(range(self.rule.fetchlimit - self.progress.fetched))
        return [one for one in untried if not one.named or next(room, None) is not None]

    @property
    def reached_fetchlimit(self) -> bool:
        """Whether as many letters are here as one poll may fetch, at the last count: it lags behind by a batch."""
        return self.rule.fetchlimit is not None and self.progress.fetched >= self.rule.fetchlimit


def look(rule: FetchRule, source: SourceMailbox, progress: Progress, *, claimed: bool = True) -> Session:
    """Open the mailbox and decide over its letters; no letter is touched. Raises FetchError; then nothing is open.

    `claimed` False: the run is none that was claimed, and nothing is noted anywhere.
    """
    terms = terms_of(rule, source)
    if terms.pass_present and not (terms.leaves and rule.as_rule(MASK).judged_by_ledger):
        raise PassPresentRefused
    mailbox = open_mailbox(account_of(rule, source), progress.transcript, progress.alive if claimed else None)
    try:
        progress.connection = mailbox.connection
        progress.stage("login")
        listing = _listing(mailbox, rule, source, terms, claimed=claimed)
        knowledge = knowing.knowledge(source, listing)
        now = timezone.now()
        if terms.keepdays is not None and claimed:
            interval = timedelta(minutes=rule.interval or ServiceSettings.current().interval)
            lived = live(source, interval, now)
            terms = replace(terms, lived=lived.seconds)
            progress.remark(Remark.UNCOUNTED, 0 if lived.counted else len(knowledge.rows))
        progress.stage("listing")
        made = plan(listing, knowledge, terms, now)
        return Session(rule, source, mailbox, progress, listing, knowledge, made, terms)
    except BaseException:
        mailbox.close()
        raise


def _listing(mailbox: RemoteMailbox, rule: FetchRule, source: SourceMailbox, terms: Terms, *, claimed: bool) -> Listing:
    """Raises NoUniqueIds where letters that stay could not be told from new ones."""
    at_once = hosts.list_at_once(source.host) if rule.protocol == Protocol.IMAP else None
    try:
        listing = mailbox.listing(at_once)
    except (ConnectionLost, TimedOut, ServerRefused, RemoteProtocolError):
        # The next poll, in another process perhaps, asks for fewer at a time.
        portion = min(at_once or mailbox.exists, mailbox.exists)
        if claimed and portion > LIST_AT_LEAST:
            hosts.note_list_at_once(source.host, max(portion // 4, LIST_AT_LEAST))
        raise
    if (terms.leaves or terms.pass_present) and not listing.has_uids and listing.letters:
        again = rule.last_error == ServerTemporary.code and rule.failures >= PASSING_FAILURES
        if not again and knowing.has_names(source):
            raise ServerTemporary("the server named letters before, and does not now")
        raise NoUniqueIds
    return listing
