"""Polls that begin together, and idle ones that are closed together."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from threading import Barrier, Event, Thread
from time import sleep

import pytest
from celery import signals
from django.db import OperationalError, connections
from django.utils import timezone

from fetchrules import tasks
from fetchrules.ledger import idle, runs
from fetchrules.ledger.idle import Idle
from fetchrules.ledger.runs import Counts, Ending
from fetchrules.models import FetchRule, HourlyStat, Run
from fetchrules.poll import outlasting
from fetchrules.poll.desk import AT_ONCE, Desk, Together
from fetchrules.schedule import NextPoll, NextReason
from tests.conftest import MakeRule

NOW = timezone.now()
LATER = NextPoll(NOW + timedelta(minutes=10), NextReason.INTERVAL)


def in_threads(number: int, work: Callable[[int], None]) -> None:
    """Do `work` for each of so many numbers at once."""
    begun = Barrier(number)

    def one(at: int) -> None:
        begun.wait(10)
        work(at)

    threads = [Thread(target=one, args=(at,)) for at in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)


def test_those_who_ask_meanwhile_are_answered_together() -> None:
    groups: list[list[int]] = []
    first, go_on = Event(), Event()

    def answer(questions: Sequence[int]) -> list[int]:
        groups.append(sorted(questions))
        if len(groups) == 1:
            first.set()
            assert go_on.wait(10)
        return [-question for question in questions]

    together, answers = Together(answer), dict[int, int]()

    def ask(number: int) -> None:
        answers[number] = together.ask(number)

    leader = Thread(target=ask, args=(0,))
    leader.start()
    assert first.wait(10)
    others = [Thread(target=ask, args=(number,)) for number in (1, 2, 3)]
    for other in others:
        other.start()
    while len(together._waiting) < 3:
        pass
    go_on.set()
    for thread in (leader, *others):
        thread.join(10)
    assert groups == [[0], [1, 2, 3]]
    assert answers == {0: 0, 1: -1, 2: -2, 3: -3}


def test_the_first_waits_for_others_only_in_a_crowd() -> None:
    groups: list[int] = []

    def answer(questions: Sequence[int]) -> list[int]:
        groups.append(len(questions))
        sleep(0.02)
        return list(questions)

    together = Together(answer, gather=0.2)
    for _ in range(3):
        assert together.ask(0) == 0
    for _ in range(2):
        in_threads(8, lambda number: None if together.ask(number) == number else groups.append(100))
    assert groups[:3] == [1, 1, 1]
    assert sum(groups) == 3 + 2 * 8
    assert max(groups) > 3


def test_a_failure_is_told_to_all_that_asked() -> None:
    def fail(_questions: Sequence[int]) -> list[int]:
        raise ZeroDivisionError

    together, told = Together(fail), list[bool]()

    def ask(number: int) -> None:
        with pytest.raises(ZeroDivisionError):
            together.ask(number)
        told.append(True)

    in_threads(4, ask)
    assert told == [True] * 4


@pytest.fixture
def claimed(db: None, make_rule: MakeRule) -> list[int]:
    """The runs of three rules."""
    for _ in range(3):
        make_rule(next_poll_at=NOW, next_reason=NextReason.INTERVAL)
    return runs.claim_due(NOW)


def idle_poll(run_id: int) -> Idle:
    run = AT_ONCE.begin(run_id)
    assert run is not None
    return Idle(run, Ending(Counts(found=3, skipped=3, left={"seen": 3})), LATER, NOW)


def test_equal_messages_begin_one_poll(claimed: list[int]) -> None:
    from fetchrules.poll.desk import _begin_all

    begun = _begin_all([claimed[0], claimed[1], claimed[0]])
    assert [run and run.id for run in begun] == [claimed[0], claimed[1], None]
    assert AT_ONCE.begin(claimed[0]) is None


def test_it_closes_at_once_where_nobody_lingers(claimed: list[int]) -> None:
    AT_ONCE.close(idle_poll(claimed[0]))
    AT_ONCE.flush()
    assert Run.objects.count() == 2
    assert FetchRule.objects.filter(next_poll_at=LATER.at, last_found=3).count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_closes_many_in_one_transaction(claimed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    hosts: list[Collection[str]] = []
    close_all = idle.close_all

    def counting(polls: Sequence[Idle]) -> list[Idle]:
        groups.append(len(polls))
        return close_all(polls)

    monkeypatch.setattr(idle, "close_all", counting)
    desk = Desk(linger=0.3, ended=hosts.append)
    for run_id in claimed:
        desk.close(idle_poll(run_id))
    assert Run.objects.filter(state=Run.State.RUNNING).count() == 3
    desk.flush()
    assert groups == [3]
    assert hosts == [{"mailserver.ru"}]
    desk.leave("another.ru")
    desk.flush()
    assert hosts[1:] == [{"another.ru"}]
    assert not Run.objects.exists()
    assert sum(HourlyStat.objects.values_list("idle", flat=True)) == 3
    desk.close(idle_poll_again())
    desk.flush()
    assert groups == [3, 1]


def idle_poll_again() -> Idle:
    FetchRule.objects.update(next_poll_at=NOW, next_reason=NextReason.INTERVAL)
    return idle_poll(runs.claim_due(NOW)[0])


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_ends_waits_for_what_was_handed_over(claimed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(linger=0.3)
    monkeypatch.setattr(tasks, "DESK", desk)
    desk.close(idle_poll(claimed[0]))
    signals.worker_shutdown.send(sender=None)
    assert Run.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_results_wait_for_a_database_that_is_away(claimed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlasting, "FIRST_SECONDS", 0.01)
    away = [OperationalError("away")] * 3
    close_all = idle.close_all

    def failing(polls: Sequence[Idle]) -> list[Idle]:
        if away:
            raise away.pop()
        return close_all(polls)

    monkeypatch.setattr(idle, "close_all", failing)
    desk = Desk(linger=0.01)
    desk.close(idle_poll(claimed[0]))
    desk.flush()
    assert Run.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_results_that_are_lost_are_said_and_the_next_ones_are_not(
    claimed: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stopping: None
) -> None:
    def failing(_polls: Sequence[Idle]) -> list[Idle]:
        raise OperationalError("away")

    desk = Desk(linger=0.01)
    polls = [idle_poll(run_id) for run_id in claimed[:2]]
    with monkeypatch.context() as away:
        away.setattr(idle, "close_all", failing)
        desk.close(polls[0])
        desk.flush()
    assert "the results of 1 idle polls are lost" in caplog.text
    assert Run.objects.filter(state=Run.State.RUNNING).count() == 2
    desk.close(polls[1])
    desk.flush()
    assert Run.objects.filter(state=Run.State.RUNNING).count() == 1
    connections.close_all()
