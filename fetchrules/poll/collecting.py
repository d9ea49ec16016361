"""How a session carries out its plan: flush, retrieve and deliver, delete, QUIT."""

import time
from collections.abc import Iterator, Sequence

from django.utils import timezone

from fetchrules import errors
from fetchrules.ledger import departures, hosts, runs
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.settled import forget
from fetchrules.models import Run, SourceMailbox
from fetchrules.policy.known import FetchedElsewhere
from fetchrules.policy.planning import Remark, ToDelete, ToFetch, Why, missing
from fetchrules.policy.table import Terms
from fetchrules.poll.comparison import Comparison, settled_by_head
from fetchrules.poll.deleting import Deletions
from fetchrules.poll.destinations import Destination, mailbox_key
from fetchrules.poll.intake import Intake
from fetchrules.poll.looking import Session, heads
from fetchrules.remote.mailbox import Listed
from fetchrules.remote.stopping import STOPPING

_BREAKS = frozenset(
    {errors.ConnectionLost.code, errors.TimedOut.code, errors.RemoteProtocolError.code, errors.DeletionFailed.code}
)


def collect(session: Session) -> bool:
    """Carry out the session's plan; True if another session has to continue. Raises FetchError."""
    try:
        more = _collect(session)
    finally:
        session.mailbox.close()
    if session.limit is not None:
        raise session.limit
    return more


def _collect(session: Session) -> bool:
    progress = session.progress
    fetched, deleted, held = progress.fetched, progress.deleted, progress.held
    if session.source.settled or not session.plan.idle:
        forget(session.source)
    absent = missing(session.listing, session.knowledge) - session.plan.recognised
    if session.listing.complete:
        # An empty listing proves nothing: the server may have lost its index. Letters that reappear under a known UID are
        # compared before they count as seen.
        unlisted = session.knowledge.unlisted - session.plan.recognised
        departures.record_missing(unlisted, timezone.now(), forget=bool(absent))
        departures.drop_outdated(session.knowledge.outdated)
    departures.record_back(session.plan.back)
    _learn(session)
    deletions = Deletions(session.mailbox, session.source, session.progress, final=session.listing.epoch is not None)
    if session.plan.delete or session.plan.fetch:
        _work(session, deletions)
    if session.compared_all and progress.held == held:
        departures.record_gone(absent, timezone.now())
    confirmed = deletions.commit()
    progress.stage("quit")
    # Go on only after a session that got somewhere: a server that takes back what it confirms would be visited for ever.
    undated = session.plan.undated
    got_somewhere = confirmed and (progress.fetched > fetched or progress.deleted > deleted or undated)
    more = session.cut_short or deletions.put_off or undated
    return more and got_somewhere and progress.may_go_on()


def _learn(session: Session) -> None:
    if session.terms.passes_over:
        _pass_present(session)
    listing, elsewhere = session.listing, session.knowledge.elsewhere
    # A listing that is empty or without names proves nothing, so the list waits on.
    if elsewhere and listing.complete and listing.letters and listing.has_uids:
        _pass_elsewhere(session, elsewhere)
    headless = session.plan.headless[: session.progress.limits.headers]
    if headless:
        rows = {letter.number: row.id for letter, row in headless}
        headers = heads(session.mailbox, session.source, [letter for letter, _ in headless], session.progress)
        ledger.record_heads({rows[letter.number]: head for letter, head in headers if head})
    if session.terms.keepdays is not None and any(row.uncounted for row in session.knowledge.rows.values()):
        ledger.start_counting(session.source, session.terms.lived)


def _pass_present(session: Session) -> None:
    """Count present letters as collected, once; those without a date wait for another session.

    Raises RemoteProtocolError if the list is incomplete: the rest would look new.
    """
    if not session.listing.complete:
        raise errors.RemoteProtocolError("the list of letters is not whole")
    source = session.source
    # An empty listing proves nothing, so a day holds on; what comes after it is new in any case.
    last = not session.plan.undated and bool(session.listing.letters or source.since is None)
    ledger.record_present(session.filing, _with_heads(session, session.plan.present), timezone.now(), last=last)
    if last:
        source.pass_present, source.since = False, None


