"""Runs: claimed, started, renewed and closed. Every change of state is an insert or a compare-and-swap.

Module `leases` abandons those that no process works on.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, Count, F, Min, QuerySet, Value, When
from django.db.models.functions import Coalesce

from fetchrules.errors import FetchError, Retry, RunOvertaken
from fetchrules.ledger import workers
from fetchrules.ledger.columns import Row, marks, names, prepared
from fetchrules.ledger.leases import QUEUE_LEASE, RUN_LEASE, abandon, make_due_again
from fetchrules.ledger.settled import Settled, note
from fetchrules.ledger.statements import insert_from
from fetchrules.ledger.turns import choose, due
from fetchrules.models import FetchRule, HourlyStat, Pause, Run, ServiceSettings, SourceMailbox
from fetchrules.models.chunks import chunks, remove
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.schedule import Failing, NextPoll, NextReason


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of letters of a poll, as in the columns of Run; `octets` as received; `left`: by reason (`Why`) and by `Remark`."""

    found: int = 0
    fetched: int = 0
    deleted: int = 0
    skipped: int = 0
    held: int = 0
    octets: int = 0
    left: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a poll ended. `stages` are (name, seconds since the start); `tls` what the connection had, None if there was none;
    `seen` what it saw in mailboxes that it leaves settled."""

    counts: Counts
    error: FetchError | None = None
    stages: tuple[tuple[str, float], ...] = ()
    transcript: str = ""
    tls: TlsLevel | None = None
    tls_version: str = ""
    seen: tuple[tuple[SourceMailbox, Settled], ...] = ()


def claim_due(now: datetime, limit: int = 200) -> list[int]:
    """Claim up to `limit` due rules (`turns`). Returns the ids of the new runs in the order to begin them."""
    FetchRule.objects.filter(pause=Pause.BY_HAND, paused_until__lte=now).update(pause=Pause.NONE, paused_until=None)
    return _claim(due(now), choose(now, limit), now)


def claim_next(hosts: Collection[str], now: datetime) -> list[int]:
    """Claim the rules that have been due longest at these servers, where polls have just ended, as many as they have room for.

    Otherwise a server that answers quickly would get no more polls in a tick than it may have open at a time.
    """
    return _claim(due(now), choose(now, hosts=hosts), now)


def claim(rules: Iterable[FetchRule], now: datetime, cause: Run.Cause | None = None) -> list[int]:
    """Claim these rules whether they are due or not, whatever their servers have open. Returns the ids of the new runs.

    Rules whose mailbox is being polled, or whose owner is gone, are left out. `cause` None: the reason of each rule's next poll.
    """
    return _claim(FetchRule.objects.exclude(FetchRule.OWNER_GONE), [rule.id for rule in rules], now, cause)


def owner_is_gone(rule: FetchRule) -> bool:
    """Whether the rule is not polled until somebody takes it over."""
    return FetchRule.objects.filter(FetchRule.OWNER_GONE, id=rule.id).exists()


def waiting(rules: Collection[FetchRule]) -> dict[int, list[int]]:
    """The runs of these rules that were claimed and not begun, by the rule's id."""
    found: dict[int, list[int]] = {}
    for ids in chunks([rule.id for rule in rules]):
        queued = Run.objects.filter(rule__in=ids, state=Run.State.QUEUED).order_by()
        for rule_id, run_id in queued.values_list("rule_id", "id"):
            found.setdefault(rule_id, []).append(run_id)
    return found


def start(run_id: int, now: datetime) -> Run | None:
    """Begin one claimed run (`start_all`)."""
    return start_all([run_id], now).get(run_id)


def start_all(ids: Collection[int], now: datetime) -> dict[int, Run]:
    """Begin claimed runs together, by id, without those that were begun, abandoned or deleted before: a queue may deliver a
    message twice. Their rules, owners, sources and the usual interval (`usual_interval`, minutes) are read along.

    Changes of a rule since the claim hold for its run, unless the rule reads another mailbox now, which was not claimed.
    """
    with transaction.atomic():
        runs: dict[int, Run] = {}
        for some in chunks(sorted(ids)):
            runs.update((run.id, run) for run in _read(_begin(some, now)))
        missed = set(ids) - runs.keys()
        for run in Run.objects.filter(id__in=missed, state=Run.State.QUEUED) if missed else ():
            abandon(run, now)  # its owner is gone since the claim
    return runs


def usual_interval(run: Run) -> int:
    """The interval of rules without one of their own, in minutes, as it was at the start of the run."""
    usual: int | None = getattr(run, "usual_interval", None)
    return usual or ServiceSettings.current().interval


