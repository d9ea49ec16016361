"""The sign of life of a process's polls, and what becomes of polls while the database is away."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread

import pytest
from django.db import OperationalError
from django.utils import timezone

from fetchrules.ledger import leases, runs
from fetchrules.models import Run
from fetchrules.poll import outlasting
from fetchrules.poll.keeping import Keeper
from fetchrules.poll.run import poll
from fetchrules.schedule import SOONEST, NextReason
from tests.conftest import MakeRule
from tests.poll.conftest import Scene
from tests.waiting import until


def failing(original: Callable[..., object], times: int) -> Callable[..., object]:
    """`original`, before which the database is away so many times."""
    left = iter(range(times))

    def fails(*args: object) -> object:
        if next(left, None) is not None:
            raise OperationalError("the server closed the connection unexpectedly")
        return original(*args)

    return fails


def no_thread(_thread: Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.django_db(transaction=True)
def test_it_renews_the_leases_of_polls_that_live(make_rule: MakeRule) -> None:
    keeper, (first, second) = Keeper(0.05), runs.claim([make_rule(), make_rule()], timezone.now(), Run.Cause.COMMAND)
    for run_id in (first, second):
        assert runs.start(run_id, timezone.now())
    Run.objects.update(deadline=timezone.now())
    with keeper.keep(first):
        until(lambda: Run.objects.filter(id=first, deadline__gt=timezone.now()).exists())
        assert Run.objects.get(id=second).deadline < timezone.now()
    until(lambda: keeper._thread is None)
    with keeper.keep(second):
        until(lambda: Run.objects.filter(id=second, deadline__gt=timezone.now()).exists())


@pytest.mark.django_db(transaction=True)
def test_it_renews_again_after_the_database_was_away(make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fetchrules.poll.keeping.AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(leases, "keep", failing(leases.keep, 3))
    (run_id,) = runs.claim([make_rule()], timezone.now(), Run.Cause.COMMAND)
    runs.start(run_id, timezone.now())
    Run.objects.update(deadline=timezone.now())
    with Keeper(0.05).keep(run_id):
        until(lambda: Run.objects.filter(deadline__gt=timezone.now()).exists())


@pytest.mark.django_db(transaction=True)
def test_it_keeps_nothing_that_it_has_no_thread_for(make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, (run_id,) = Keeper(0.05), runs.claim([make_rule()], timezone.now(), Run.Cause.COMMAND)
    runs.start(run_id, timezone.now())
    with monkeypatch.context() as exhausted:
        exhausted.setattr(Thread, "start", no_thread)
        with pytest.raises(RuntimeError), keeper.keep(run_id):
            pass
    assert not keeper._runs


def test_it_closes_the_run_when_the_database_is_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlasting, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(runs, "close", failing(runs.close, 3))
    scene.arrive("a")
    assert scene.poll_fine().fetched == 1
    assert Run.objects.get().state == Run.State.DONE


@pytest.mark.parametrize("reached", ["start_all", "close"])
def test_it_frees_a_run_that_could_not_be_begun_or_closed_and_logs_in_again_after_a_while(
    reached: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_args: object) -> None:
        raise ZeroDivisionError

    scene.arrive("a")
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    monkeypatch.setattr(runs, reached, breaks)
    with pytest.raises(ZeroDivisionError):
        poll(run_id)
    scene.rule.refresh_from_db()
    assert Run.objects.get().state == Run.State.ABANDONED
    assert scene.rule.next_reason == NextReason.OVERTAKEN
    assert scene.rule.next_poll_at is not None
    assert timedelta(0) < scene.rule.next_poll_at - timezone.now() <= SOONEST


def test_it_frees_a_run_after_the_outage_in_which_it_could_not_be_begun(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlasting, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(runs, "start_all", failing(runs.start_all, 1))
    monkeypatch.setattr(leases, "release", failing(leases.release, 2))
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    with pytest.raises(OperationalError):
        poll(run_id)
    assert Run.objects.get().state == Run.State.ABANDONED


def test_it_begins_nothing_while_the_process_ends(scene: Scene, stopping: None) -> None:
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    assert poll(run_id) is None
    assert Run.objects.get().state == Run.State.ABANDONED
    assert scene.server.connections == 0
