"""A local mailbox that another was put in place of: a copy of it, an older one, or none at all."""

import shutil
from pathlib import Path

import pytest

from fetchrules.delivery.maildir import Maildir
from fetchrules.errors import DeliveryFailed, DiskFull, MaildirReplaced
from fetchrules.models import FetchRule, LocalMarker
from tests.poll.conftest import Scene, adopt
from tests.poll.test_recovery import crash_at


def restore(backup: Path, mailbox: Path) -> None:
    """Put a copy of `backup` in the place of `mailbox`, its marker along with it."""
    shutil.rmtree(mailbox)
    shutil.copytree(backup, mailbox)


def restored_after_a_crash(scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The copy holds `a`; `b` was recorded after it was made, and lay in the Maildir that it took the place of."""
    scene.arrive("a")
    scene.poll_fine()
    shutil.copytree(scene.mailbox, tmp_path / "backup")
    scene.arrive("b")
    crash_at("commit", scene, monkeypatch)
    restore(tmp_path / "backup", scene.mailbox)


def test_it_concludes_nothing_from_a_maildir_that_was_restored_from_a_copy(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    restored_after_a_crash(scene, monkeypatch, tmp_path)
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


def test_a_copy_that_is_adopted_gets_what_it_misses(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    restored_after_a_crash(scene, monkeypatch, tmp_path)
    assert adopt(scene.rule.recipient) == 1
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


@pytest.mark.parametrize("after", [False, True], ids=["staged", "in new/"])
def test_adopting_the_right_maildir_finishes_what_is_in_hand(
    after: bool, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch, after=after)
    away = scene.mailbox.rename(scene.mailbox.with_name("unmounted"))
    assert isinstance(scene.poll().error, MaildirReplaced)
    away.rename(scene.mailbox)
    scene.replace()  # its owner tidies up on the server
    assert adopt(scene.rule.recipient) == 0
    assert LocalMarker.objects.exists()
    scene.poll_fine()
    assert scene.delivered == ["a"]


def test_adopting_takes_back_nothing_that_fails_for_another_reason(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr(Maildir, "_move", lambda _, names: {name: DeliveryFailed("EIO") for name in names})
        assert adopt(scene.rule.recipient) == 0
    assert scene.states == {"a": "ready"}


def test_adopting_leaves_a_poll_at_work_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its record and its delivery the administrator presses the button."""
    commit = Maildir.commit

    def pressed(self: Maildir, names: list[str]) -> dict[str, DeliveryFailed]:
        assert adopt(scene.rule.recipient) == 0
        return commit(self, names)

    monkeypatch.setattr(Maildir, "commit", pressed)
    scene.arrive("a")
    scene.poll_fine()
    assert scene.states == {"a": "delivered"}
    assert (scene.delivered, scene.maildrop.uids) == (["a"], [])


def refusing(_: Maildir, octets: int) -> None:
    raise DiskFull(f"{octets} octets")


def test_a_disk_that_is_full_is_not_another(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.arrive("a")
    scene.poll_fine()
    monkeypatch.setattr(Maildir, "prepare", refusing)
    assert adopt(scene.rule.recipient) == 0
    assert LocalMarker.objects.exists()