def _begin(ids: Sequence[int], now: datetime) -> list[int]:
    values = prepared(Run, started_at=now, deadline=now + RUN_LEASE, worker=workers.this_process())
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN.format(marks(ids)), [*values, *ids])  # nothing but the number of marks is put in
        return [row_id for (row_id,) in cursor.fetchall()]


def _read(ids: Sequence[int]) -> Iterator[Run]:
    """These runs, with their rules, sources and the usual interval."""
    if not ids:
        return
    columns = ", ".join((names(Run, "run"), names(SourceMailbox, "source"), names(FetchRule, "rule")))
    with connection.cursor() as cursor:
        cursor.execute(_READ.format(columns, marks(ids)), ids)
        rows = [Row(values) for values in cursor.fetchall()]
    for row in rows:
        run, source, rule = row.take(Run), row.take(SourceMailbox), row.take(FetchRule)
        assert run is not None
        assert source is not None
        run.source, run.rule, run.usual_interval = source, rule, row.value()  # type: ignore[attr-defined]
        if rule is not None and rule.source_id == source.pk:
            rule.source = source
            _as_it_is_now(run, rule)
        yield run


_READ = """
SELECT {}, (SELECT "interval" FROM fetchrules_servicesettings WHERE id = 1)
FROM fetchrules_run run JOIN fetchrules_sourcemailbox source ON source.id = run.source_id
LEFT JOIN fetchrules_fetchrule rule ON rule.id = run.rule_id
WHERE run.id IN ({})
"""
_BEGIN = """
UPDATE fetchrules_run SET state = 'running', started_at = %s, deadline = %s, worker = %s
WHERE id IN ({}) AND state = 'queued' AND NOT EXISTS (
    SELECT 1 FROM fetchrules_fetchrule rule LEFT JOIN auth_user owner ON owner.id = rule.owner_id
    WHERE rule.id = fetchrules_run.rule_id AND rule.owned AND (owner.id IS NULL OR NOT owner.is_active)
) RETURNING id
"""


def _as_it_is_now(run: Run, rule: FetchRule) -> None:
    if (run.revision, run.recipient) != (rule.revision, rule.recipient):
        run.revision, run.recipient = rule.revision, rule.recipient
        Run.objects.filter(id=run.id).update(revision=run.revision, recipient=run.recipient)


def renew(run: Run, now: datetime, counts: Counts | None = None) -> None:
    """Renew the claim, and record the counts. Raises RunOvertaken if it is no longer ours."""
    progress = {} if counts is None else asdict(counts)
    alive = Run.objects.filter(id=run.id, state=Run.State.RUNNING)
    if not alive.update(deadline=now + RUN_LEASE, **progress):
        raise RunOvertaken("the run was abandoned")


def require_claim(run: Run, now: datetime) -> None:
    """Renew the claim inside a transaction. Raises RunOvertaken if it is no longer ours, or the rule was changed."""
    renew(run, now)
    if not FetchRule.objects.filter(runs=run, revision=run.revision).exists():
        raise RunOvertaken("the rule was changed or deleted meanwhile")


def require_run(run: Run) -> None:
    """Lock the run until the transaction ends, without renewing the claim. Raises RunOvertaken if it is no longer ours."""
    ours = Run.objects.select_for_update().filter(id=run.id, state=Run.State.RUNNING)
    if not ours.values_list("id", flat=True):
        raise RunOvertaken("the run was abandoned")


def others_deliver_to(run: Run) -> list[str]:
    others = Run.objects.filter(finished_at__isnull=True).exclude(id=run.id)
    return list(others.values_list("recipient", flat=True).distinct())


def announce(run: Run, found: int, to_fetch: int, octets: int) -> None:
    """Note what the run is going to do, for the progress bar. A server may list sizes beyond any number."""
    Run.objects.filter(id=run.id).update(found=found, to_fetch=to_fetch, octets_to_fetch=min(octets, 2**63 - 1))


def may_go_on(run: Run) -> bool:
    """False if somebody asked it to stop, or switched the rule off. Raises RunOvertaken as `require_claim` does."""
    alive = Run.objects.filter(id=run.id, state=Run.State.RUNNING, rule__revision=run.revision)
    now = alive.values_list("stop_asked", "rule__enabled").first()
    if now is None:
        raise RunOvertaken("the rule was changed or deleted, or the run was abandoned")
    return now == (False, True)


def close(run: Run, ending: Ending, after: NextPoll, now: datetime) -> bool:
    """End the run and put its result into the journal, the rule and the counters; False when it was no longer ours."""
    with transaction.atomic():
        if not _finish(run, Run.State.FAILED if ending.error else Run.State.DONE, ending, now):
            return False
        if run.rule_id is not None and _note_result(run, run.rule_id, ending, after, now):
            count([(run, ending, now)])
        note(ending.seen)
        if _is_idle(run, ending):
            Run.objects.filter(id=run.id).delete()
    return True


