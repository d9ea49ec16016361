"""What time removes: only by a clock that is believed, a portion at a time, and each kind whatever becomes of the others."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.ledger.departures import REMEMBER
from fetchrules.models import (
    Attempt,
    AuditEntry,
    FetchRule,
    Heartbeat,
    HourlyStat,
    Incident,
    Letter,
    Run,
    ServiceSettings,
    chunks,
)
from fetchrules.upkeep.housekeeping import ATTEMPTS, AUDIT, SILENT, STATISTICS, tidy
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HOUR = timedelta(hours=1)
IN_2069 = NOW.replace(year=2069, day=1)


@pytest.fixture
def rule(make_rule: MakeRule) -> FetchRule:
    return make_rule()


def journal(rule: FetchRule, number: int, at: datetime) -> list[Run]:
    """So many finished runs."""
    common = {"rule": rule, "source": rule.source, "recipient": rule.recipient, "revision": 1, "state": Run.State.DONE}
    return Run.objects.bulk_create(
        [Run(claimed_at=at, finished_at=at, deadline=at, **common) for _ in range(number)], batch_size=500
    )


@pytest.fixture
def everything(rule: FetchRule) -> None:
    """One of each kind that time removes, a little too old for it, and one that is not."""
    for spare in (-timedelta(minutes=1), timedelta(days=3)):
        (run,) = journal(rule, 1, NOW - timedelta(days=ServiceSettings.current().journal_days) + spare)
        AuditEntry.objects.create(at=NOW - AUDIT + spare, what="rule_added")
        HourlyStat.objects.create(rule=rule, hour=(NOW - STATISTICS + spare).replace(minute=0))
        Heartbeat.objects.create(part="worker", host=f"{spare}", seen_at=NOW - SILENT + spare)
        Session.objects.create(session_key=f"{spare}", session_data="", expire_date=NOW + spare)
        Attempt.objects.create(at=NOW - ATTEMPTS + spare, what=Attempt.What.PASSWORD, who="alice")
        forgotten = NOW - REMEMBER + spare
        times = {"first_seen_at": NOW, "delivered_at": NOW, "forgotten_at": forgotten}
        Letter.objects.create(source=rule.source, run=run, epoch=0, uid=str(spare), size=1, state="delivered", **times)


def left() -> set[int]:
    """How many there are of each kind."""
    return {kind.objects.count() for kind in (Run, AuditEntry, HourlyStat, Heartbeat, Attempt, Letter, Session)}


def rounds(*hours: float, of: datetime = NOW) -> None:
    """Housekeeping at these hours before (after) then."""
    for hour in hours:
        tidy(of + hour * HOUR)


def test_it_removes_what_is_old_when_the_clock_has_run_for_a_day(everything: None) -> None:
    rounds(*range(-24, 0))
    assert left() == {2}
    rounds(0)
    assert left() == {1}


def test_it_removes_nothing_in_its_first_round(everything: None) -> None:
    rounds(0)
    assert left() == {2}


def test_it_removes_nothing_in_the_wrong_year_and_none_when_that_is_over(everything: None) -> None:
    rounds(*range(-48, -24))
    tidy(IN_2069)
    tidy(IN_2069 + HOUR)
    rounds(*range(-24, 0))
    assert left() == {2}
    rounds(0)
    assert left() == {1}


def test_it_believes_a_machine_that_is_off_overnight(everything: None) -> None:
    rounds(-48, -24, 0)
    assert left() == {1}


@pytest.mark.parametrize("apart", [timedelta(seconds=1), timedelta(minutes=4)])
def test_it_believes_two_schedulers_whose_clocks_differ_a_little(everything: None, apart: timedelta) -> None:
    for hour in range(-24, 1):
        tidy(NOW + hour * HOUR)
        tidy(NOW + hour * HOUR - apart)
    assert left() == {1}


@pytest.fixture
def few_variables() -> Iterator[None]:
    """SQLite takes 999 parameters of a statement, as it did once; today's 250,000 would take as many runs to reach."""
    with connection.cursor():
        before = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
    yield
    connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, before)


def test_it_removes_more_runs_than_a_statement_may_name(rule: FetchRule, few_variables: None) -> None:
    made = journal(rule, 2500, NOW - HOUR)
    FetchRule.objects.update(last_run=made[7])
    assert runs.purge(NOW) == 2500
    assert not Run.objects.exists()
    assert FetchRule.objects.get().last_run is None


def test_it_leaves_to_the_next_round_what_is_too_much_for_one(rule: FetchRule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "AT_MOST", 20)
    journal(rule, 30, NOW - HOUR)
    assert [runs.purge(NOW) for _ in range(3)] == [20, 10, 0]


def test_it_goes_on_where_one_step_fails(
    everything: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(_before: datetime) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(runs, "purge", breaks)
    rounds(*range(-24, 1))
    assert left() == {1, 2}
    assert (Run.objects.count(), AuditEntry.objects.count()) == (2, 1)
    assert "housekeeping: removal of runs failed" in caplog.text


@pytest.mark.parametrize(("spare", "number"), [(-timedelta(minutes=1), 0), (timedelta(minutes=1), 1)])
def test_it_keeps_the_journal_for_as_many_days_as_the_settings_say(
    rule: FetchRule, spare: timedelta, number: int
) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(journal_days=7)
    journal(rule, 1, NOW - timedelta(days=7) + spare)
    rounds(-24, 0)
    assert Run.objects.count() == number


def test_it_removes_incidents_that_ended_long_ago_and_none_that_lasts(make_rule: MakeRule) -> None:
    begun = NOW - AUDIT - 2 * HOUR
    for closed_at in (None, begun + HOUR, NOW - HOUR):
        Incident.objects.create(rule=make_rule(), kind=Incident.Kind.FAILING, opened_at=begun, closed_at=closed_at)
    rounds(-24, 0)
    assert set(Incident.objects.values_list("closed_at", flat=True)) == {None, NOW - HOUR}


def test_it_keeps_statistics_and_the_audit_for_more_than_a_year() -> None:
    assert min(STATISTICS, AUDIT) > timedelta(days=366)