def _pass_elsewhere(session: Session, found: FetchedElsewhere) -> None:
    """Count letters that another collector has fetched as collected, once."""
    letters = _with_heads(session, session.plan.elsewhere)
    ledger.record_elsewhere(session.filing, letters, found.lists, timezone.now())
    session.progress.remark(Remark.NOT_THERE, found.absent)


def _with_heads(session: Session, letters: Sequence[Listed]) -> list[tuple[Listed, str]]:
    """These letters with the fingerprints of their headers, as far as a poll learns them."""
    dated, limit = session.progress.dated, session.progress.limits.headers
    known = {
        one.number: dated[session.source.pk, one.uid].head for one in letters if (session.source.pk, one.uid) in dated
    }
    headless = [one for one in letters if one.number not in known]
    known |= {
        one.number: head for one, head in heads(session.mailbox, session.source, headless[:limit], session.progress)
    }
    return [(one, known.get(one.number, "")) for one in letters]


def _work(session: Session, deletions: Deletions) -> None:
    destination = Destination(session.rule.recipient, session.into, lambda: STOPPING.by)
    try:
        doubted = _flush(session, destination, deletions)
        intake = _fetch(session, destination, doubted)
    finally:
        destination.close()
    if intake is not None:
        deletions.delete([*intake.to_delete, *intake.comparison.to_delete])
        flagged = set(session.listing.flagged)
        ours = sum(one.letter in flagged for one in intake.comparison.to_delete)
        session.progress.remark(Remark.FLAGGED, -ours)
    deletions.delete_those_that_broke()


def _flush(session: Session, destination: Destination, deletions: Deletions) -> list[ToDelete]:
    """Delete what the plan names, if the local mailbox is still the same. Returns the letters to fetch and compare before that."""
    if not session.plan.delete:
        return []
    if destination.mailbox.exactly_once:
        destination.check()
    session.cut_short, doubted = deletions.flush(session.plan.delete, session.until)
    return doubted


def _fetch(session: Session, destination: Destination, doubted: Sequence[ToDelete]) -> Intake | None:
    progress, source = session.progress, session.source
    planned = [*session.to_fetch, *(_to_compare(one, session.terms) for one in doubted)]
    planned.sort(key=lambda one: (bool(source.ask_last) and one.name == source.ask_last, _is_risky(one)))
    if not planned:
        return None
    progress.stage("fetching")
    destination.prepare(0)
    _sweep(progress.run, destination)
    taken = set(session.plan.believed | session.knowledge.taken) - {one.row.id for one in doubted if one.row}
    comparison = Comparison(session.filing, progress, taken, list(session.knowledge.passed))
    intake = Intake(session.filing, destination, progress, comparison)
    intake.lived = session.terms.lived if session.terms.keepdays is not None else None
    intake.flags = session.rule.flags
    remaining = settled_by_head(session.mailbox, planned, comparison)
    session.settled = len(planned) - len(remaining) - comparison.postponed
    fetched = progress.fetched
    try:
        for some in _last_apart(remaining, source):
            portion = _portion(session, some, intake)
            intake.take(session.mailbox.retrieve(portion), some)
    except (errors.DeliveryFailed, errors.RunOvertaken):
        raise
    except errors.FetchError as error:
        if intake.limit is None:
            _blame(session, intake, error)
            raise
        _heed_limit(session, intake, others_came=progress.fetched > fetched)
        raise session.limit or error from error
    _heed_limit(session, intake, others_came=progress.fetched > fetched)
    session.mailbox.mark_seen(intake.to_mark)
    progress.stage("delivered")
    return intake


def _last_apart(planned: Sequence[ToFetch], source: SourceMailbox) -> list[Sequence[ToFetch]]:
    """Split off the letter at which the server stopped last: it is asked for in a command of its own, after the others."""
    if len(planned) > 1 and source.ask_last and planned[-1].name == source.ask_last:
        return [planned[:-1], planned[-1:]]
    return [planned]


