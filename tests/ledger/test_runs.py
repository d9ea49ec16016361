"""Claims, leases and endings of runs."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from fetchrules.errors import ConnectFailed, FetchError, LoginDelay, LoginRefused, NothingCame, RunOvertaken
from fetchrules.ledger import leases, runs
from fetchrules.ledger.runs import Counts, Ending
from fetchrules.ledger.turns import mend_schedule
from fetchrules.models import FetchRule, HourlyStat, Pause, Run, ServiceSettings
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.schedule import NextPoll, NextReason

pytestmark = pytest.mark.django_db

MakeRule = Callable[..., FetchRule]
NOW = timezone.now()
LATER = NextPoll(NOW + timedelta(minutes=10), NextReason.INTERVAL)


@pytest.fixture
def rule(make_rule: MakeRule) -> FetchRule:
    return make_rule(next_poll_at=NOW)


def begun(rule: FetchRule, cause: Run.Cause = Run.Cause.SCHEDULE) -> Run:
    (run_id,) = runs.claim([rule], NOW, cause)
    run = runs.start(run_id, NOW)
    assert run is not None
    return run


def test_it_claims_what_is_due_once(rule: FetchRule) -> None:
    assert len(runs.claim_due(NOW)) == 1
    assert runs.claim_due(NOW) == []


def test_it_leaves_what_is_not_due(make_rule: MakeRule) -> None:
    make_rule(next_poll_at=NOW + timedelta(seconds=1))
    make_rule(next_poll_at=NOW, enabled=False)
    make_rule(next_poll_at=NOW, pause=Pause.FAILURE)
    assert runs.claim_due(NOW) == []


def test_it_claims_one_rule_of_two_that_read_the_same_mailbox(make_rule: MakeRule) -> None:
    for _ in range(2):
        make_rule(user="petrov", keep=True, next_poll_at=NOW)
    assert len(runs.claim_due(NOW)) == 1


def test_it_claims_the_others_where_a_rule_was_deleted_since_it_was_chosen(make_rule: MakeRule) -> None:
    gone, there = make_rule(), make_rule()
    FetchRule.objects.filter(pk=gone.pk).delete()
    (run_id,) = runs.claim([gone, there], NOW, Run.Cause.SCHEDULE)
    assert Run.objects.get().pk == run_id
    assert Run.objects.get().rule_id == there.pk


def test_it_lets_no_server_hold_up_the_others(make_rule: MakeRule) -> None:
    settings = ServiceSettings.current()
    settings.per_host = 2
    settings.save()
    for _ in range(8):
        make_rule(server="slow.example.org", next_poll_at=NOW - timedelta(hours=1))
    quick = make_rule(server="quick.example.org", next_poll_at=NOW)
    claimed = Run.objects.filter(id__in=runs.claim_due(NOW, limit=3))
    assert sorted(claimed.values_list("source__host", flat=True)) == ["quick.example.org", *["slow.example.org"] * 2]
    assert quick.id in claimed.values_list("rule_id", flat=True)


def test_it_polls_only_what_was_asked_for_by_hand_while_the_service_is_stopped(make_rule: MakeRule) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(running=False)
    make_rule(next_poll_at=NOW)
    asked = make_rule(next_poll_at=NOW)
    runs.ask_for_poll(FetchRule.objects.filter(pk=asked.pk), NOW)
    assert [run.rule_id for run in Run.objects.filter(id__in=runs.claim_due(NOW))] == [asked.id]


def test_it_begins_a_run_once_however_often_the_queue_delivers_it(rule: FetchRule) -> None:
    (run_id,) = runs.claim_due(NOW)
    assert runs.start(run_id, NOW) is not None
    assert runs.start(run_id, NOW) is None


def test_it_refuses_to_go_on_with_a_run_that_was_abandoned(rule: FetchRule) -> None:
    run = begun(rule)
    leases.abandon_overdue(NOW + leases.RUN_LEASE + timedelta(seconds=1))
    with pytest.raises(RunOvertaken):
        runs.renew(run, NOW)
    assert not runs.close(run, Ending(Counts()), LATER, NOW)


def test_it_makes_the_rule_of_an_abandoned_run_due_at_once(rule: FetchRule) -> None:
    begun(rule)
    late = NOW + leases.RUN_LEASE + timedelta(seconds=1)
    leases.abandon_overdue(late)
    assert len(runs.claim_due(late)) == 1


def test_it_spares_a_run_that_was_renewed(rule: FetchRule) -> None:
    run = begun(rule)
    late = NOW + leases.RUN_LEASE + timedelta(seconds=1)
    runs.renew(run, late)
    leases.abandon_overdue(late)
    run.refresh_from_db()
    assert run.is_open


def test_it_takes_no_claim_that_was_renewed_since_it_was_looked_at(rule: FetchRule) -> None:
    run = begun(rule)
    runs.renew(Run.objects.get(), NOW + timedelta(minutes=1))
    assert not leases.abandon(run, NOW)
    assert Run.objects.get().is_open
    assert runs.claim_due(NOW) == []


def test_it_names_the_runs_that_nobody_has_begun(rule: FetchRule, make_rule: MakeRule) -> None:
    runs.claim([make_rule()], NOW, Run.Cause.SAVED)
    claimed = runs.claim([rule], NOW, Run.Cause.SAVED)
    assert runs.waiting([rule]) == {rule.id: claimed}
    runs.start(claimed[0], NOW)
    assert runs.waiting([rule]) == {}


def test_it_purges_old_runs_and_none_that_is_open(rule: FetchRule, make_rule: MakeRule) -> None:
    runs.close(begun(rule), Ending(Counts(fetched=1)), LATER, NOW)
    unfinished = begun(make_rule())
    assert runs.purge(NOW) == 0
    assert runs.purge(NOW + timedelta(seconds=1)) == 1
    assert Run.objects.get() == unfinished


def test_it_adds_up_the_runs_of_an_hour(rule: FetchRule) -> None:
    for fetched in (2, 3):
        runs.close(begun(rule), Ending(Counts(fetched=fetched, octets=500)), LATER, NOW)
    hour = HourlyStat.objects.get()
    assert (hour.rule, hour.runs, hour.failed, hour.fetched, hour.octets) == (rule, 2, 0, 5, 1000)


def test_it_enqueues_a_run_again_that_nobody_began(rule: FetchRule) -> None:
    (run_id,) = runs.claim_due(NOW)
    late = NOW + leases.QUEUE_LEASE + timedelta(seconds=1)
    assert leases.abandon_overdue(late) == [run_id]
    assert leases.abandon_overdue(late) == []


def test_it_abandons_everything_for_a_worker_that_is_alone(make_rule: MakeRule) -> None:
    begun(make_rule(next_poll_at=NOW))
    runs.claim([make_rule(next_poll_at=NOW)], NOW, Run.Cause.SCHEDULE)
    assert leases.abandon_all(NOW) == 2
    assert len(runs.claim_due(NOW)) == 2


def test_it_writes_the_result_into_the_rule(rule: FetchRule) -> None:
    run = begun(rule)
    runs.close(run, Ending(Counts(found=3, fetched=2, octets=500), tls=TlsLevel.VERIFIED), LATER, NOW)
    rule.refresh_from_db()
    assert (rule.last_found, rule.last_fetched, rule.last_octets, rule.failures) == (3, 2, 500, 0)
    assert (rule.last_run, rule.last_success_at, rule.next_poll_at) == (run, NOW, LATER.at)


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        (TlsLevel.NONE, TlsLevel.UNVERIFIED, TlsLevel.UNVERIFIED),
        (TlsLevel.NONE, TlsLevel.VERIFIED, TlsLevel.VERIFIED),
        (TlsLevel.VERIFIED, TlsLevel.UNVERIFIED, TlsLevel.VERIFIED),
        (TlsLevel.UNVERIFIED, TlsLevel.NONE, TlsLevel.UNVERIFIED),
    ],
)
def test_it_remembers_the_best_protection_ever_seen(
    make_rule: MakeRule, before: TlsLevel, now: TlsLevel, after: TlsLevel
) -> None:
    rule = make_rule(next_poll_at=NOW, tls_seen=before)
    runs.close(begun(rule), Ending(Counts(), tls=now), LATER, NOW)
    rule.refresh_from_db()
    assert rule.tls_seen == after


def test_it_counts_failures_running_and_says_why(rule: FetchRule) -> None:
    error: FetchError = ConnectFailed("refused")
    runs.close(begun(rule), Ending(Counts(), error), LATER, NOW)
    rule.refresh_from_db()
    assert (rule.failures, rule.last_error, rule.last_detail) == (1, "connect_failed", "refused")
    assert rule.last_success_at is None


def test_it_counts_no_failure_of_the_mailbox_where_letters_alone_failed(rule: FetchRule) -> None:
    FetchRule.objects.update(failures=2, last_success_at=NOW - timedelta(days=1))
    runs.close(begun(rule), Ending(Counts(found=1), NothingCame("1 letter")), LATER, NOW)
    rule.refresh_from_db()
    assert (rule.last_error, rule.last_detail) == ("nothing_came", "1 letter")
    assert (rule.failures, rule.last_success_at) == (0, NOW)
    assert (Run.objects.get().state, HourlyStat.objects.get().failed) == (Run.State.FAILED, 1)


def test_it_pauses_a_rule_that_only_a_human_can_mend(rule: FetchRule) -> None:
    runs.close(begun(rule), Ending(Counts(), LoginRefused()), NextPoll(None, NextReason.BACKOFF), NOW)
    rule.refresh_from_db()
    assert (rule.pause, rule.next_poll_at) == (Pause.FAILURE, None)
    runs.resume(FetchRule.objects.all(), NOW)
    assert len(runs.claim_due(NOW)) == 1


def test_it_keeps_a_poll_that_was_asked_for_during_the_run(rule: FetchRule) -> None:
    run = begun(rule)
    runs.ask_for_poll(FetchRule.objects.all(), NOW)
    runs.close(run, Ending(Counts()), LATER, NOW)
    rule.refresh_from_db()
    assert (rule.next_poll_at, rule.next_reason) == (NOW, NextReason.BY_HAND)


def test_it_leaves_only_counters_of_a_scheduled_run_without_news(rule: FetchRule) -> None:
    for _ in range(2):
        runs.close(begun(rule), Ending(Counts(found=5, skipped=5)), LATER, NOW)
    assert not Run.objects.exists()
    assert HourlyStat.objects.get().runs == 2


def test_it_keeps_a_run_without_news_that_somebody_asked_for(rule: FetchRule) -> None:
    runs.close(begun(rule, Run.Cause.BY_HAND), Ending(Counts()), LATER, NOW)
    assert Run.objects.get().state == Run.State.DONE


@pytest.mark.parametrize("change", [{"revision": 9}, {"revision": 9, "enabled": False}])
def test_it_does_not_go_on_with_a_rule_that_was_changed(change: dict[str, object], rule: FetchRule) -> None:
    run = begun(rule)
    assert runs.may_go_on(run)
    FetchRule.objects.update(**change)
    with pytest.raises(RunOvertaken):
        runs.may_go_on(run)


def test_it_stops_when_it_is_asked_to_or_the_rule_is_switched_off(rule: FetchRule) -> None:
    run = begun(rule)
    FetchRule.objects.update(enabled=False)
    assert not runs.may_go_on(run)
    FetchRule.objects.update(enabled=True)
    runs.ask_to_stop(run.id)
    assert not runs.may_go_on(run)


def test_it_polls_the_rule_as_it_is_when_the_poll_begins(rule: FetchRule) -> None:
    (run_id,) = runs.claim([rule], NOW, Run.Cause.SAVED)
    FetchRule.objects.update(revision=9, recipient="sidorov@mydomain.ru")
    run = runs.start(run_id, NOW)
    assert run is not None
    assert (run.revision, run.recipient) == (9, "sidorov@mydomain.ru")
    assert runs.may_go_on(run)


def test_it_does_not_poll_another_mailbox_than_the_claimed_one(rule: FetchRule, make_rule: MakeRule) -> None:
    (run_id,) = runs.claim([rule], NOW, Run.Cause.SAVED)
    FetchRule.objects.filter(id=rule.id).update(revision=9, source=make_rule(enabled=False).source)
    run = runs.start(run_id, NOW)
    assert run is not None
    with pytest.raises(RunOvertaken):
        runs.may_go_on(run)


def test_it_ends_a_pause_when_its_time_is_over(rule: FetchRule) -> None:
    runs.pause(FetchRule.objects.all(), NOW + timedelta(hours=1))
    assert runs.claim_due(NOW) == []
    assert len(runs.claim_due(NOW + timedelta(hours=1))) == 1


def test_it_mends_a_rule_that_fell_out_of_the_schedule(rule: FetchRule) -> None:
    FetchRule.objects.update(next_poll_at=None)
    assert mend_schedule(NOW) == 1
    assert len(runs.claim_due(NOW)) == 1


def test_it_does_not_mend_what_is_being_polled(rule: FetchRule) -> None:
    begun(rule)
    assert mend_schedule(NOW) == 0


def test_it_does_not_wait_for_what_a_clock_put_off_that_was_wrong(rule: FetchRule) -> None:
    runs.close(begun(rule), Ending(Counts()), NextPoll(NOW + timedelta(days=3000), NextReason.INTERVAL), NOW)
    assert mend_schedule(NOW) == 1
    assert len(runs.claim_due(NOW)) == 1


@pytest.mark.parametrize("minutes", [None, 43_200])
def test_it_leaves_a_rule_alone_that_waits_as_long_as_it_is_to(minutes: int | None, rule: FetchRule) -> None:
    FetchRule.objects.update(interval=minutes)
    wait = timedelta(hours=6) if minutes is None else timedelta(minutes=minutes)
    runs.close(begun(rule), Ending(Counts(), ConnectFailed()), NextPoll(NOW + wait * 1.1, NextReason.BACKOFF), NOW)
    assert mend_schedule(NOW) == 0


@pytest.mark.parametrize("error", [None, ConnectFailed(), LoginDelay()])
def test_it_counts_from_the_real_now_what_was_polled_by_a_clock_three_hours_ahead(
    error: FetchError | None, rule: FetchRule
) -> None:
    at_boot = NOW + timedelta(hours=3)
    (run_id,) = runs.claim([rule], at_boot, Run.Cause.SCHEDULE)
    run = runs.start(run_id, at_boot)
    assert run is not None
    runs.close(run, Ending(Counts(), error), NextPoll(at_boot + timedelta(minutes=9), NextReason.INTERVAL), at_boot)
    assert mend_schedule(NOW) == 1
    assert len(runs.claim_due(NOW)) == 1


def test_it_waits_for_the_interval_that_a_rule_has_now(rule: FetchRule) -> None:
    runs.close(begun(rule), Ending(Counts()), NextPoll(NOW + timedelta(hours=1), NextReason.INTERVAL), NOW)
    later = NOW + timedelta(minutes=4)
    assert mend_schedule(later) == 1
    rule.refresh_from_db()
    assert rule.next_poll_at == NOW + timedelta(minutes=10)
    assert mend_schedule(later) == 0


def test_it_looks_at_the_schedule_once_however_many_intervals_there_are(
    make_rule: MakeRule, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    ServiceSettings.current()
    for minutes in range(5, 25):
        make_rule(interval=minutes, next_poll_at=NOW + timedelta(minutes=minutes))
    with django_assert_max_num_queries(4):
        assert mend_schedule(NOW) == 0


def test_it_leaves_a_poll_alone_that_another_machine_has_noted_a_little_ahead(rule: FetchRule) -> None:
    ahead = NOW + timedelta(minutes=1)
    runs.close(begun(rule), Ending(Counts()), NextPoll(ahead + timedelta(minutes=9), NextReason.INTERVAL), ahead)
    assert mend_schedule(NOW) == 0


def test_it_gives_no_run_a_longer_lease_because_the_clock_was_wrong(rule: FetchRule) -> None:
    run = begun(rule)
    runs.renew(run, NOW + timedelta(days=3000))
    leases.abandon_overdue(NOW)
    leases.abandon_overdue(NOW + leases.RUN_LEASE + timedelta(seconds=1))
    assert Run.objects.get().state == Run.State.ABANDONED
