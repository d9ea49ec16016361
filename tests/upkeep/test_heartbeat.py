"""Signs of life, and how many polls the living do at a time."""

from collections import deque
from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.ledger import workers
from fetchrules.models import Heartbeat
from fetchrules.upkeep import heartbeat

pytestmark = pytest.mark.django_db


def test_it_knows_how_many_polls_are_done_at_a_time() -> None:
    heartbeat.beat("worker", 8)
    heartbeat.beat("beat")
    assert workers.slots(timezone.now()) == 8


def test_it_believes_what_a_worker_said_last() -> None:
    for slots in (8, 4):
        heartbeat.beat("worker", slots)
    assert workers.slots(timezone.now()) == 4
    assert Heartbeat.objects.count() == 1


def test_it_knows_nothing_of_a_worker_that_has_left() -> None:
    heartbeat.beat("worker", 8)
    heartbeat.leave("worker")
    assert workers.slots(timezone.now()) is None


def test_it_knows_nothing_of_a_worker_that_does_not_say() -> None:
    heartbeat.beat("worker")
    assert workers.slots(timezone.now()) is None


def test_it_forgets_those_before_a_process_that_is_alone() -> None:
    Heartbeat.objects.create(part="worker", host="here:1", slots=64)
    heartbeat.forget_all()
    heartbeat.beat("worker", 8)
    assert workers.slots(timezone.now()) == 8


def test_it_leaves_alone_the_same_part_of_other_processes() -> None:
    Heartbeat.objects.create(part="worker", host="there:1", slots=64)
    heartbeat.beat("worker", 8)
    heartbeat.leave("worker")
    assert workers.slots(timezone.now()) == 64


@pytest.mark.parametrize(("seconds", "slots"), [(39, 8), (41, None), (-39, 8), (-41, None)])
def test_it_believes_no_sign_that_is_too_old_or_from_a_wrong_clock(seconds: int, slots: int | None) -> None:
    now = timezone.now()
    Heartbeat.objects.create(part="worker", host="here:1", slots=8, seen_at=now - timedelta(seconds=seconds))
    assert workers.slots(now) == slots


def test_it_forgets_falls_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_falls", deque())
    now = timezone.now()
    heartbeat.fell("worker", now - heartbeat.LATELY)
    heartbeat.fell("beat", now)
    assert heartbeat.falls(now) == {"beat": 1}
