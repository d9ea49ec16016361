"""One session with the remote mailbox: list, plan, flush, retrieve and deliver, delete, say goodbye."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from django.utils import timezone

from fetchrules.accounts import account_of
from fetchrules.destinations import Destination, same_mailbox
from fetchrules.errors import DeliveryRefused, DiskFull, NoUniqueIds, RemoteProtocolError, RunOvertaken, ServerRefused
from fetchrules.ledger import forgetting, runs
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.clock import runs_evenly
from fetchrules.models import FetchRule, Run, SourceMailbox
from fetchrules.policy import Errand, Knowledge, Plan, Remark, Terms, Why, missing, plan
from fetchrules.poll.intake import BATCH_LETTERS, BATCH_OCTETS, Intake
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, Listing, RemoteMailbox
from fetchrules.remote.opening import open_mailbox

CHECKPOINT_LETTERS = 1000
"""After so many letters that are to be deleted, or so many seconds, the deletions are committed and a new session begins:
this bounds what a cut session leaves in doubt."""
CHECKPOINT_SECONDS = 300.0
DELETE_AT_ONCE = 500
"""Between two portions of deletions the claim is renewed and the rule read again."""


def terms_of(rule: FetchRule, source: SourceMailbox) -> Terms:
    """The part of the rule, and of what was said of its mailbox, that decides over letters."""
    said = (rule.keep, rule.flush, rule.fetchall, rule.uidl, rule.limit, rule.fetchlimit, rule.keepdays)
    return Terms(*said, pass_present=source.pass_present)


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
    asked: list[Errand] = field(default_factory=list)
    until: float = field(default_factory=lambda: time.monotonic() + CHECKPOINT_SECONDS)
    cut_short: bool = False
    accepted: int = 0
    """Deletions that the server has agreed to, and not yet confirmed by its goodbye."""

    @property
    def epoch(self) -> int:
        """Under which the ledger files this listing's letters."""
        return ledger.epoch_of(self.source, self.listing)

    @property
    def met_all(self) -> bool:
        """Whether every letter that may be one of the ledger's by another name was asked for."""
        return not self.plan.unsettled and len(self.asked) == len(self.plan.fetch)

    @property
    def errands(self) -> Sequence[Errand]:
        """The letters to fetch that this poll has not finished with, as many of those with a name as it still may."""
        finished = self.progress.finished
        untried = [one for one in self.plan.fetch if not one.named or (self.source.pk, one.letter.uid) not in finished]
        if self.rule.fetchlimit is None:
            return untried
        room = iter(range(self.rule.fetchlimit - self.progress.fetched))
        return [one for one in untried if not one.named or next(room, None) is not None]

    @property
    def has_its_fill(self) -> bool:
        """Whether as many letters are here as one poll may fetch, at the last count: it lags behind by a batch."""
        return self.rule.fetchlimit is not None and self.progress.fetched >= self.rule.fetchlimit


def look(rule: FetchRule, source: SourceMailbox, progress: Progress) -> Session:
    """Open the mailbox and decide over its letters; no letter is touched. Raises FetchError; then nothing is open."""
    mailbox = open_mailbox(account_of(rule, source), progress.transcript)
    try:
        progress.connection = mailbox.connection
        progress.stage("login")
        terms = terms_of(rule, source)
        listing = _listing(mailbox, terms)
        knowledge = ledger.knowledge(source, listing)
        now = timezone.now()
        if terms.keepdays is not None:
            terms = replace(terms, may_expire=runs_evenly(source, now))
        progress.stage("listing")
        made = plan(listing, knowledge, terms, now)
        return Session(rule, source, mailbox, progress, listing, knowledge, made)
    except BaseException:
        mailbox.close()
        raise


def _listing(mailbox: RemoteMailbox, terms: Terms) -> Listing:
    """Raises NoUniqueIds where letters that stay could not be told from new ones."""
    listing = mailbox.listing()
    if (terms.leaves or terms.pass_present) and not listing.has_uids and listing.letters:
        raise NoUniqueIds
    return listing


def collect(session: Session) -> bool:
    """Do what the session's plan says; True when there is more to do for another session. Raises FetchError."""
    try:
        return _collect(session)
    finally:
        session.mailbox.close()


def _collect(session: Session) -> bool:
    progress, fetched, held = session.progress, session.progress.fetched, session.progress.held
    absent = missing(session.listing, session.knowledge)
    if session.listing.complete:
        # That nothing is there is no proof, but a doubt: what comes next by a name that is known may be another letter.
        forgetting.record_missing(session.knowledge.unlisted, timezone.now(), forget=bool(absent))
    forgetting.record_back(session.plan.back)
    if session.source.pass_present:
        _pass_present(session)
    gone = _work(session) if session.plan.delete or session.plan.fetch else frozenset()
    if session.met_all and progress.held == held:
        forgetting.record_gone(absent, timezone.now())
    confirmed = _say_goodbye(session, gone)
    # A server that takes back what it confirms would be visited for ever: go on only after a session that got somewhere.
    got_somewhere = confirmed and (progress.fetched > fetched or bool(session.plan.delete))
    return session.cut_short and got_somewhere and progress.may_go_on()


def _pass_present(session: Session) -> None:
    """What lies there counts as collected, once: of a list that is not whole, nobody could say later what came after it."""
    if not session.listing.complete:
        raise RemoteProtocolError("the list of letters is not whole")
    ledger.record_present(session.progress.run, session.source, session.epoch, session.plan.present, timezone.now())
    session.source.pass_present = False


