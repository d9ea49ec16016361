"""A poll from its claim to its result, whatever is claimed and whatever breaks."""

import pytest
from django.utils import timezone

from fetchrules.errors import InternalError, RunOvertaken
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Run
from fetchrules.poll.run import poll
from tests.poll.conftest import Scene


def test_it_polls_once_for_each_claim(scene: Scene) -> None:
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    assert poll(run_id) is not None
    assert poll(run_id) is None
    assert scene.server.connections == 1


def test_it_visits_no_server_for_a_rule_that_was_deleted_meanwhile(scene: Scene) -> None:
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    scene.arrive("a")
    FetchRule.objects.all().delete()
    result = poll(run_id)
    assert result is not None
    assert isinstance(result.error, RunOvertaken)
    assert (scene.server.connections, scene.maildrop.uids) == (0, ["a"])


def test_it_says_that_something_broke_which_nobody_thought_of(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_args: object) -> None:
        raise ZeroDivisionError("petrovpasswd")

    scene.arrive("a")
    with monkeypatch.context() as broken:
        broken.setattr("fetchrules.poll.session.plan", breaks)
        error = scene.poll().error
    assert isinstance(error, InternalError)
    assert error.detail == "ZeroDivisionError", "what an unknown error says may be a secret"
    run = Run.objects.get()
    assert (run.state, run.error) == ("failed", InternalError.code)
    scene.poll_fine()
    assert scene.delivered == ["a"]