def _to_compare(doubted: ToDelete, terms: Terms) -> ToFetch:
    row = doubted.row
    order = row.ord + 1 if row else 0
    return ToFetch(doubted.letter, not terms.leaves, True, order, row, delete_known=True, head=doubted.head)


def _blame(session: Session, intake: Intake, error: errors.FetchError) -> None:
    """Hold the letter over which the session broke: the first that has no answer."""
    suspect = next((one for one in session.asked if one.letter.number not in intake.answered), None)
    if suspect is not None:
        session.blamed = _is_risky(suspect)
        intake.hold(suspect, error)


def _heed_limit(session: Session, intake: Intake, *, others_came: bool) -> None:
    """Note the letter at which the server stopped (OverLimit). It is held only if the others came and it stopped there twice."""
    source, stopped_at = session.source, intake.limited_by
    if stopped_at is None or intake.limit is None:
        if not source.ask_last or source.ask_last in {one.name for one in session.asked}:
            hosts.ask_last(source, "")
        return
    others_came |= len(session.asked) == 1 and session.rule.last_fetched > 0
    known = stopped_at.row is not None and stopped_at.row.reason == errors.OverLimit.code
    if known or (others_came and stopped_at.name == source.ask_last):
        intake.hold(stopped_at, intake.limit)
        hosts.ask_last(source, "")
        return
    hosts.ask_last(source, stopped_at.name)
    session.limit = intake.limit


def _sweep(run: Run, destination: Destination) -> None:
    """Remove files that crashes left in staging.

    An unrecorded file of another poll may look old if the clock was set, so the order matters: list the files, look for running
    polls of this mailbox, then read the rows. A later poll has no file in the list, and the letters of an ended one are recorded.
    """
    leftovers = destination.mailbox.staging.leftovers()
    if leftovers and mailbox_key(run.recipient) not in map(mailbox_key, runs.others_deliver_to(run)):
        in_hand = set(ledger.all_unfinished().values_list("file_name", flat=True))
        destination.mailbox.staging.remove([name for name in leftovers if name not in in_hand])


def _portion(session: Session, planned: Sequence[ToFetch], intake: Intake) -> Iterator[Listed]:
    """Yield the letters to ask for until the session reaches a limit or the poll has to stop."""
    for wanted in planned:
        if intake.limit is not None:
            return
        if _ends_before(wanted, session, intake):
            session.cut_short = True
            return
        if session.rule.fetchlimit is not None and not wanted.named:
            intake.catch_up()
        if session.reached_fetchlimit:
            session.progress.left[Why.FETCHLIMIT] += 1
            continue
        if not _fits(wanted, intake):
            continue
        session.asked.append(wanted)
        session.progress.wanted += 1
        yield wanted.letter


def _fits(wanted: ToFetch, intake: Intake) -> bool:
    """Whether there is room for the letter; else it is held. Small letters fit into the reserve."""
    if wanted.letter.size <= intake.progress.limits.batch_octets:
        return True
    try:
        intake.destination.prepare(wanted.letter.size)
    except errors.DiskFull as error:
        intake.progress.wanted += 1
        intake.hold(wanted, error)
        return False
    return True


def _ends_before(wanted: ToFetch, session: Session, intake: Intake) -> bool:
    """Whether to end the session, and commit its deletions, before asking for this letter."""
    asked, limits = session.asked, session.progress.limits
    if len(asked) % limits.batch_letters == 0 and (time.monotonic() > session.until or not intake.may_go_on()):
        return True
    if len(asked) - intake.comparison.spared >= limits.checkpoint_letters and wanted.delete_after:
        return True
    if not _is_risky(wanted):
        return False
    # It broke a session before: no deletion may depend on the session in which it is asked for again.
    return bool(session.plan.delete) or any(one.delete_after and not _is_risky(one) for one in asked)


def _is_risky(wanted: ToFetch) -> bool:
    row = wanted.row
    return row is not None and row.tries > 0 and row.reason in _BREAKS
