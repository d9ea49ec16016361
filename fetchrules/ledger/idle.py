"""Idle polls: they brought nothing, failed in nothing and recorded nothing, and are closed many in one transaction (ADR 32).

If a crash loses such a result, its run is taken for dead within a minute and the poll is repeated, which finds the same.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from fetchrules.ledger.columns import marks, prepared
from fetchrules.ledger.runs import Ending, count
from fetchrules.ledger.settled import note
from fetchrules.models import FetchRule, Run
from fetchrules.models.chunks import chunks
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.schedule import NextPoll


@dataclass(frozen=True, slots=True)
class Idle:
    """The result of an idle poll at the time `at`."""

    run: Run
    ending: Ending
    after: NextPoll
    at: datetime


def is_idle(run: Run, ending: Ending) -> bool:
    """Whether the result leaves nothing behind but the time and the counts."""
    rule, counts, level = run.rule, ending.counts, ending.tls
    if rule is None or ending.error is not None or counts.fetched or counts.deleted or counts.held:
        return False
    levels = list(TlsLevel)
    return level is None or (
        rule.tls_version == ending.tls_version and levels.index(level) <= levels.index(TlsLevel(rule.tls_seen))
    )


def close_all(polls: Sequence[Idle]) -> list[Idle]:
    """Close these polls in one transaction. Returns those that have to be closed by themselves (`runs.close`): their rule was
    changed or somebody is changing it, or the run is no longer ours."""
    with transaction.atomic(), connection.cursor() as cursor:
        ours = {row_id for some in chunks([poll.run.id for poll in polls]) for row_id in _unchanged(some)}
        closed = [poll for poll in polls if poll.run.id in ours]
        silent = [poll.run.id for poll in closed if poll.run.cause == Run.Cause.SCHEDULE]
        gone = {row_id for some in chunks(silent) for row_id in _drop(some)}
        kept = [poll for poll in closed if poll.run.id not in gone]
        if kept:
            cursor.executemany(_FINISH, [_finished(poll) for poll in kept])
        if closed:
            cursor.executemany(_RESULT, [_result(poll, kept=poll.run.id not in gone) for poll in closed])
            count((poll.run, poll.ending, poll.at) for poll in closed)
        for poll in closed:
            note(poll.ending.seen)
    return [poll for poll in polls if poll.run.id not in ours]


_UNCHANGED = """
SELECT run.id FROM fetchrules_run run JOIN fetchrules_fetchrule rule ON rule.id = run.rule_id AND rule.revision = run.revision
WHERE run.id IN ({}) AND run.state = 'running' AND (rule.given_at IS NULL OR rule.given_at <= run.claimed_at)
"""
_LOCKED = "FOR UPDATE OF run, rule SKIP LOCKED"
"""On PostgreSQL. On SQLite the transaction has locked everything."""
_DROP = """
DELETE FROM fetchrules_run WHERE id IN ({}) AND NOT EXISTS (
    SELECT 1 FROM fetchrules_letter letter WHERE letter.run_id = fetchrules_run.id
) RETURNING id
"""
_FINISH = """
UPDATE fetchrules_run SET state = 'done', finished_at = %s, found = %s, skipped = %s, octets = %s, "left" = %s, stages = %s,
    transcript = %s
WHERE id = %s
"""
_RESULT = """
UPDATE fetchrules_fetchrule SET last_polled_at = %s, last_success_at = %s, last_error = '', last_detail = '', last_run_id = %s,
    last_found = %s, last_fetched = 0, last_deleted = 0, last_skipped = %s, last_octets = %s, last_left = %s,
    failures = 0, failing_since = NULL, counted_since = NULL,
    pause = CASE WHEN pause = 'failure' THEN '' ELSE pause END,
    next_reason = CASE WHEN next_poll_at IS NULL THEN %s ELSE next_reason END, next_poll_at = COALESCE(next_poll_at, %s)
WHERE id = %s
"""


def _unchanged(ids: Sequence[int]) -> list[int]:
    """Those of these runs that are ours, and whose rule is as it was at their start."""
    return _ids(_UNCHANGED + (_LOCKED if connection.vendor == "postgresql" else ""), ids)


def _drop(ids: Sequence[int]) -> list[int]:
    """Remove these runs from the journal, but those to which letters belong. Returns the ids of the removed ones."""
    return _ids(_DROP, ids)


def _ids(statement: str, ids: Sequence[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(marks(ids)), ids)  # nothing but the number of marks is put in
        return [row_id for (row_id,) in cursor.fetchall()]


def _finished(poll: Idle) -> list[Any]:
    counts, ending = asdict(poll.ending.counts), poll.ending
    shown = {name: counts[name] for name in ("found", "skipped", "octets", "left")}
    stages = [list(stage) for stage in ending.stages]
    return prepared(Run, finished_at=poll.at, **shown, stages=stages, transcript=ending.transcript, id=poll.run.id)


def _result(poll: Idle, *, kept: bool) -> list[Any]:
    counts, after = poll.ending.counts, poll.after
    return prepared(
        FetchRule,
        last_polled_at=poll.at,
        last_success_at=poll.at,
        last_run=poll.run.id if kept else None,
        last_found=counts.found,
        last_skipped=counts.skipped,
        last_octets=counts.octets,
        last_left=counts.left,
        next_reason=after.reason.value,
        next_poll_at=after.at,
        id=poll.run.rule_id,
    )
