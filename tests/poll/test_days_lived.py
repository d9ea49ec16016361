"""keepdays: a letter goes after days that the clock shows and that the mailbox has lived through."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from tests.poll.conftest import NewScene, Scene

DAY = timedelta(days=1)
START = timezone.now()
SetClock = Callable[[timedelta], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Put the clock so far from START."""

    def put(offset: timedelta) -> None:
        def now() -> datetime:
            return START + offset

        monkeypatch.setattr(timezone, "now", now)

    return put


def lives(scene: Scene, set_clock: SetClock, begin: timedelta, end: timedelta, step: timedelta) -> None:
    """Polls from `begin` to `end`, `step` apart."""
    at = begin
    while at <= end:
        set_clock(at)
        scene.poll_fine()
        at += step


def test_it_deletes_after_the_days_that_the_rule_says(new_scene: NewScene, set_clock: SetClock) -> None:
    scene = new_scene(keepdays=3)
    scene.arrive("a")
    lives(scene, set_clock, 0 * DAY, 2.9 * DAY, DAY / 4)
    assert scene.maildrop.uids == ["a"]
    lives(scene, set_clock, 3 * DAY, 3.1 * DAY, DAY / 20)
    assert scene.maildrop.uids == []


def test_it_counts_where_polls_are_rarer_than_days(new_scene: NewScene, set_clock: SetClock) -> None:
    scene = new_scene(keepdays=3, interval=36 * 60)
    scene.arrive("a")
    lives(scene, set_clock, 0 * DAY, 3 * DAY, 1.5 * DAY)
    assert scene.maildrop.uids == []


def test_a_clock_ahead_for_a_day_brings_no_expiry_nearer(new_scene: NewScene, set_clock: SetClock) -> None:
    scene = new_scene(keepdays=3)
    scene.arrive("a")
    lives(scene, set_clock, 0 * DAY, 1 * DAY, DAY / 4)
    lives(scene, set_clock, 41 * DAY, 42 * DAY, DAY / 4)
    lives(scene, set_clock, 2 * DAY, 2.9 * DAY, DAY / 4)
    assert scene.maildrop.uids == ["a"]
    lives(scene, set_clock, 3 * DAY, 4 * DAY, DAY / 4)
    assert scene.maildrop.uids == []


def test_letters_delivered_under_a_clock_in_the_past_stay(new_scene: NewScene, set_clock: SetClock) -> None:
    scene = new_scene(keepdays=3)
    set_clock(-100 * DAY)
    scene.arrive("a")
    scene.poll_fine()
    lives(scene, set_clock, 0 * DAY, 2.9 * DAY, DAY / 4)
    assert scene.maildrop.uids == ["a"]
    lives(scene, set_clock, 3 * DAY, 3.5 * DAY, DAY / 4)
    assert scene.maildrop.uids == []


def test_it_says_what_it_could_not_count(new_scene: NewScene, set_clock: SetClock) -> None:
    scene = new_scene(keepdays=3)
    scene.arrive("a", "b")
    lives(scene, set_clock, 0 * DAY, 1 * DAY, DAY / 2)
    set_clock(10 * DAY)
    assert scene.poll_fine().left["uncounted"] == 2
    set_clock(10.1 * DAY)
    assert "uncounted" not in scene.poll_fine().left


def test_letters_of_an_older_version_are_counted_from_now_on(new_scene: NewScene, set_clock: SetClock) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a")
    set_clock(-10 * DAY)
    scene.poll_fine()
    scene.rule.refresh_from_db()
    scene.poll(keep=False, keepdays=1)
    lives(scene, set_clock, 0 * DAY, 0.9 * DAY, DAY / 4)
    assert scene.maildrop.uids == ["a"]
    lives(scene, set_clock, 1 * DAY, 1.5 * DAY, DAY / 4)
    assert scene.maildrop.uids == []