def _work(session: Session) -> frozenset[int]:
    """Flush, fetch and deliver, delete; the rows whose deletion the server accepted."""
    destination = Destination(session.rule.recipient)
    try:
        flushed = _flush(session, destination)
        delivered = _fetch(session, destination)
    finally:
        destination.close()
    return flushed | _delete(session, [(letter, row_id) for row_id, letter in delivered.items()])


def _flush(session: Session, destination: Destination) -> frozenset[int]:
    """Delete what the plan names, if the letters that were delivered earlier are still where they were put."""
    doomed = [(doomed.letter, doomed.row.id if doomed.row else None) for doomed in session.plan.delete]
    if doomed:
        destination.confirm()
    return _delete(session, doomed, session.until)


def _fetch(session: Session, destination: Destination) -> dict[int, Listed]:
    """Fetch and deliver as many letters as a session may; those to delete now, by their rows."""
    errands = session.errands
    if not errands:
        return {}
    session.progress.stage("fetching")
    destination.prepare(0)
    _sweep(session.progress.run, destination)
    intake = Intake(session.source, session.epoch, destination, session.progress, set(session.plan.believed))
    intake.take(session.mailbox.retrieve(_portion(session, errands, intake)), session.asked)
    session.mailbox.mark_seen(intake.to_mark)
    session.progress.stage("delivered")
    return intake.to_delete


def _sweep(run: Run, destination: Destination) -> None:
    """Remove what crashes left in staging. Another poll's file that is not on record yet may look old to this clock.

    Hence the order: whoever begins after the look has no file in what was found; whoever is at work by then is seen, and
    what was recorded by those who have ended since is in hand.
    """
    leftovers = destination.mailbox.leftovers()
    if leftovers and not any(same_mailbox(other, run.recipient) for other in runs.others_deliver_to(run)):
        in_hand = set(ledger.all_unfinished().values_list("file_name", flat=True))
        destination.mailbox.discard([name for name in leftovers if name not in in_hand])


def _portion(session: Session, errands: Sequence[Errand], intake: Intake) -> Iterator[Listed]:
    """The letters to ask for, one by one, until the session has had its share or the poll is to stop."""
    for errand in errands:
        if _ends_before(errand, session, intake):
            session.cut_short = True
            return
        if session.has_its_fill:
            session.progress.left[Why.FETCHLIMIT] += 1
            continue
        if not _fits(errand, intake):
            continue
        session.asked.append(errand)
        yield errand.letter


def _fits(errand: Errand, intake: Intake) -> bool:
    """Whether there is room for the letter; else it is held. The reserve has room for a batch of small ones."""
    if errand.letter.size <= BATCH_OCTETS:
        return True
    try:
        intake.destination.prepare(errand.letter.size)
    except DiskFull as error:
        intake.hold(errand, error)
        return False
    return True


def _ends_before(errand: Errand, session: Session, intake: Intake) -> bool:
    asked, progress = session.asked, session.progress
    if len(asked) % BATCH_LETTERS == 0 and (time.monotonic() > session.until or not progress.may_go_on()):
        return True
    if len(asked) - intake.spared >= CHECKPOINT_LETTERS and errand.delete_after:
        return True
    if not _is_risky(errand):
        return False
    # It broke a session before: if it does so again, nothing else shall hang on that session.
    return bool(session.plan.delete) or any(one.delete_after and not _is_risky(one) for one in asked)


def _is_risky(errand: Errand) -> bool:
    row = errand.row
    return row is not None and row.tries > 0 and row.reason not in (ServerRefused.code, DeliveryRefused.code)


def _delete(session: Session, letters: Sequence[tuple[Listed, int | None]], until: float = math.inf) -> frozenset[int]:
    """Ask for the deletion of letters that are safe here; rows of those that the server accepted. `until`: no longer than that."""
    accepted: frozenset[int] = frozenset()
    for start in range(0, len(letters), DELETE_AT_ONCE):
        if time.monotonic() > until:
            session.cut_short = True
            break
        accepted |= _delete_some(session, letters[start : start + DELETE_AT_ONCE])
    return accepted


def _delete_some(session: Session, letters: Sequence[tuple[Listed, int | None]]) -> frozenset[int]:
    """The rule is read once more in the transaction before: one that was changed meanwhile deletes nothing."""
    rows = {letter.number: row_id for letter, row_id in letters if row_id is not None}
    try:
        ledger.record_deleting(session.progress.run, rows.values(), timezone.now())
    except RunOvertaken:
        session.mailbox.reset()
        raise
    accepted = session.mailbox.delete([letter for letter, _ in letters])
    refused = {row_id for number, row_id in rows.items() if number not in accepted}
    ledger.record_undeleted(session.progress.run, refused)
    session.progress.deleted += len(accepted)
    session.progress.remark(Remark.UNDELETED, len(letters) - len(accepted))
    session.accepted += len(accepted)
    return frozenset(row_id for number, row_id in rows.items() if number in accepted)


def _say_goodbye(session: Session, rows: frozenset[int]) -> bool:
    """End the session. Only a confirmed goodbye proves that the deletions happened; otherwise the rows keep their doubt."""
    confirmed = session.mailbox.quit()
    if confirmed:
        ledger.record_deleted(rows, timezone.now())
    else:
        session.progress.deleted -= session.accepted
        session.progress.remark(Remark.UNCONFIRMED, session.accepted)
    session.progress.stage("quit")
    return confirmed
