"""The queue: what a tick puts into it, and what it makes of a queue that is long, empty or away."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fetchrules import tasks
from fetchrules.ledger.leases import QUEUE_LEASE
from fetchrules.models import FetchRule, Run, ServiceSettings
from fetchrules.remote.stopping import STOPPING
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def queue() -> Iterator["Queue"]:
    found = Queue()
    found.taken()
    yield found
    found.taken()


class Queue:
    """The queue in memory, with nobody to take from it but the test."""

    def taken(self) -> list[int]:
        """Take all messages; the runs in them."""
        ids = []
        with current_app.connection_for_read() as broker:
            box = broker.SimpleQueue(current_app.amqp.default_queue)
            while len(box):
                message = box.get_nowait()
                message.ack()
                ids += message.payload[0]
            box.close()
        return ids


def due(make_rule: MakeRule, number: int) -> None:
    for at in range(number):
        make_rule(server=f"mail{at}.example.org", next_poll_at=NOW - timedelta(seconds=number - at))


def time_passes() -> None:
    """So much that nobody's lease is left."""
    past = QUEUE_LEASE + timedelta(seconds=1)
    Run.objects.update(claimed_at=NOW - past, deadline=NOW - timedelta(seconds=1))


def test_it_goes_on_while_rules_are_due(make_rule: MakeRule, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PORTION", 3)
    due(make_rule, 8)
    tasks.dispatch()
    in_order = FetchRule.objects.order_by("position").values_list("id", flat=True)
    rule_of = dict(Run.objects.values_list("id", "rule_id"))
    assert [rule_of[run_id] for run_id in queue.taken()] == list(in_order)


def test_it_asks_a_few_statements_for_each_portion(
    make_rule: MakeRule, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ServiceSettings.current()
    monkeypatch.setattr(tasks, "PORTION", 10)
    asked = []
    for number in (5, 15, 25):
        due(make_rule, number)
        with CaptureQueriesContext(connection) as queries:
            tasks.dispatch()
        asked.append(len([query for query in queries if "SAVEPOINT" not in query["sql"]]))
        assert len(queue.taken()) == number
        Run.objects.update(finished_at=NOW, state=Run.State.DONE)
    assert asked[2] - asked[1] == asked[1] - asked[0]
    assert asked[1] - asked[0] < 12


def test_it_claims_nothing_while_its_process_ends(
    make_rule: MakeRule, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(make_rule, 2)
    STOPPING.set()
    try:
        tasks.dispatch()
    finally:
        STOPPING.clear()
    assert queue.taken() == []
    assert not Run.objects.exists()


def test_it_does_no_harm_to_tick_twice(make_rule: MakeRule, queue: Queue) -> None:
    due(make_rule, 5)
    tasks.dispatch()
    tasks.dispatch()
    assert len(queue.taken()) == 5


def test_it_enqueues_nothing_twice_while_messages_wait(make_rule: MakeRule, queue: Queue) -> None:
    due(make_rule, 5)
    tasks.dispatch()
    time_passes()
    tasks.dispatch()
    assert len(queue.taken()) == 5
    assert not Run.objects.filter(deadline__lt=NOW).exists()


def test_it_enqueues_again_what_an_empty_queue_has_lost(make_rule: MakeRule, queue: Queue) -> None:
    due(make_rule, 5)
    tasks.dispatch()
    lost = queue.taken()
    time_passes()
    tasks.dispatch()
    assert sorted(queue.taken()) == sorted(lost)
