"""One notice when mail is no longer collected, one when it is again, none in between."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from fetchrules.errors import CameShort, ConnectFailed, DeletionFailed, FetchError, NothingCame
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Incident, Pause, Run, ServiceSettings
from fetchrules.notices import incidents
from fetchrules.schedule import NextPoll, NextReason

pytestmark = pytest.mark.django_db

MakeRule = Callable[..., FetchRule]
NOW = timezone.now()
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def service() -> ServiceSettings:
    ServiceSettings.current()
    ServiceSettings.objects.update(
        alert_addresses="postmaster@mydomain.ru", alert_after_failures=3, alert_after_hours=24
    )
    return ServiceSettings.current()


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


def failing(make_rule: MakeRule, **columns: Any) -> FetchRule:
    return make_rule(failures=3, last_error="login_refused", last_success_at=NOW, **columns)


def test_it_tells_once_when_a_rule_fails_and_once_when_it_recovers(make_rule: MakeRule) -> None:
    rule = failing(make_rule, user="petrov")
    for minutes in range(3):
        incidents.watch(NOW + minutes * MINUTE)
    assert subjects() == ["Почта не собирается: petrov@mailserver.ru → i.petrov@mydomain.ru"]
    assert "Неверный логин или пароль" in mail.outbox[0].body

    FetchRule.objects.filter(pk=rule.pk).update(failures=0, last_error="")
    for minutes in range(3):
        incidents.watch(NOW + minutes * MINUTE)
    assert subjects()[1:] == ["Почта снова собирается: petrov@mailserver.ru → i.petrov@mydomain.ru"]


def test_it_keeps_quiet_about_a_failure_or_two(make_rule: MakeRule) -> None:
    make_rule(failures=2, last_error="timed_out", last_success_at=NOW)
    incidents.watch(NOW)
    assert subjects() == []


def test_it_tells_of_a_rule_that_gave_up_at_once(make_rule: MakeRule) -> None:
    make_rule(failures=1, pause=Pause.FAILURE, last_error="certificate_changed", last_success_at=NOW)
    incidents.watch(NOW)
    assert len(subjects()) == 1


def test_it_tells_of_a_fault_of_this_machine_that_lasts(make_rule: MakeRule) -> None:
    make_rule(
        failures=2, last_error="disk_full", failing_since=NOW, last_detail="/srv: 0 octets free", last_success_at=NOW
    )
    incidents.watch(NOW + incidents.LASTING - MINUTE)
    assert subjects() == []
    for minutes in range(3):
        incidents.watch(NOW + incidents.LASTING + minutes * MINUTE)
    assert len(subjects()) == 1
    assert "Нет места" in mail.outbox[0].body
    assert "/srv: 0 octets free" in mail.outbox[0].body
    FetchRule.objects.update(failures=0, last_error="")
    incidents.watch(NOW + DAY / 2)
    assert len(subjects()) == 2


@pytest.mark.parametrize("columns", [{"last_success_at": NOW - DAY - MINUTE}, {"created_at": NOW - DAY - MINUTE}])
def test_it_tells_of_a_rule_without_success_for_long(make_rule: MakeRule, columns: dict[str, Any]) -> None:
    make_rule(**columns)
    incidents.watch(NOW)
    assert [incident.kind for incident in Incident.objects.all()] == ["starved"]
    assert "давно не было успешного опроса" in mail.outbox[0].body


@pytest.mark.parametrize("columns", [{"enabled": False}, {"pause": Pause.BY_HAND, "failures": 0}])
def test_it_does_not_miss_what_was_switched_off(make_rule: MakeRule, columns: dict[str, Any]) -> None:
    make_rule(last_success_at=NOW - 9 * DAY, **columns)
    incidents.watch(NOW)
    assert subjects() == []


def polled(rule: FetchRule, error: FetchError | None, now: datetime) -> None:
    """A poll of `rule` ended so."""
    (run_id,) = runs.claim([rule], now, Run.Cause.SCHEDULE)
    run = runs.start(run_id, now)
    assert run is not None
    runs.close(run, runs.Ending(runs.Counts(), error), NextPoll(now + MINUTE, NextReason.INTERVAL), now)


@pytest.mark.parametrize("error", [NothingCame(), CameShort(), DeletionFailed()])
def test_it_raises_no_alarm_over_letters_alone(make_rule: MakeRule, error: FetchError) -> None:
    rule = make_rule(created_at=NOW)
    for hours in range(0, 72, 6):
        now = NOW + timedelta(hours=hours)
        polled(rule, error, now)
        incidents.watch(now + MINUTE)
    rule.refresh_from_db()
    assert rule.last_error == error.code
    assert not Incident.objects.exists()


def test_it_ends_an_incident_when_letters_alone_still_fail(make_rule: MakeRule) -> None:
    rule = make_rule()
    for _ in range(3):
        polled(rule, ConnectFailed(), NOW)
    incidents.watch(NOW)
    polled(rule, NothingCame(), NOW + MINUTE)
    incidents.watch(NOW + MINUTE)
    assert Incident.objects.get().closed_at == NOW + MINUTE
    assert subjects()[1].startswith("Почта снова собирается")


def test_it_does_not_call_a_poll_by_hand_a_recovery(make_rule: MakeRule) -> None:
    rule = make_rule()
    for minutes in range(3):
        polled(rule, ConnectFailed(), NOW + minutes * MINUTE)
    incidents.watch(NOW + 3 * MINUTE)
    runs.ask_for_poll(FetchRule.objects.all(), NOW + 4 * MINUTE)
    incidents.watch(NOW + 5 * MINUTE)
    polled(rule, ConnectFailed(), NOW + 6 * MINUTE)
    incidents.watch(NOW + 7 * MINUTE)
    assert len(subjects()) == 1
    assert Incident.objects.get().opened_at == NOW
    polled(rule, None, NOW + 8 * MINUTE)
    incidents.watch(NOW + 9 * MINUTE)
    assert len(subjects()) == 2


def test_it_does_not_call_switching_off_a_recovery(make_rule: MakeRule) -> None:
    failing(make_rule)
    incidents.watch(NOW)
    FetchRule.objects.update(enabled=False)
    incidents.watch(NOW)
    assert len(subjects()) == 1
    assert not Incident.objects.filter(closed_at=None).exists()


def test_it_opens_nothing_while_the_service_is_stopped(make_rule: MakeRule) -> None:
    ServiceSettings.objects.update(running=False)
    make_rule(last_success_at=NOW - 9 * DAY)
    incidents.watch(NOW)
    assert subjects() == []


def test_it_writes_one_digest_when_many_fail_together(make_rule: MakeRule) -> None:
    for _ in range(60):
        failing(make_rule)
    incidents.watch(NOW)
    assert subjects() == ["Не собирается почта 60 ящиков"]
    assert mail.outbox[0].body.endswith("и ещё 10")


def test_it_tells_of_a_second_incident_after_the_first(make_rule: MakeRule) -> None:
    failing(make_rule)
    for failures in (3, 0, 3):
        FetchRule.objects.update(failures=failures)
        incidents.watch(NOW)
    assert len(subjects()) == 3
