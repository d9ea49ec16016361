"""Idle polls, closed together as `runs.close` closes them one by one."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from fetchrules.errors import ConnectFailed
from fetchrules.ledger import idle, runs
from fetchrules.ledger.idle import Idle
from fetchrules.ledger.runs import Counts, Ending
from fetchrules.models import FetchRule, HourlyStat, Letter, Pause, Run
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.schedule import NextPoll, NextReason
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()
AFTER = NextPoll(NOW + timedelta(minutes=10), NextReason.INTERVAL)
SEEN = Counts(found=5, skipped=4, octets=7, left={"seen": 3, "too_large": 1})


def begun(rule: FetchRule, cause: Run.Cause = Run.Cause.SCHEDULE) -> Run:
    (run_id,) = runs.claim([rule], NOW, cause)
    run = runs.start(run_id, NOW)
    assert run is not None
    return run


IDLE = Ending(SEEN)


def ended(run: Run, ending: Ending = IDLE) -> Idle:
    return Idle(run, ending, AFTER, NOW)


def columns(rule: FetchRule) -> dict[str, object]:
    row = FetchRule.objects.filter(pk=rule.pk).values().get()
    return {
        name: value
        for name, value in row.items()
        if name.startswith(("last_", "next_", "fail", "counted_", "pause", "tls"))
    }


BEFORE: dict[str, dict[str, object]] = {
    "well": {},
    "failing": {
        "failures": 3,
        "failing_since": NOW,
        "counted_since": NOW,
        "last_error": "x",
        "last_detail": "y",
        "pause": Pause.FAILURE,
    },
    "paused meanwhile": {"pause": Pause.BY_HAND},
    "asked for": {"next_poll_at": NOW, "next_reason": NextReason.BY_HAND},
    "with letters before": {"last_fetched": 3, "last_deleted": 2, "last_octets": 99, "last_left": {"held": 1}},
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("cause", [Run.Cause.SCHEDULE, Run.Cause.COMMAND])
def test_it_leaves_what_closing_one_by_one_leaves(before: str, cause: Run.Cause, make_rule: MakeRule) -> None:
    one, other = make_rule(), make_rule()
    alone, together = begun(one, cause), begun(other, cause)
    FetchRule.objects.update(**BEFORE[before])
    assert runs.close(alone, Ending(SEEN, stages=(("login", 0.1),), transcript="S: +OK"), AFTER, NOW)
    assert idle.close_all([ended(together, Ending(SEEN, stages=(("login", 0.1),), transcript="S: +OK"))]) == []
    left = [columns(rule) for rule in (one, other)]
    assert left[0].pop("last_run_id") == (alone.id if cause == Run.Cause.COMMAND else None)
    assert left[1].pop("last_run_id") == (together.id if cause == Run.Cause.COMMAND else None)
    assert left[0] == left[1]
    rows: list[dict[str, object]] = list(Run.objects.order_by("id").values())  # type: ignore[arg-type]
    kept = [{name: value for name, value in row.items() if name not in KEYS} for row in rows]
    assert kept[1:] == kept[:1]
    hours = list(HourlyStat.objects.values("hour", "runs", "failed", "idle", "fetched", "octets", "milliseconds"))
    assert hours[0] == hours[1]


KEYS = {"id", "token", "rule_id", "source_id"}


def test_it_takes_the_same_statements_for_one_as_for_many(
    make_rule: MakeRule, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in (1, 7):
        polls = [ended(begun(make_rule())) for _ in range(number)]
        with django_assert_num_queries(4 + 2):  # and the transaction's own two
            assert idle.close_all(polls) == []


def test_it_counts_hours_together(make_rule: MakeRule) -> None:
    rule = make_rule()
    for _ in range(2):
        idle.close_all([ended(begun(rule))])
        FetchRule.objects.update(next_poll_at=NOW)
    hour = HourlyStat.objects.get()
    assert (hour.runs, hour.idle, hour.failed, hour.octets) == (2, 2, 0, 14)


Change = Callable[[FetchRule], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda rule: FetchRule.objects.update(revision=rule.revision + 1),
        lambda _: FetchRule.objects.update(given_at=NOW + timedelta(seconds=1)),
        lambda _: Run.objects.update(state=Run.State.ABANDONED, finished_at=NOW),
        lambda _: FetchRule.objects.all().delete(),
        lambda _: Run.objects.all().delete(),
    ],
)
def test_it_leaves_those_that_somebody_has_changed_meanwhile(change: Change, make_rule: MakeRule) -> None:
    rule = make_rule()
    poll = ended(begun(rule))
    change(rule)
    assert idle.close_all([poll]) == [poll]
    assert not HourlyStat.objects.exists()


def test_a_poll_to_which_letters_belong_stays_in_the_journal(make_rule: MakeRule) -> None:
    run = begun(make_rule())
    letter = {"epoch": 0, "uid": "a", "size": 1, "recipient": "i@x", "first_seen_at": NOW, "state": "passed"}
    Letter.objects.create(source=run.source, run=run, **letter)
    assert idle.close_all([ended(run)]) == []
    assert Run.objects.get().state == Run.State.DONE


@pytest.mark.parametrize(
    "ending",
    [
        Ending(Counts(), ConnectFailed()),
        Ending(Counts(fetched=1)),
        Ending(Counts(deleted=1)),
        Ending(Counts(held=1)),
        Ending(Counts(), tls=TlsLevel.VERIFIED, tls_version="TLSv1.3"),
        Ending(Counts(), tls=TlsLevel.UNVERIFIED, tls_version="TLSv1.2"),
    ],
)
def test_what_is_news_is_no_idle_poll(ending: Ending, make_rule: MakeRule) -> None:
    run = begun(make_rule(tls_seen=TlsLevel.UNVERIFIED, tls_version="TLSv1.3"))
    assert not idle.is_idle(run, ending)
    for same in (Ending(SEEN), Ending(SEEN, tls=TlsLevel.WEAK, tls_version="TLSv1.3")):
        assert idle.is_idle(run, same)
    run.rule = None
    assert not idle.is_idle(run, Ending(SEEN))
