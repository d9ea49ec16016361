"""One session with the remote mailbox: list, plan, flush, retrieve and deliver, delete, say goodbye."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.utils import timezone

from fetchrules.accounts import account_of
from fetchrules.destinations import Destination, same_mailbox
from fetchrules.errors import (
    ConnectionLost,
    DeletionFailed,
    DeliveryFailed,
    DiskFull,
    FetchError,
    NoUniqueIds,
    PassPresentRefused,
    RemoteProtocolError,
    RunOvertaken,
    ServerRefused,
    ServerTemporary,
    TimedOut,
)
from fetchrules.ledger import forgetting, hosts, mailboxes, runs
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.clock import live
from fetchrules.models import FetchRule, Run, ServiceSettings, SourceMailbox
from fetchrules.policy import Errand, Knowledge, Plan, Remark, Terms, ToDelete, Why, missing, plan
from fetchrules.poll.by_head import settled_by_head
from fetchrules.poll.deleting import Deletions
from fetchrules.poll.heads import heads
from fetchrules.poll.intake import BATCH_LETTERS, BATCH_OCTETS, Intake
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, Listing, RemoteMailbox
from fetchrules.remote.opening import open_mailbox
from fetchrules.ruletext.spec import MASK, Protocol

CHECKPOINT_LETTERS = 1000
"""After so many letters that are to be deleted, or so many seconds, the deletions are committed and a new session begins:
this bounds what a cut session leaves in doubt."""
CHECKPOINT_SECONDS = 300.0
HEADS_AT_ONCE = 1000
"""Headers of letters that were passed over which one session learns."""
LIST_AT_LEAST = 20
"""No fewer letters in one command of a listing."""
_BREAKS = frozenset({ConnectionLost.code, TimedOut.code, RemoteProtocolError.code, DeletionFailed.code})
PASSING_FAILURES = 3
"""So often running a server may keep back the unique-ids that it is known to have; then it counts as one without."""


def terms_of(rule: FetchRule, source: SourceMailbox) -> Terms:
    """The part of the rule, and of what was said of its mailbox, that decides over letters."""
    said = (rule.keep, rule.flush, rule.fetchall, rule.uidl, rule.limit, rule.fetchlimit, rule.keepdays)
    return Terms(*said, lived=source.lived, pass_present=source.pass_present)


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
    asked: list[Errand] = field(default_factory=list)
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
        return ledger.epoch_of(self.source, self.listing)

    @property
    def met_all(self) -> bool:
        """Whether every letter that may be one of the ledger's by another name was asked for."""
        asked = len(self.asked) + self.settled
        return not self.plan.unsettled and self.limit is None and asked == len(self.plan.fetch)

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
        knowledge = ledger.knowledge(source, listing)
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
        if rule.failures < PASSING_FAILURES and ledger.has_names(source):
            raise ServerTemporary("the server named letters before, and does not now")
        raise NoUniqueIds
    return listing


def collect(session: Session) -> bool:
    """Do what the session's plan says; True when there is more to do for another session. Raises FetchError."""
    try:
        more = _collect(session)
    finally:
        session.mailbox.close()
    if session.limit is not None:
        raise session.limit
    return more


def _collect(session: Session) -> bool:
    progress, fetched, held = session.progress, session.progress.fetched, session.progress.held
    absent = missing(session.listing, session.knowledge)
    if session.listing.complete:
        # An empty listing proves nothing: the server may have lost its index. Letters that reappear under a known UID are
        # compared before they count as seen.
        forgetting.record_missing(session.knowledge.unlisted, timezone.now(), forget=bool(absent))
        forgetting.drop_outdated(session.knowledge.outdated)
    forgetting.record_back(session.plan.back)
    _learn(session)
    deletions = Deletions(session.mailbox, session.progress, final=session.listing.epoch is not None)
    if session.plan.delete or session.plan.fetch:
        _work(session, deletions)
    if session.met_all and progress.held == held:
        forgetting.record_gone(absent, timezone.now())
    confirmed = deletions.commit()
    progress.stage("quit")
    # A server that takes back what it confirms would be visited for ever: go on only after a session that got somewhere.
    got_somewhere = confirmed and (progress.fetched > fetched or deletions.asked)
    more = session.cut_short or deletions.put_off
    return more and got_somewhere and progress.may_go_on()


def _learn(session: Session) -> None:
    """Note what is asked to be noted of letters that are not fetched."""
    if session.source.pass_present:
        _pass_present(session)
    rows = {letter.number: row.id for letter, row in session.plan.headless[:HEADS_AT_ONCE]}
    if rows:
        letters = [letter for letter, _ in session.plan.headless[:HEADS_AT_ONCE]]
        told = heads(session.mailbox, letters, session.progress)
        ledger.record_heads({rows[letter.number]: head for letter, head in told})
    if session.terms.keepdays is not None and any(row.uncounted for row in session.knowledge.rows.values()):
        ledger.start_counting(session.source, session.terms.lived)


