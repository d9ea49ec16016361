"""A poll from its claim to its place in the journal."""

import logging
import math
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from fetchrules import errors
from fetchrules.ledger import hosts, leases, runs
from fetchrules.ledger.idle import Idle, is_idle
from fetchrules.ledger.settled import Settled
from fetchrules.ledger.source_mailboxes import sources_of
from fetchrules.models import FetchRule, Run, SourceMailbox
from fetchrules.policy.planning import Plan
from fetchrules.poll.collecting import collect
from fetchrules.poll.desk import AT_ONCE, Desk
from fetchrules.poll.destinations import look_at
from fetchrules.poll.keeping import KEEPER
from fetchrules.poll.looking import look, look_only
from fetchrules.poll.outlasting import DATABASE_AWAY, outlast
from fetchrules.poll.progress import Limits, Progress, StopAsked
from fetchrules.poll.recovery import recover
from fetchrules.remote.imap.shared import SharedConnection
from fetchrules.remote.memory import SERVERS, ServerMemory
from fetchrules.remote.stopping import STOPPING
from fetchrules.rule import MASK
from fetchrules.schedule import SOONEST, Failing, NextPoll, next_poll
from fetchrules.status import CHECKED_LOCALLY

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a poll; `error` None means that it succeeded. `host`: the server that was polled. `handed_over`: the desk has
    it, and puts it on record later."""

    counts: runs.Counts
    seconds: float
    error: errors.FetchError | None = None
    host: str = ""
    handed_over: bool = False


def poll(
    run_id: int,
    patience: float = math.inf,
    limits: Limits | None = None,
    memory: ServerMemory = SERVERS,
    desk: Desk = AT_ONCE,
) -> Result | None:
    """Do the poll that was claimed as `run_id`; None if another process did it, the claim is lost, or this process ends.

    Begins it, and ends it if it was idle, at the `desk`. Waits at most `patience` seconds for a database that is away. If the poll
    cannot be begun or recorded, the claim is released, the rule is put off a little (it would log in at every tick), and the error
    is raised.
    """
    try:
        if not STOPPING.is_set():
            return _begun(run_id, patience, limits or Limits(), memory, desk)
    except Exception:
        outlast(lambda: _release(run_id, wait=SOONEST), patience)
        raise
    outlast(lambda: _release(run_id), patience)
    return None


def _begun(run_id: int, patience: float, limits: Limits, memory: ServerMemory, desk: Desk) -> Result | None:
    run = desk.begin(run_id)
    if run is None:
        return None
    with KEEPER.keep(run_id) as disturbed:
        progress = Progress(run, disturbed, limits, memory)
        with closing(progress.shared):
            error = _attempt(run, progress)
        ending = progress.ending(error)
        now, interval = timezone.now(), progress.interval
        if not outlast(lambda: _end(run, ending, now, interval, desk), patience):
            error = error or errors.RunOvertaken("the run was abandoned")
    if error is not None:
        log.warning("poll of %s failed: %s", run.source, error)
    seconds = (now - (run.started_at or now)).total_seconds()
    return Result(ending.counts, seconds, error, run.source.host, handed_over=is_idle(run, ending))


def _release(run_id: int, wait: timedelta = timedelta(0)) -> bool:
    now = timezone.now()
    return leases.release(run_id, now, now + wait)


def _end(run: Run, ending: runs.Ending, now: datetime, interval: timedelta, desk: Desk) -> bool:
    """False if the run was no longer ours; one that is handed over counts as ours."""
    if isinstance(ending.error, errors.Interrupted):
        return runs.break_off(run, ending, now)
    after = _next(run, interval, ending.error, now)
    if is_idle(run, ending):
        desk.close(Idle(run, ending, after, now))
        return True
    return runs.close(run, ending, after, now)


def dry_run(rule: FetchRule) -> list[Plan]:
    """What a poll of `rule` would do now, a plan for each folder. Changes nothing. Raises FetchError."""
    with closing(SharedConnection()) as shared:
        return [
            look_only(rule, source, Progress(Run(rule=rule, source=source), shared=shared))
            for source in sources_of(rule.as_rule(MASK), rule.source.recipient)
        ]


def _attempt(run: Run, progress: Progress) -> errors.FetchError | None:
    """Poll all folders. Returns every failure as an error that says what happens next."""
    if run.rule is None:
        return errors.RunOvertaken("the rule was deleted")
    failed: errors.FetchError | None = None
    try:
        for source in sources_of(run.rule.as_rule(MASK), run.source.recipient, have=run.source):
            failed = (recover(source) if not source.settled else None) or failed
            if progress.stages:  # between two folders
                progress.heed()
            wrong = _collect_folder(run.rule, source, progress)
            if not isinstance(failed, errors.MaildirReplaced):  # which somebody has to see, to say what is right
                failed = wrong or failed
    except StopAsked:
        return failed
    except errors.FetchError as error:
        return error
    except DATABASE_AWAY as error:
        log.warning("poll of %s: the database failed: %s", run.source, error)
        return errors.DatabaseFailed(_name_of(error.__cause__ or error))
    except Exception as error:
        log.exception("poll of %s broke", run.source)
        return errors.InternalError(type(error).__name__)
    if failed is None and progress.wanted and not progress.fetched and not progress.came:
        return errors.NothingCame(progress.trouble)
    return failed


def _collect_folder(rule: FetchRule, source: SourceMailbox, progress: Progress) -> errors.FetchError | None:
    """Returns what is wrong with this folder alone: it, or its local folder, is missing, or the session breaks in it.

    Raises FetchError.
    """
    progress.shared.worked = False
    try:
        _look_at_home(rule, source)
        _collect_all(rule, source, progress)
    except (errors.ServerRefused, errors.MaildirReplaced) as error:
        return error
    except (errors.ConnectionLost, errors.TimedOut, errors.RemoteProtocolError) as error:
        if not progress.shared.worked:
            raise
        return error
    return None


def _name_of(error: BaseException) -> str:
    """The database's name for the error: SQLITE_FULL, ReadOnlySqlTransaction.

    Its text may name hosts and users, and is only logged.
    """
    match error:
        case sqlite3.Error(sqlite_errorname=str(name)):
            return name
        case _:
            return type(error).__name__


def _look_at_home(rule: FetchRule, source: SourceMailbox) -> None:
    """Raises DeliveryFailed while the local folder is out of order: then the remote server is not asked for this one."""
    if rule.last_error in CHECKED_LOCALLY:
        look_at(rule.recipient, rule.as_rule(MASK).local_folder(source.folder))


def _collect_all(rule: FetchRule, source: SourceMailbox, progress: Progress) -> None:
    """Collect in as many sessions as it takes."""
    counted: set[str] = set()
    epoch, more = source.epoch, True
    saw: Settled | None = None
    while more:
        session = look(rule, source, progress)
        if isinstance(session, Settled):
            progress.unchanged(session)
            return
        saw = session.saw
        epoch = session.listing.epoch or epoch
        progress.listed(session.plan, session.listing.unlisted, counted)
        try:
            more = collect(session)
        except (errors.ConnectionLost, errors.TimedOut, errors.RemoteProtocolError):
            if not session.blamed:
                raise
            return  # the letter is held with its reason; nothing else depended on this session
        except errors.DeletionFailed:
            return  # likewise
    if saw is not None:
        progress.seen.append((source, saw))
    hosts.note_epoch(source, epoch)
    if progress.shifted:
        hosts.count_shifted(source.host, progress.shifted, timezone.now())
        progress.shifted = 0


def _next(run: Run, interval: timedelta, error: errors.FetchError | None, now: datetime) -> NextPoll:
    rule = run.rule
    failed = runs.failing(rule, error, now) if rule and error else Failing()
    dice = random.uniform(-1, 1)  # noqa: S311 -- spreads the load, guards nothing
    return next_poll(now, interval, error, failed, dice)