def break_off(run: Run, ending: Ending, now: datetime) -> bool:
    """End a run whose process is ending: its rule is due at once, and nothing failed; False when it was no longer ours."""
    with transaction.atomic():
        ours = _finish(run, Run.State.ABANDONED, ending, now)
        if ours:
            make_due_again(run, now)
            if run.rule_id is not None and FetchRule.objects.filter(id=run.rule_id).exists():
                count([(run, replace(ending, error=None), now)])
    return ours


def failing(rule: FetchRule, error: FetchError, now: datetime) -> Failing:
    """How long `rule` has been failing like this, when a poll has just ended with `error` and is not in the journal yet."""
    if not rule.failures or rule.counted_since is None:
        return Failing()
    failed = Run.objects.filter(rule=rule, finished_at__gte=rule.counted_since, error=error.code)
    before = failed.aggregate(number=Count("id"), first=Min("finished_at"))
    lasting = now - before["first"] if before["first"] else timedelta(0)
    return Failing(rule.failures + 1, before["number"] + 1, lasting)


def purge(before: datetime) -> int:
    """Remove finished runs older than `before`, a portion at a time (`remove`); returns how many."""
    return remove(Run.objects.filter(finished_at__isnull=False, claimed_at__lt=before))


def ask_for_poll(rules: QuerySet[FetchRule], now: datetime) -> list[FetchRule]:
    """Make `rules` due now and end their pauses. Returns them, without those that are off or whose owner is gone."""
    asked = list(rules.filter(enabled=True).exclude(FetchRule.OWNER_GONE))
    FetchRule.objects.filter(id__in=[rule.id for rule in asked], enabled=True).update(
        next_poll_at=now, next_reason=NextReason.BY_HAND, pause=Pause.NONE, paused_until=None, failures=0
    )
    return asked


def pause(rules: QuerySet[FetchRule], until: datetime | None) -> list[FetchRule]:
    """Pause `rules` until then, or until they are resumed. Returns those that were not paused so before."""
    paused = list(rules.exclude(pause=Pause.BY_HAND, paused_until=until))
    FetchRule.objects.filter(id__in=[rule.id for rule in paused]).update(pause=Pause.BY_HAND, paused_until=until)
    return paused


def resume(rules: QuerySet[FetchRule], now: datetime) -> list[FetchRule]:
    """Make paused `rules` due. Returns those that can be polled."""
    return ask_for_poll(rules.exclude(pause=Pause.NONE), now)


def ask_to_stop(run_id: int) -> bool:
    """Ask a poll to end within seconds; complete letters are kept."""
    return bool(Run.objects.filter(id=run_id, finished_at__isnull=True).update(stop_asked=True))


def _claim(rules: QuerySet[FetchRule], ids: Sequence[int], now: datetime, cause: Run.Cause | None = None) -> list[int]:
    """Claim those of `rules` that have these ids. Returns the ids of the new runs, in the order of their rules' `ids`."""
    claimed: dict[int, int] = {}
    for chunk in chunks(ids):
        try:
            claimed |= _insert(rules.filter(id__in=chunk), now, cause)
        except IntegrityError:  # PostgreSQL: a rule was deleted within these milliseconds
            continue  # all are still due at the next tick
    return [claimed[rule_id] for rule_id in ids if rule_id in claimed]


def _insert(rules: QuerySet[FetchRule], now: datetime, cause: Run.Cause | None) -> dict[int, int]:
    """Insert a run for each of the rules whose mailbox has no open one. Returns the ids of the new runs by their rules'."""
    run = {
        "token": uuid.uuid4(),
        "rule": F("id"),
        "source": F("source"),
        "recipient": F("recipient"),
        "revision": F("revision"),
        "cause": cause or _CAUSE,
        "claimed_at": now,
        "deadline": now + QUEUE_LEASE,
    }
    with transaction.atomic():
        # In the order of the unique column: two dispatches that wait for each other's rows crosswise would be a deadlock.
        claimed = dict(insert_from(rules.order_by("source_id"), Run, run, returning=("rule", "id")))
        FetchRule.objects.filter(id__in=claimed).update(next_poll_at=None)
    return claimed


_CAUSE = Case(
    When(next_reason=NextReason.BY_HAND, then=Value(Run.Cause.BY_HAND)),
    When(next_reason=NextReason.SAVED, then=Value(Run.Cause.SAVED)),
    default=Value(Run.Cause.SCHEDULE),
)
"""Why a rule is polled, by the reason of its next poll."""


