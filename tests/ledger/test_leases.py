"""The runs of the dead: whose worker is silent, or was started again; and those that live."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fetchrules.ledger import leases, runs
from fetchrules.ledger.runs import Counts, Ending
from fetchrules.ledger.turns import choose
from fetchrules.ledger.workers import SILENT_AFTER, this_process
from fetchrules.models import FetchRule, Heartbeat, HourlyStat, Run
from fetchrules.schedule import NextReason
from fetchrules.upkeep import heartbeat
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()
SECOND = timedelta(seconds=1)


@pytest.fixture
def rules(make_rule: MakeRule) -> list[FetchRule]:
    """As many of one server as may be polled at a time, and one more."""
    return [make_rule(next_poll_at=NOW) for _ in range(11)]


def polled_by(worker: str) -> list[int]:
    """Begin what is due as that worker; the runs."""
    ids = runs.claim_due(NOW)
    for run_id in ids:
        runs.start(run_id, NOW)
    Run.objects.filter(id__in=ids).update(worker=worker)
    return ids


def hear_of(worker: str, *, seen: timedelta = timedelta(0), began: timedelta = -timedelta(hours=1)) -> None:
    Heartbeat.objects.create(part="worker", host=worker, seen_at=NOW - seen, started_at=NOW + began, slots=64)


def test_it_knows_who_does_a_poll(rules: list[FetchRule]) -> None:
    run = runs.start(runs.claim_due(NOW)[0], NOW)
    assert run is not None
    run.refresh_from_db()
    assert run.worker == this_process()


@pytest.mark.parametrize(
    ("seen", "began"),
    [(SILENT_AFTER + SECOND, -timedelta(hours=1)), (timedelta(0), SECOND)],
    ids=["it is silent", "another one has its name"],
)
def test_it_abandons_the_runs_of_a_dead_worker_within_a_tick(
    rules: list[FetchRule], seen: timedelta, began: timedelta
) -> None:
    hear_of("dead:1", seen=seen, began=began)
    hear_of("alive:1")
    dead = polled_by("dead:1")
    assert len(dead) == 10
    assert runs.claim_due(NOW) == []
    leases.abandon_overdue(NOW)
    assert set(Run.objects.values_list("state", flat=True)) == {Run.State.ABANDONED}
    assert len(runs.claim_due(NOW)) == 10
    assert FetchRule.objects.filter(next_poll_at=None, next_reason=NextReason.OVERTAKEN).count() == 10


@pytest.mark.parametrize("worker", ["alive:1", "command:7", ""])
def test_it_spares_the_runs_of_whoever_is_not_known_to_be_dead(rules: list[FetchRule], worker: str) -> None:
    """A command has no heartbeat: its lease alone counts."""
    hear_of("alive:1", seen=SILENT_AFTER)
    polled_by(worker)
    leases.abandon_overdue(NOW)
    assert Run.objects.filter(state=Run.State.RUNNING).count() == 10
    leases.abandon_overdue(NOW + leases.RUN_LEASE + SECOND)
    assert not Run.objects.filter(state=Run.State.RUNNING).exists()


def test_it_does_not_take_itself_for_silent(rules: list[FetchRule]) -> None:
    """After an outage of the database the first to come back has not beaten yet."""
    hear_of(this_process(), seen=SILENT_AFTER + SECOND)
    polled_by(this_process())
    leases.abandon_overdue(NOW)
    assert Run.objects.filter(state=Run.State.RUNNING).count() == 10


def test_it_renews_what_is_its_own(rules: list[FetchRule]) -> None:
    ours, theirs, abandoned = polled_by(this_process())[:3]
    Run.objects.filter(id=theirs).update(worker="other:1")
    assert leases.abandon(Run.objects.get(id=abandoned), NOW)
    leases.keep([ours, theirs, abandoned], NOW + 30 * SECOND)
    renewed = Run.objects.filter(deadline__gt=NOW + leases.RUN_LEASE)
    assert list(renewed.values_list("id", flat=True)) == [ours]


def test_it_says_which_polls_have_to_check_whether_they_may_go_on(rules: list[FetchRule]) -> None:
    quiet, stopped, abandoned, changed, switched_off, deleted, *_ = ids = polled_by(this_process())
    runs.ask_to_stop(stopped)
    leases.abandon(Run.objects.get(id=abandoned), NOW)
    FetchRule.objects.filter(runs=changed).update(revision=9)
    FetchRule.objects.filter(runs=switched_off).update(enabled=False)
    FetchRule.objects.filter(runs=deleted).delete()
    assert quiet not in leases.disturbed(ids)
    assert leases.disturbed(ids[:6]) == {stopped, abandoned, changed, switched_off, deleted}


def test_it_gives_up_what_it_cannot_begin_or_go_on_with(rules: list[FetchRule]) -> None:
    waiting, begun, theirs = runs.claim_due(NOW)[:3]
    runs.start(begun, NOW)
    runs.start(theirs, NOW)
    Run.objects.filter(id=theirs).update(worker="other:1")
    assert [leases.release(run_id, NOW) for run_id in (waiting, begun, theirs)] == [True, True, False]
    assert Run.objects.get(id=theirs).is_open
    assert FetchRule.objects.filter(next_poll_at=NOW, next_reason=NextReason.OVERTAKEN).count() == 2


def test_it_counts_no_failure_of_a_poll_that_was_interrupted(rules: list[FetchRule]) -> None:
    run = runs.start(runs.claim_due(NOW)[0], NOW)
    assert run is not None
    assert runs.break_off(run, Ending(Counts(found=3, fetched=1)), NOW)
    run.refresh_from_db()
    rule = FetchRule.objects.get(runs=run)
    assert (run.state, run.fetched) == (Run.State.ABANDONED, 1)
    assert (rule.failures, rule.last_error, rule.next_poll_at) == (0, "", NOW)
    hour = HourlyStat.objects.get()
    assert (hour.rule, hour.failed, hour.fetched) == (rule, 0, 1)
    assert not runs.break_off(run, Ending(Counts()), NOW)


def test_it_knows_since_when_a_worker_of_the_same_name_is_another() -> None:
    Heartbeat.objects.create(part="worker", host=this_process(), started_at=NOW - timedelta(days=1), seen_at=NOW)
    heartbeat.beat("worker", 8)
    began = Heartbeat.objects.get().started_at
    assert began >= NOW
    heartbeat.beat("worker", 8)
    assert abs(Heartbeat.objects.get().started_at - began) < SECOND
    heartbeat.leave("worker")


def queued(*, minutes: float, messages_wait: bool) -> list[int]:
    """Ids of what is enqueued again by a tick so many minutes after the claim."""
    return leases.abandon_overdue(NOW + timedelta(minutes=minutes), lambda: messages_wait)


def test_it_enqueues_again_what_is_not_in_the_queue(rules: list[FetchRule]) -> None:
    waiting = runs.claim_due(NOW)
    assert queued(minutes=1, messages_wait=False) == []
    assert sorted(queued(minutes=1.1, messages_wait=False)) == sorted(waiting)
    assert queued(minutes=2, messages_wait=False) == []
    assert sorted(queued(minutes=2.2, messages_wait=False)) == sorted(waiting)


def test_it_lets_a_queue_be_as_long_as_it_is(rules: list[FetchRule]) -> None:
    """Once in ten minutes it enqueues a run again, whose message may be none of those that wait."""
    (run_id, *_) = waiting = runs.claim_due(NOW)
    Run.objects.exclude(id=run_id).delete()
    again = [minutes for minutes in range(1, 61) if queued(minutes=minutes + 0.1 * minutes, messages_wait=True)]
    assert len(waiting) == 10
    assert len(again) == 6


def test_it_begins_a_run_that_waited_long(rules: list[FetchRule]) -> None:
    (run_id, *_) = runs.claim_due(NOW)
    assert queued(minutes=5, messages_wait=True) == []
    assert runs.start(run_id, NOW + timedelta(minutes=5)) is not None
    assert runs.start(run_id, NOW + timedelta(minutes=5)) is None
    assert run_id not in queued(minutes=5.5, messages_wait=False)


def plans(queries: CaptureQueriesContext) -> list[str]:
    """What SQLite does for the statements that were captured, step by step."""
    steps = []
    for query in queries.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            steps += [detail for *_, detail in cursor.fetchall()]
    return steps


def test_a_tick_reads_nothing_of_the_journal_but_what_is_open() -> None:
    with CaptureQueriesContext(connection) as tick:
        leases.abandon_overdue(NOW)
    steps = [step for step in plans(tick) if "fetchrules_run" in step]
    assert steps
    assert all("open_runs" in step for step in steps)


def test_a_poll_begins_without_a_look_at_all_rules(rules: list[FetchRule]) -> None:
    (run_id, *_) = runs.claim_due(NOW)
    with CaptureQueriesContext(connection) as begin:
        runs.start(run_id, NOW)
    assert [step for step in plans(begin) if "SCAN" in step and "CONSTANT" not in step] == []


def test_a_tick_walks_the_due_rules_in_the_order_of_their_index(rules: list[FetchRule]) -> None:
    with CaptureQueriesContext(connection) as walk:
        assert choose(NOW)
    steps = plans(walk)
    assert any("due_rules" in step for step in steps)
    assert not any("FOR ORDER BY" in step for step in steps)
