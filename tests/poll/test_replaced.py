"""A local mailbox that another was put in place of: a copy of it, an older one, or none at all."""

import shutil
from pathlib import Path

import pytest

from fetchrules.errors import MaildirReplaced
from fetchrules.models import FetchRule
from tests.poll.conftest import Scene
from tests.poll.test_recovery import crash_at


def restore(backup: Path, mailbox: Path) -> None:
    """Put a copy of `backup` in the place of `mailbox`, its marker along with it."""
    shutil.rmtree(mailbox)
    shutil.copytree(backup, mailbox)


def test_it_concludes_nothing_from_a_maildir_that_was_restored_from_a_copy(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene.arrive("a")
    scene.poll_fine()
    shutil.copytree(scene.mailbox, tmp_path / "backup")
    scene.arrive("b")
    crash_at("commit", scene, monkeypatch)
    restore(tmp_path / "backup", scene.mailbox)
    scene.arrive("c")
    for _ in range(2):
        assert isinstance(scene.poll().error, MaildirReplaced)
        assert (scene.states["b"], scene.delivered, scene.maildrop.uids) == ("ready", ["a"], ["b", "c"])


def test_it_delivers_what_waits_in_a_copy(scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scene.arrive("a", "b")
    crash_at("commit", scene, monkeypatch)
    shutil.copytree(scene.mailbox, tmp_path / "new disk")
    restore(tmp_path / "new disk", scene.mailbox)
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


def test_it_goes_on_in_a_copy_while_nothing_is_in_hand(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene.arrive("a")
    scene.poll_fine()
    shutil.copytree(scene.mailbox, tmp_path / "new disk")
    restore(tmp_path / "new disk", scene.mailbox)
    scene.arrive("b")
    crash_at("commit", scene, monkeypatch, after=True)
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], []), "from now on the copy is the one that is known"


@pytest.mark.parametrize("in_hand", [False, True])
def test_it_takes_a_maildir_of_an_older_release_for_a_copy(
    in_hand: bool, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("a")
    if in_hand:
        crash_at("commit", scene, monkeypatch, after=True)
    else:
        scene.poll_fine()
    (scene.mailbox / "tmp/utm-mail/seal").unlink()
    scene.arrive("b")
    if in_hand:
        assert isinstance(scene.poll().error, MaildirReplaced)
        return
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]


def test_it_deletes_nothing_while_a_copy_is_in_doubt(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene.arrive("a")
    scene.poll_fine(keep=True)
    shutil.copytree(scene.mailbox, tmp_path / "backup")
    scene.arrive("b")
    crash_at("commit", scene, monkeypatch)
    restore(tmp_path / "backup", scene.mailbox)
    FetchRule.objects.update(pause="")
    assert isinstance(scene.poll(flush=True).error, MaildirReplaced)
    assert scene.maildrop.uids == ["a", "b"]
