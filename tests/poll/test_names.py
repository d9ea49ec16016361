"""Names that are given to other letters, or to several: no letter is taken for another, and none is in the others' way."""

import pytest

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
