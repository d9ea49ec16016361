"""The strip: what it says when all is well, when somebody stopped the service, and when something is missing."""

from collections import deque
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from pytest_django import Settings

from fetchrules.models import AuditEntry, Heartbeat, ServiceSettings
from fetchrules.panel.pages import service
from fetchrules.panel.pages.service import Service
from fetchrules.upkeep import heartbeat
from tests.conftest import MakeRule


def beat(part: str, seconds_ago: float = 0) -> None:
    Heartbeat.objects.create(part=part, host=f"{part}:1", seen_at=timezone.now() - timedelta(seconds=seconds_ago))


def strip(client: Client) -> str:
    return client.get(reverse("strip")).content.decode()


def test_it_says_that_the_service_runs(admin: Client, make_rule: MakeRule) -> None:
    beat("worker")
    beat("beat")
    make_rule(next_poll_at=timezone.now() - timedelta(seconds=1))
    page = strip(admin)
    assert "The service is running" in page
    assert "workers: 1" in page
    assert "next poll now" in page


def full(make_rule: MakeRule, **columns: object) -> None:
    since = timezone.now() - timedelta(minutes=7)
    make_rule(**{"last_error": "disk_full", "failures": 4, "failing_since": since, **columns})


def test_it_names_a_fault_of_this_machine_instead_of_saying_that_it_works(admin: Client, make_rule: MakeRule) -> None:
    beat("worker")
    beat("beat")
    for _ in range(2):
        full(make_rule)
    full(make_rule, last_error="mail_server_down")
    page = strip(admin)
    assert "The service is running" not in page
    assert "alarm" in page
    assert "No room left: 2 rules wait, it began 7 min ago." in page
    assert "The local mail server is not available: 1 rule waits" in page
    assert page.index("No room left") < page.index("not available")
    assert reverse("service_stop") in page


@pytest.mark.parametrize("columns", [{"enabled": False}, {"pause": "by_hand"}, {"last_error": "connect_failed"}])
def test_it_names_no_fault_that_keeps_nobody_waiting(
    columns: dict[str, object], admin: Client, make_rule: MakeRule
) -> None:
    beat("worker")
    beat("beat")
    full(make_rule, **columns)
    assert "The service is running" in strip(admin)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"beat": 0}, "No worker is running (last heard from: never)"),
        ({"beat": 0, "worker": 41}, "No worker is running (last heard from: 41 s ago)"),
        ({"worker": 0}, "The scheduler is not running (last heard from: never)"),
        ({"worker": 0, "beat": 120}, "The scheduler is not running (last heard from: 2 min ago)"),
    ],
)
def test_it_says_what_is_missing_since_when_and_how_to_start_it(
    parts: dict[str, float], said: str, admin: Client
) -> None:
    for part, seconds_ago in parts.items():
        beat(part, seconds_ago)
    page = strip(admin)
    assert said in page
    assert "alarm" in page
    assert "python manage.py up" in page


def test_it_says_how_many_rules_are_late(admin: Client, make_rule: MakeRule) -> None:
    for part in ("worker", "beat"):
        beat(part)
    for minutes in (1, 14, 3):
        make_rule(next_poll_at=timezone.now() - timedelta(minutes=minutes))
    page = strip(admin)
    assert "2 rules are late, the latest by 14 min" in page
    assert "The service is running" not in page
    assert reverse("service_stop") in page
    assert Service.read(timezone.now()).reasons == ("2 rules are late, the latest by 14 min",)


@pytest.mark.parametrize(
    ("rules", "minutes", "said"),
    [
        (1, 2, "опаздывает 1 правило, самое позднее на 2 мин"),
        (3, 75, "опаздывают 3 правила, самое позднее на 1 ч 15 мин"),
        (12, 2 * 24 * 60, "опаздывают 12 правил, самое позднее на 2 дня"),
    ],
)
def test_it_says_so_in_russian(make_rule: MakeRule, rules: int, minutes: int, said: str) -> None:
    for _ in range(rules):
        make_rule(next_poll_at=timezone.now() - timedelta(minutes=minutes))
    with translation.override("ru"):
        assert Service.read(timezone.now()).late == said


def test_it_is_no_sign_of_life_that_a_wrong_clock_has_left(admin: Client) -> None:
    beat("worker", -3 * 3600)
    beat("beat", -3 * 3600)
    assert "The service is not working" in strip(admin)


def test_it_says_when_the_broker_does_not_answer(
    admin: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UTM_MAIL_REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(service, "_last", service._Answer())
    beat("worker")
    beat("beat")
    assert "Redis does not answer" in strip(admin)


def test_it_says_that_a_part_fell_and_was_started_again(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_falls", deque())
    for part in ("worker", "beat"):
        beat(part)
    now = timezone.now()
    heartbeat.fell("worker", now - heartbeat.LATELY)
    assert "ended unexpectedly" not in strip(admin)
    heartbeat.fell("worker", now)
    assert "A part of the service (worker) ended unexpectedly and was started again" in strip(admin)
    heartbeat.fell("worker", now)
    assert "started again 2 times in ten minutes" in strip(admin)


def test_it_names_the_commands_of_the_large_installation(
    admin: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UTM_MAIL_REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(service, "_last", service._Answer())
    assert "celery -A utm_mail worker -P threads" in strip(admin)


def test_it_stops_and_starts_and_says_who_did(operator: Client) -> None:
    beat("worker")
    beat("beat")
    ServiceSettings.current()
    operator.post(reverse("service_stop"))
    assert not ServiceSettings.current().running
    page = strip(operator)
    assert "The service is stopped" in page
    assert "bob" in page
    operator.post(reverse("service_start"))
    assert ServiceSettings.current().running
    assert list(AuditEntry.objects.values_list("what", flat=True)) == ["service_started", "service_stopped"]


def test_it_offers_the_switch_to_those_who_may(owner: Client) -> None:
    assert reverse("service_stop") not in strip(owner)


def test_it_offers_no_switch_for_what_is_broken(admin: Client) -> None:
    beat("worker", 60)
    page = strip(admin)
    assert reverse("service_stop") not in page
    assert reverse("service_start") not in page


def test_it_says_that_what_is_broken_was_stopped_too(admin: Client) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(running=False, stopped_by="bob", stopped_at=timezone.now())
    page = strip(admin)
    assert "Besides, it was stopped by hand" in page
    assert reverse("service_start") in page
