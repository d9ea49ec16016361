"""Names that are given to other letters, or to several: no letter is taken for another, and none is in the others' way."""

from collections.abc import Iterator, Sequence

import pytest

from fetchrules.errors import ConnectionLost, RunOvertaken
from fetchrules.ledger import runs
from fetchrules.policy import Errand
from fetchrules.poll.intake import Intake
from fetchrules.remote.mailbox import Retrieved
from tests.poll.conftest import NewScene, Scene, letter
from tests.poll.test_recovery import crash_at
from tests.servers.maildrop import StoredLetter

SIZE = 300


def empty_out(scene: Scene) -> None:
    """The mailbox's owner takes all away, and polls find nothing."""
    scene.replace()
    for _ in range(3):
        assert scene.poll_fine().found == 0


def test_it_doubts_a_name_that_an_empty_list_did_not_have(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(letter("a", size=SIZE))
    scene.poll_fine()
    empty_out(scene)
    scene.arrive(StoredLetter("a", letter("b", size=SIZE).data))
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]


def test_it_deletes_nothing_unread_by_a_name_that_an_empty_list_did_not_have(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive(letter("a", size=SIZE))
    crash_at("commit", scene, monkeypatch, after=True)
    empty_out(scene)
    scene.arrive(StoredLetter("a", letter("b", size=SIZE).data))
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


def test_it_brings_no_letter_back_that_another_poll_has_deleted_meanwhile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One poll sleeps while it fetches, another takes the letter and deletes it, and the first wakes up to a lost connection."""
    scene.arrive(letter("a", size=SIZE))
    take = Intake.take

    def sleeping(self: Intake, events: Iterator[Retrieved], asked: Sequence[Errand]) -> None:
        monkeypatch.setattr(Intake, "take", take)
        take(self, broken(events), asked)

    def broken(events: Iterator[Retrieved]) -> Iterator[Retrieved]:
        yield next(events)
        for run in scene.rule.runs.filter(finished_at=None):
            assert runs.abandon(run, run.deadline)
        scene.poll_fine()
        raise ConnectionLost

    monkeypatch.setattr(Intake, "take", sleeping)
    assert isinstance(scene.poll().error, RunOvertaken)
    assert (scene.delivered, scene.maildrop.uids) == (["a"], [])
    scene.arrive(StoredLetter("a", letter("b", size=SIZE).data))
    scene.poll_fine(flush=True)
    assert scene.delivered == ["a", "b"]