def _pass_present(session: Session) -> None:
    """What lies there counts as collected, once: of a list that is not whole, nobody could say later what came after it."""
    if not session.listing.complete:
        raise RemoteProtocolError("the list of letters is not whole")
    present = session.plan.present
    known = {letter.number: head for letter, head in heads(session.mailbox, present[:HEADS_AT_ONCE], session.progress)}
    letters = [(letter, known.get(letter.number, "")) for letter in present]
    ledger.record_present(session.progress.run, session.source, session.epoch, letters, timezone.now())
    session.source.pass_present = False


def _work(session: Session, deletions: Deletions) -> None:
    """Flush, fetch and deliver, delete."""
    destination = Destination(session.rule.recipient)
    try:
        doubted = _flush(session, destination, deletions)
        intake = _fetch(session, destination, doubted)
    finally:
        destination.close()
    if intake is not None:
        deletions.delete(intake.to_delete)
        flagged = set(session.listing.flagged)
        ours = sum(one.letter in flagged for one in intake.to_delete)
        session.progress.remark(Remark.FLAGGED, -ours)
    deletions.delete_those_that_broke()


def _flush(session: Session, destination: Destination, deletions: Deletions) -> list[ToDelete]:
    """Delete what the plan names, if the letters that were delivered earlier are still where they were put.

    Returns those that have to be compared as a whole first.
    """
    if not session.plan.delete:
        return []
    destination.confirm()
    session.cut_short, doubted = deletions.flush(session.plan.delete, session.until)
    return doubted


def _fetch(session: Session, destination: Destination, doubted: Sequence[ToDelete]) -> Intake | None:
    """Fetch and deliver as many letters as a session may."""
    errands = [*session.errands, *(_to_compare(one, session.terms) for one in doubted)]
    if not errands:
        return None
    progress, source = session.progress, session.source
    progress.stage("fetching")
    destination.prepare(0)
    _sweep(progress.run, destination)
    taken = set(session.plan.believed | session.knowledge.taken) - {one.row.id for one in doubted if one.row}
    intake = Intake(source, session.epoch, destination, progress, taken, list(session.knowledge.passed))
    intake.lived = session.terms.lived if session.terms.keepdays is not None else None
    to_fetch = settled_by_head(session.mailbox, errands, intake)
    session.settled = len(errands) - len(to_fetch)
    fetched = progress.fetched
    try:
        portion = _portion(session, to_fetch, intake)
        intake.take(session.mailbox.retrieve(portion, source.fetch_at_once), session.asked)
    except (DeliveryFailed, RunOvertaken):
        raise
    except FetchError as error:
        _blame(session, intake, error)
        raise
    _heed_limit(session, intake, others_came=progress.fetched > fetched)
    session.mailbox.mark_seen(intake.to_mark)
    progress.stage("delivered")
    return intake


def _to_compare(doubted: ToDelete, terms: Terms) -> Errand:
    """A letter whose header does not prove that it is the one to delete."""
    row = doubted.row
    order = row.ord + 1 if row else 0
    return Errand(doubted.letter, not terms.leaves, compare=True, ord=order, row=row, delete_known=True)


def _blame(session: Session, intake: Intake, error: FetchError) -> None:
    """The session broke: of one letter asked for alone it is known which; of several the next session asks for fewer."""
    suspects = intake.unanswered(session.asked)
    if not suspects:
        return
    if session.mailbox.together > 1:
        mailboxes.fetch_fewer(session.source, session.mailbox.together // 2)
        session.narrowed = True
    else:
        session.blamed = _is_risky(suspects[0])
        intake.hold(suspects[0], error)


def _heed_limit(session: Session, intake: Intake, *, others_came: bool) -> None:
    """The server gives no more: no letter is blamed, unless the others came and it alone got that answer twice."""
    source, stopped_at = session.source, intake.limited_by
    if stopped_at is None or intake.limit is None:
        mailboxes.fetched_well(source)
        return
    if others_came and stopped_at.name == source.ask_last:
        intake.hold(stopped_at, intake.limit)
        mailboxes.fetched_well(source)
        return
    mailboxes.ask_last(source, stopped_at.name)
    if session.mailbox.together > 1 and not others_came:
        mailboxes.fetch_fewer(source, session.mailbox.together // 2)
    session.limit = intake.limit


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
        if intake.limit is not None:
            return
        if _ends_before(errand, session, intake):
            session.cut_short = True
            return
        if session.has_its_fill:
            session.progress.left[Why.FETCHLIMIT] += 1
            continue
        if not _fits(errand, intake):
            continue
        session.asked.append(errand)
        session.progress.wanted += 1
        yield errand.letter


def _fits(errand: Errand, intake: Intake) -> bool:
    """Whether there is room for the letter; else it is held. The reserve has room for a batch of small ones."""
    if errand.letter.size <= BATCH_OCTETS:
        return True
    try:
        intake.destination.prepare(errand.letter.size)
    except DiskFull as error:
        intake.progress.wanted += 1
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
    return row is not None and row.tries > 0 and row.reason in _BREAKS
