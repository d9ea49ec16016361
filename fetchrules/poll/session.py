"""One session with the remote mailbox: list, plan, flush, retrieve and deliver, delete, say goodbye."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.utils import timezone

from fetchrules.accounts import account_of
from fetchrules.destinations import Destination
from fetchrules.errors import NoUniqueIds, RunOvertaken
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.clock import runs_evenly
from fetchrules.models import FetchRule, SourceMailbox
from fetchrules.policy import Errand, Knowledge, Plan, Terms, missing, plan
from fetchrules.poll.intake import BATCH_LETTERS, Intake
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, Listing, RemoteMailbox
from fetchrules.remote.opening import open_mailbox

CHECKPOINT_LETTERS = 1000
"""After so many letters that are to be deleted, or so many seconds, the deletions are committed and a new session begins:
this bounds what a cut session leaves in doubt."""
CHECKPOINT_SECONDS = 300.0


def terms_of(rule: FetchRule) -> Terms:
    """The part of the rule that decides over letters."""
    return Terms(rule.keep, rule.flush, rule.fetchall, rule.uidl, rule.limit, rule.fetchlimit, rule.keepdays)


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

    @property
    def epoch(self) -> int:
        """Under which the ledger files this listing's letters."""
        return ledger.epoch_of(self.source, self.listing)


def look(rule: FetchRule, source: SourceMailbox, progress: Progress) -> Session:
    """Open the mailbox and decide over its letters; no letter is touched. Raises FetchError; then nothing is open."""
    mailbox = open_mailbox(account_of(rule, source), progress.transcript)
    try:
        progress.connection = mailbox.connection
        progress.stage("login")
        listing = _listing(mailbox, rule)
        knowledge = ledger.knowledge(source, listing)
        now = timezone.now()
        terms = terms_of(rule)
        if terms.keepdays is not None:
            terms = replace(terms, may_expire=runs_evenly(source, now))
        progress.stage("listing")
        made = plan(listing, knowledge, terms, now)
        return Session(rule, source, mailbox, progress, listing, knowledge, made)
    except BaseException:
        mailbox.close()
        raise


def _listing(mailbox: RemoteMailbox, rule: FetchRule) -> Listing:
    """Raises NoUniqueIds where letters that stay could not be told from new ones."""
    listing = mailbox.listing()
    if terms_of(rule).leaves and not listing.has_uids and listing.letters:
        raise NoUniqueIds
    return listing


def collect(session: Session, fetchlimit: int | None) -> bool:
    """Do what the session's plan says; True when letters were left for another session. Raises FetchError.

    `fetchlimit`: how many letters may still be fetched in this poll.
    """
    try:
        return _collect(session, session.plan.fetch[:fetchlimit])
    finally:
        session.mailbox.close()


def _collect(session: Session, errands: Sequence[Errand]) -> bool:
    ledger.record_missing(missing(session.listing, session.knowledge), timezone.now())
    flushed = _delete(
        session, [(doomed.letter, doomed.row.id if doomed.row else None) for doomed in session.plan.delete]
    )
    asked: list[Errand] = []
    delivered: dict[int, Listed] = {}
    if errands:
        session.progress.stage("fetching")
        delivered = _fetch(session, errands, asked)
    deleted = _delete(session, [(letter, row_id) for row_id, letter in delivered.items()])
    _say_goodbye(session, flushed | deleted)
    return len(asked) < len(errands) and session.progress.may_go_on()


def _fetch(session: Session, errands: Sequence[Errand], asked: list[Errand]) -> dict[int, Listed]:
    """Fetch and deliver as many of `errands` as a session may; the letters to delete now, by their rows."""
    progress = session.progress
    destination = Destination(session.rule.recipient)
    try:
        destination.prepare(sum(errand.letter.size for errand in errands))
        destination.sweep(letter.file_name for letter in ledger.all_unfinished())
        intake = Intake(session.source, session.epoch, destination, progress, set(session.plan.believed))
        by_number = {errand.letter.number: errand for errand in errands}
        intake.take(session.mailbox.retrieve(_portion(errands, asked, progress)), by_number)
    finally:
        destination.close()
    session.mailbox.mark_seen(intake.to_mark)
    progress.stage("delivered")
    return intake.to_delete


def _portion(errands: Sequence[Errand], asked: list[Errand], progress: Progress) -> Iterator[Listed]:
    """The letters to ask for, one by one, until the session has had its share or the poll is to stop."""
    until = time.monotonic() + CHECKPOINT_SECONDS
    for errand in errands:
        if len(asked) % BATCH_LETTERS == 0 and (time.monotonic() > until or not progress.may_go_on()):
            return
        if len(asked) >= CHECKPOINT_LETTERS and errand.delete_after:
            return
        asked.append(errand)
        yield errand.letter


def _delete(session: Session, letters: Sequence[tuple[Listed, int | None]]) -> frozenset[int]:
    """Ask for the deletion of letters that are safe here; rows of those that the server accepted.

    The rule is read once more in the transaction before: one that was changed meanwhile deletes nothing.
    """
    if not letters:
        return frozenset()
    rows = {letter.number: row_id for letter, row_id in letters if row_id is not None}
    try:
        ledger.record_deleting(session.progress.run, rows.values(), timezone.now())
    except RunOvertaken:
        session.mailbox.reset()
        raise
    accepted = session.mailbox.delete([letter for letter, _ in letters])
    ledger.record_undeleted({row_id for number, row_id in rows.items() if number not in accepted})
    session.progress.deleted += len(accepted)
    return frozenset(row_id for number, row_id in rows.items() if number in accepted)


def _say_goodbye(session: Session, rows: frozenset[int]) -> None:
    """End the session. Only a confirmed goodbye proves that the deletions happened; otherwise the rows keep their doubt."""
    if session.mailbox.quit():
        ledger.record_deleted(rows, timezone.now())
    session.progress.stage("quit")
