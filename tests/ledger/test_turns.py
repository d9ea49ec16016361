"""No server holds up the others: what a tick leaves to them, however many rules wait for the slow ones."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fetchrules.errors import ConnectFailed, FetchError, TimedOut
from fetchrules.ledger import runs
from fetchrules.ledger.runs import Counts, Ending
from fetchrules.ledger.turns import PATIENCE, choose, go_on, late
from fetchrules.ledger.workers import SILENT_AFTER
from fetchrules.models import FetchRule, Heartbeat, Pause, Run, ServiceSettings
from fetchrules.schedule import NextPoll, NextReason
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LATER = NextPoll(NOW + timedelta(minutes=10), NextReason.INTERVAL)


def report(*slots: int | None, seen: timedelta = timedelta(0)) -> None:
    """Let as many workers report that they do so many polls at a time."""
    for number, each in enumerate(slots):
        Heartbeat.objects.create(part="worker", host=f"worker{number}:1", seen_at=NOW - seen, slots=each)


def due(make_rule: MakeRule, server: str, number: int, minutes_ago: int = 0) -> list[FetchRule]:
    at = NOW - timedelta(minutes=minutes_ago)
    return [make_rule(server=server, next_poll_at=at) for _ in range(number)]


def polled(rule: FetchRule, error: FetchError | None, minutes_ago: int = 0) -> None:
    """A poll of `rule` ended so, and is not due again."""
    (run_id,) = runs.claim([rule], NOW, Run.Cause.SCHEDULE)
    run = runs.start(run_id, NOW)
    assert run is not None
    runs.close(run, Ending(Counts(), error), LATER, NOW - timedelta(minutes=minutes_ago))


def claimed(limit: int = 200) -> Counter[str]:
    """How many polls of each server a tick begins."""
    chosen = Run.objects.filter(id__in=runs.claim_due(NOW, limit))
    return Counter(chosen.values_list("source__host", flat=True))


@pytest.mark.parametrize(
    ("slots", "share"), [((64,), 10), ((32,), 8), ((8,), 2), ((4, 4), 2), ((8, None), 2), ((7,), 1), ((1,), 1)]
)
def test_it_gives_a_server_no_more_than_a_quarter_of_the_slots(
    make_rule: MakeRule, slots: tuple[int | None, ...], share: int
) -> None:
    report(*slots)
    due(make_rule, "many.example.org", 12, minutes_ago=5)
    due(make_rule, "few.example.org", 1)
    assert claimed() == {"many.example.org": share, "few.example.org": 1}


def test_it_counts_the_polls_that_a_server_has_open(make_rule: MakeRule) -> None:
    report(8)
    due(make_rule, "slow.example.org", 12)
    assert claimed() == {"slow.example.org": 2}
    assert claimed() == {}


@pytest.mark.parametrize("seen", [SILENT_AFTER, timedelta(days=1)])
def test_it_shares_nothing_that_only_a_dead_worker_had(make_rule: MakeRule, seen: timedelta) -> None:
    report(8, seen=seen)
    due(make_rule, "many.example.org", 12)
    assert claimed() == {"many.example.org": 10}


def test_it_shares_nothing_where_no_worker_says_how_much_it_does(make_rule: MakeRule) -> None:
    report(None)
    Heartbeat.objects.create(part="beat", host="beat:1", seen_at=NOW)
    for rule in due(make_rule, "slow.example.org", 12):
        FetchRule.objects.filter(id=rule.id).update(last_error="timed_out", last_polled_at=NOW)
    assert claimed() == {"slow.example.org": 10}


@pytest.mark.parametrize(("slots", "together"), [(64, 32), (8, 4), (2, 1), (1, 1)])
def test_it_leaves_half_of_the_slots_to_those_that_answer(make_rule: MakeRule, slots: int, together: int) -> None:
    report(slots)
    for number in range(7):
        polled(due(make_rule, f"drip{number}.example.org", 1)[0], TimedOut())
        due(make_rule, f"drip{number}.example.org", 12, minutes_ago=30)
    due(make_rule, "quick.example.org", 1)
    begun = claimed()
    assert begun.pop("quick.example.org") == 1
    assert sum(begun.values()) == together


def test_it_lets_the_slow_take_their_turns_as_slots_become_free(make_rule: MakeRule) -> None:
    report(2)
    for name in ("one", "two"):
        polled(due(make_rule, f"{name}.example.org", 1)[0], TimedOut())
        due(make_rule, f"{name}.example.org", 1, minutes_ago={"one": 9, "two": 8}[name])
    assert claimed() == {"one.example.org": 1}
    run = runs.start(Run.objects.get(finished_at=None).id, NOW)
    assert run is not None
    runs.close(run, Ending(Counts(), TimedOut()), LATER, NOW)
    assert claimed() == {"two.example.org": 1}


@pytest.mark.parametrize("after", [None, ConnectFailed()])
def test_it_believes_the_last_poll_of_a_server(make_rule: MakeRule, after: FetchError | None) -> None:
    """One mailbox that takes too long makes no server slow for the others on it."""
    report(8)
    for number in range(3):
        host = f"host{number}.example.org"
        polled(due(make_rule, host, 1)[0], TimedOut(), minutes_ago=2)
        polled(due(make_rule, host, 1)[0], after, minutes_ago=1)
        due(make_rule, host, 4)
    assert claimed() == {f"host{number}.example.org": 2 for number in range(3)}


@pytest.mark.parametrize(
    ("waits", "found", "more"),
    [(PATIENCE + timedelta(seconds=1), 0, 1), (PATIENCE, 0, 7), (PATIENCE * 60, 1, 7)],
    ids=["no list yet", "not for long", "a long poll that has its list"],
)
def test_it_calls_a_server_slow_that_keeps_a_poll_waiting_for_its_list(
    make_rule: MakeRule, waits: timedelta, found: int, more: int
) -> None:
    """Fifteen of them have a poll each: of 32 slots, one more is theirs; a server that is not slow gets a quarter."""
    report(32)
    for number in range(15):
        (rule,) = due(make_rule, f"drip{number}.example.org", 1)
        (run_id,) = runs.claim([rule], NOW, Run.Cause.SCHEDULE)
        runs.start(run_id, NOW - waits)
    Run.objects.update(found=found)
    due(make_rule, "drip0.example.org", 9)
    assert claimed() == {"drip0.example.org": more}


def test_it_polls_the_first_of_each_server_before_the_second_of_any(make_rule: MakeRule) -> None:
    report(64)
    due(make_rule, "many.example.org", 9, minutes_ago=5)
    due(make_rule, "few.example.org", 1)
    begun = dict(Run.objects.filter(id__in=(ids := runs.claim_due(NOW))).values_list("id", "source__host"))
    assert [begun[run_id] for run_id in ids][:3] == ["many.example.org", "few.example.org", "many.example.org"]


def test_it_chooses_one_rule_of_an_account(make_rule: MakeRule) -> None:
    """Many servers lock a mailbox, whatever the folder."""
    report(64)
    for recipient in ("one", "two"):
        make_rule(user="petrov", keep=True, recipient=f"{recipient}@mydomain.ru", next_poll_at=NOW)
    (chosen,) = choose(NOW)
    runs.claim([FetchRule.objects.get(id=chosen)], NOW)
    assert choose(NOW) == []


def test_it_lets_the_next_poll_of_a_server_follow_one_that_ended(make_rule: MakeRule) -> None:
    report(8)
    due(make_rule, "many.example.org", 3)
    due(make_rule, "few.example.org", 2)
    begun = runs.claim_due(NOW)
    assert runs.claim_next(["many.example.org"], NOW) == []
    Run.objects.filter(id=begun[0]).delete()
    (next_id,) = runs.claim_next(["many.example.org"], NOW)
    assert Run.objects.get(id=next_id).source.host == "many.example.org"
    assert runs.claim_next(["many.example.org"], NOW) == []


def test_it_lets_as_many_follow_as_the_servers_have_room_for(make_rule: MakeRule) -> None:
    report(12)
    for host in ("one", "two", "three"):
        due(make_rule, f"{host}.example.org", 9)
    begun = runs.claim_due(NOW)
    ended = [Run.objects.filter(id__in=begun, source__host=f"{host}.example.org") for host in ("one", "two")]
    Run.objects.filter(id__in=[ended[0][0].id, *(run.id for run in ended[1][:2])]).delete()
    follow = Run.objects.filter(id__in=runs.claim_next(["one.example.org", "two.example.org"], NOW))
    assert Counter(follow.values_list("source__host", flat=True)) == {"one.example.org": 1, "two.example.org": 2}


def test_it_lets_nothing_follow_that_is_not_due(make_rule: MakeRule) -> None:
    ServiceSettings.current()
    make_rule(next_poll_at=NOW + timedelta(seconds=1))
    make_rule(next_poll_at=NOW, pause=Pause.BY_HAND)
    assert runs.claim_next(["mailserver.ru"], NOW) == []
    make_rule(next_poll_at=NOW)
    ServiceSettings.objects.update(running=False)
    assert runs.claim_next(["mailserver.ru"], NOW) == []


def test_it_blocks_nothing_that_is_asked_for_by_command(make_rule: MakeRule) -> None:
    report(1)
    rules = due(make_rule, "slow.example.org", 12)
    assert len(runs.claim(rules, NOW, Run.Cause.COMMAND)) == 12


@pytest.mark.parametrize("error", ["", "timed_out"])
def test_it_asks_as_much_of_the_database_however_many_servers_there_are(make_rule: MakeRule, error: str) -> None:
    report(64)
    ServiceSettings.current()
    asked = []
    for servers in (2, 30):
        for number in range(servers):
            due(make_rule, f"host{number}.example.org", 1)
        FetchRule.objects.update(last_error=error, last_polled_at=NOW)
        with CaptureQueriesContext(connection) as queries:
            assert sum(claimed().values()) == servers
        asked.append([query["sql"].split()[0] for query in queries])
        Run.objects.update(finished_at=NOW, state=Run.State.DONE)
    assert asked[0] == asked[1]


def test_it_asks_no_more_of_the_database_for_many_rules_that_wait_for_a_busy_server(make_rule: MakeRule) -> None:
    report(8)
    ServiceSettings.current()
    asked = []
    for waiting in (3, 40):
        due(make_rule, "dead.example.org", waiting, minutes_ago=5)
        due(make_rule, "quick.example.org", 1)
        with CaptureQueriesContext(connection) as queries:
            assert claimed(limit=5) == {"dead.example.org": 2, "quick.example.org": 1}
        asked.append([len(query["sql"]) for query in queries if query["sql"].startswith("SELECT")][:-1])
        Run.objects.update(finished_at=NOW, state=Run.State.DONE)
    assert asked[0] == asked[1]


@pytest.mark.parametrize(("usual", "share"), [(10, 7), (3, 3)])
def test_it_gives_a_server_no_more_than_its_service_allows(make_rule: MakeRule, usual: int, share: int) -> None:
    report(64)
    ServiceSettings.current()
    ServiceSettings.objects.update(per_host=usual)
    due(make_rule, "mail.nic.ru", 12)
    assert claimed() == {"mail.nic.ru": share}


# Late


def late_ones(now: datetime = NOW) -> tuple[int, int] | None:
    """How many are late, and by how many minutes."""
    found = late(now)
    return (found.rules, (now - found.since) // timedelta(minutes=1)) if found else None


def test_it_says_how_many_rules_are_late_and_by_how_much(make_rule: MakeRule) -> None:
    assert late_ones() is None
    for number, minutes in enumerate((0, 1, 3, 14)):
        due(make_rule, f"host{number}.example.org", 3, minutes_ago=minutes)
    assert late_ones() == (6, 14)


@pytest.mark.parametrize(
    "columns", [{"enabled": False}, {"pause": Pause.FAILURE}, {"next_poll_at": None}, {"owned": True}], ids=str
)
def test_it_calls_nothing_late_that_is_not_to_be_polled(make_rule: MakeRule, columns: dict[str, object]) -> None:
    due(make_rule, "some.example.org", 1, minutes_ago=14)
    FetchRule.objects.update(**columns)
    assert late_ones() is None


def test_it_calls_nothing_late_while_the_service_is_stopped(make_rule: MakeRule) -> None:
    due(make_rule, "some.example.org", 1, minutes_ago=14)
    ServiceSettings.current()
    ServiceSettings.objects.update(running=False)
    assert late_ones() is None


@pytest.mark.parametrize(
    ("columns", "late"),
    [
        ({}, None),
        ({"state": Run.State.QUEUED}, (2, 14)),
        ({"deadline": NOW - timedelta(seconds=1)}, (2, 14)),
    ],
    ids=["at work", "nobody takes them from the queue", "dead"],
)
def test_it_lets_rules_wait_for_their_server_only_while_polls_are_at_work_there(
    make_rule: MakeRule, columns: dict[str, object], late: tuple[int, int] | None
) -> None:
    report(64)
    due(make_rule, "some.example.org", 12, minutes_ago=14)
    for run_id in runs.claim_due(NOW):
        runs.start(run_id, NOW)
    Run.objects.update(**columns)
    assert late_ones() == late


def test_it_lets_rules_wait_for_their_account(make_rule: MakeRule) -> None:
    report(64)
    for recipient in ("one", "two"):
        make_rule(user="petrov", keep=True, recipient=f"{recipient}@mydomain.ru", next_poll_at=NOW - timedelta(hours=1))
    (run_id,) = runs.claim_due(NOW)
    runs.start(run_id, NOW)
    assert late_ones() is None
    Run.objects.update(deadline=NOW - timedelta(seconds=1))
    assert late_ones() == (1, 60)


def test_it_reads_no_row_for_each_rule_that_is_late(make_rule: MakeRule) -> None:
    report(64)
    due(make_rule, "some.example.org", 12, minutes_ago=14)
    runs.start(runs.claim_due(NOW)[0], NOW)
    with CaptureQueriesContext(connection) as queries:
        assert late_ones() == (2, 14)
    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query["sql"])
            assert len(cursor.fetchall()) <= 1


# Pauses that are over


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [({}, True), ({"revision": 9}, False), ({"pause": Pause.BY_HAND}, False), ({"last_polled_at": NOW}, False)],
    ids=["as it was read", "changed", "paused by hand", "polled"],
)
def test_it_lets_a_rule_go_on_that_is_as_it_was_read(
    make_rule: MakeRule, change: dict[str, object], goes_on: bool
) -> None:
    rule = make_rule(pause=Pause.FAILURE, next_poll_at=None, failures=3, last_error="login_refused")
    FetchRule.objects.update(**change)
    assert go_on(rule, NOW) == goes_on
    assert bool(runs.claim_due(NOW)) == goes_on
    rule.refresh_from_db()
    assert rule.failures == 3
