"""Rules go on by themselves when what had paused them is over, and no server is asked for that."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.errors import LoginRefused, PasswordUnreadable, TargetForbidden
from fetchrules.models import FetchRule, Pause, ServiceSettings
from fetchrules.poll.reexamination import reexamine
from fetchrules.upkeep.housekeeping import tidy
from tests.poll.conftest import NewScene, Scene

HOUR = timedelta(hours=1)


def goes_on(scene: Scene) -> bool:
    """Whether housekeeping makes the rule due, without a connection."""
    connections, now = scene.server.connections, timezone.now()
    tidy(now)
    assert scene.server.connections == connections
    scene.rule.refresh_from_db()
    return scene.rule.pause == Pause.NONE and scene.rule.next_poll_at == now


def pause(scene: Scene) -> None:
    """As if it had failed for an hour."""
    since = timezone.now() - HOUR
    failing = {"failures": 4, "failing_since": since, "counted_since": since}
    FetchRule.objects.update(pause=Pause.FAILURE, next_poll_at=None, **failing)


@pytest.fixture
def restricted(new_scene: NewScene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The rule of somebody who may not connect to 127.0.0.1, on a port that he may use."""
    scene = new_scene(restricted=True)
    monkeypatch.setattr("fetchrules.poll.looking.MAIL_PORTS", frozenset({scene.server.port}))
    assert isinstance(scene.poll().error, TargetForbidden)
    return scene


def allow() -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(owner_networks="127.0.0.0/8")


def test_it_goes_on_when_its_target_is_allowed(restricted: Scene) -> None:
    restricted.arrive("a")
    pause(restricted)
    assert not goes_on(restricted)
    allow()
    assert goes_on(restricted)
    restricted.poll_fine()
    assert restricted.delivered == ["a"]


def test_it_does_not_wait_out_a_long_back_off_when_its_target_is_allowed(restricted: Scene) -> None:
    FetchRule.objects.update(next_poll_at=timezone.now() + 5 * HOUR)
    assert not goes_on(restricted)
    allow()
    assert goes_on(restricted)


def test_it_goes_on_when_its_password_opens_again(scene: Scene, settings: Settings) -> None:
    sealed = scene.rule.password
    FetchRule.objects.update(password=sealed[:-8] + "AAAAAAA=")
    assert isinstance(scene.poll().error, PasswordUnreadable)
    assert not goes_on(scene)
    FetchRule.objects.update(password=sealed)
    assert goes_on(scene)
    scene.poll_fine()


def test_it_goes_on_where_no_certificate_is_pinned(scene: Scene) -> None:
    pause(scene)
    FetchRule.objects.update(last_error="certificate_changed")
    assert goes_on(scene)


@pytest.mark.parametrize(
    "columns",
    [
        {"last_error": "certificate_changed", "sslfingerprint": ["a" * 64]},
        {"last_error": LoginRefused.code},
        {"last_error": TargetForbidden.code, "enabled": False},
        {"last_error": TargetForbidden.code, "pause": Pause.BY_HAND},
    ],
)
def test_it_leaves_alone_what_waits_for_a_person(columns: dict[str, object], scene: Scene) -> None:
    pause(scene)
    FetchRule.objects.update(**columns)
    assert not goes_on(scene)


def test_it_pauses_again_only_if_that_lasts_again(restricted: Scene) -> None:
    pause(restricted)
    allow()
    assert reexamine(timezone.now()) == 1
    ServiceSettings.objects.update(owner_networks="")
    assert isinstance(restricted.poll().error, TargetForbidden)
    restricted.rule.refresh_from_db()
    assert (restricted.rule.pause, restricted.rule.failures) == (Pause.NONE, 5)