def _finish(run: Run, state: Run.State, ending: Ending, now: datetime) -> bool:
    error = ending.error
    ours = Run.objects.filter(id=run.id, state=Run.State.RUNNING).update(
        state=state,
        finished_at=now,
        error=error.code if error else "",
        detail=error.detail if error else "",
        stages=[list(stage) for stage in ending.stages],
        transcript=ending.transcript,
        **asdict(ending.counts),
    )
    return bool(ours)


def _is_idle(run: Run, ending: Ending) -> bool:
    """Whether the journal needs no entry beside the counters."""
    counts, error = ending.counts, ending.error
    # A lasting fault of this machine is no news: entries every two minutes for each rule would fill a full disk.
    ours = error is not None and error.retry is Retry.OURS
    news = error is not None and not (ours and run.rule is not None and run.rule.last_error == error.code)
    return run.cause == Run.Cause.SCHEDULE and not (
        news or counts.fetched or counts.deleted or counts.held or run.letters.exists()
    )


_LAST_COUNTS = ("found", "fetched", "deleted", "skipped", "octets", "left")


def _note_result(run: Run, rule_id: int, ending: Ending, after: NextPoll, now: datetime) -> bool:
    """False if the rule was deleted meanwhile. An owner who was given it since the claim does not see this poll's result."""
    error, rule = ending.error, FetchRule.objects.filter(id=rule_id)
    shown: dict[str, object] = {
        "last_polled_at": now,
        "last_error": error.code if error else "",
        "last_detail": error.detail if error else "",
        **{f"last_{name}": getattr(ending.counts, name) for name in _LAST_COUNTS},
    }
    result: dict[str, object] = {
        "failures": F("failures") + 1,
        "failing_since": Coalesce("failing_since", Value(now)),
        "counted_since": Case(When(failures=0, then=Value(now)), default=Coalesce("counted_since", Value(now))),
    }
    if not _is_idle(run, ending):
        shown["last_run"] = run
    elif error is None:
        shown["last_run"] = None
    if error is None or error.retry is Retry.AS_USUAL:  # the mailbox was read, whatever became of its letters
        ended = Case(When(pause=Pause.FAILURE, then=Value(Pause.NONE)), default=F("pause"))
        result |= {"failures": 0, "failing_since": None, "counted_since": None, "last_success_at": now, "pause": ended}
    same_owner = rule.exclude(given_at__gt=run.claimed_at)
    if not (same_owner.update(**shown, **result) or rule.update(**result)):
        return False
    if ending.tls is not None:
        raised = [level.value for level in TlsLevel][: list(TlsLevel).index(ending.tls)]
        same_rule = rule.filter(revision=run.revision)
        same_rule.update(tls_version=ending.tls_version)
        same_rule.filter(tls_seen__in=raised).update(tls_seen=ending.tls)
    # Null means that nobody asked for a poll since the claim: a rule saved meanwhile stays due at once.
    waiting = rule.filter(next_poll_at__isnull=True)
    if after.at is None:
        waiting.update(pause=Pause.FAILURE)
    else:
        waiting.update(next_poll_at=after.at, next_reason=after.reason.value)
    return True


def count(polls: Iterable[tuple[Run, Ending, datetime]]) -> None:
    """Count polls that ended then in the hours of their rules, which exist."""
    with connection.cursor() as cursor:
        cursor.executemany(_COUNT, [_counters(*poll) for poll in polls])


def _counters(run: Run, ending: Ending, now: datetime) -> list[Any]:
    return prepared(
        HourlyStat,
        rule=run.rule_id,
        hour=now.replace(minute=0, second=0, microsecond=0),
        runs=1,
        failed=int(ending.error is not None),
        idle=int(ending.error is None and not ending.counts.fetched),
        fetched=ending.counts.fetched,
        deleted=ending.counts.deleted,
        octets=ending.counts.octets,
        milliseconds=int((now - (run.started_at or run.claimed_at)).total_seconds() * 1000),
    )


_COUNT = """
INSERT INTO fetchrules_hourlystat (rule_id, hour, runs, failed, idle, fetched, deleted, octets, milliseconds)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (rule_id, hour) DO UPDATE SET
    runs = fetchrules_hourlystat.runs + excluded.runs, failed = fetchrules_hourlystat.failed + excluded.failed,
    idle = fetchrules_hourlystat.idle + excluded.idle, fetched = fetchrules_hourlystat.fetched + excluded.fetched,
    deleted = fetchrules_hourlystat.deleted + excluded.deleted, octets = fetchrules_hourlystat.octets + excluded.octets,
    milliseconds = fetchrules_hourlystat.milliseconds + excluded.milliseconds
"""
