"""What a crash leaves between the record and the delivery: finished where it waits, concluded from nowhere else."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.staging import Staging, staged_name
from fetchrules.errors import DeliveryFailed, MaildirReplaced
from fetchrules.ledger import leases, runs
from fetchrules.ledger import letters as ledger
from fetchrules.models import FetchRule, Letter, Run
from fetchrules.upkeep.housekeeping import tidy
from tests.conftest import MakeRule
from tests.poll.conftest import NewScene, Reader, Scene
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Behaviour


class Crash(BaseException):
    """The end of the process, as far as the code under test can tell."""


def crash_at(name: str, scene: Reader, monkeypatch: pytest.MonkeyPatch, *, after: bool = False) -> None:
    """Poll, and die before (or after) the Maildir does `name`."""
    original: Callable[..., object] = getattr(Maildir, name)

    def dying(self: Maildir, *args: object) -> object:
        if after:
            original(self, *args)
        raise Crash

    with monkeypatch.context() as dead:
        dead.setattr(Maildir, name, dying)
        with pytest.raises(Crash):
            scene.poll()
    for run in scene.rule.runs.filter(finished_at=None):
        assert leases.abandon(run, run.deadline)


@pytest.mark.parametrize("after", [False, True])
def test_it_finishes_what_it_had_recorded(after: bool, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.arrive("a", "b")
    crash_at("commit", scene, monkeypatch, after=after)
    assert set(scene.states.values()) == {"ready"}
    counts = scene.poll_fine()
    assert (counts.fetched, counts.deleted) == (0, 2)
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


def test_it_delivers_to_whom_it_was_for_when_the_crash_came(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch)
    scene.arrive("b")
    scene.poll_fine(recipient="sidorov@mydomain.ru")
    assert scene.delivered == ["a"]
    other = scene.mailbox.parent / "sidorov" / "new"
    assert [b"Subject: b" in path.read_bytes() for path in other.iterdir()] == [True]


def test_it_concludes_nothing_from_another_place(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch)
    scene.arrive("b")
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/elsewhere/{{local}}"
    assert isinstance(scene.poll().error, MaildirReplaced)
    assert scene.states["a"] == "ready"
    assert scene.maildrop.uids == ["a"], "it holds up no other letter"


def test_it_follows_a_maildir_that_was_moved(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch)
    (tmp_path / "elsewhere").mkdir()
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/elsewhere/{{local}}"
    scene.mailbox = scene.mailbox.rename(tmp_path / "elsewhere" / "i.petrov")
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a"], [])


def test_it_concludes_nothing_while_the_maildir_is_away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch)
    away = scene.mailbox.rename(scene.mailbox.with_name("unmounted"))
    assert isinstance(scene.poll().error, MaildirReplaced)
    assert (scene.states, scene.maildrop.uids) == ({"a": "ready"}, ["a"])
    away.rename(scene.mailbox)
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a"], [])


def test_it_leaves_in_hand_what_cannot_be_moved(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.arrive("a", "b")
    move = Maildir._move
    failed: list[str] = []

    def failing(self: Maildir, names: list[str]) -> dict[str, DeliveryFailed]:
        failed[:] = names[:1]
        return {names[0]: DeliveryFailed("EIO"), **move(self, names[1:])} if names else {}

    with monkeypatch.context() as broken:
        broken.setattr(Maildir, "_move", failing)
        for _ in range(2):
            assert isinstance(scene.poll().error, DeliveryFailed)
            assert set(Letter.objects.filter(state="ready").values_list("file_name", flat=True)) == set(failed)
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


@pytest.mark.parametrize("named", [True, False], ids=["all have new names", "none has a name"])
def test_it_takes_no_letter_in_hand_for_another_one(
    named: bool, new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(Behaviour(uidl=named, capabilities=None))
    scene.arrive("a", "b")
    move = Maildir._move
    stuck: list[str] = []

    def failing(self: Maildir, names: list[str]) -> dict[str, DeliveryFailed]:
        stuck[:] = stuck or names[:1]
        failures = {name: DeliveryFailed("EIO") for name in names if name in stuck}
        return {**move(self, [name for name in names if name not in stuck]), **failures}

    with monkeypatch.context() as broken:
        broken.setattr(Maildir, "_move", failing)
        assert isinstance(scene.poll().error, DeliveryFailed)
        if named:
            scene.replace(*(StoredLetter(f"new-{one.uid}", one.data) for one in scene.maildrop.letters))
        for _ in range(2):
            assert isinstance(scene.poll().error, DeliveryFailed)
    for _ in range(3):
        scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


def test_it_deletes_no_letter_that_is_in_hand_whatever_it_is_called(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("a")
    with monkeypatch.context() as broken:
        broken.setattr(Maildir, "_move", lambda _, names: {name: DeliveryFailed("EIO") for name in names})
        assert isinstance(scene.poll().error, DeliveryFailed)
        scene.replace(*(StoredLetter(f"new-{one.uid}", one.data) for one in scene.maildrop.letters))
        assert isinstance(scene.poll().error, DeliveryFailed)
        assert scene.maildrop.uids == ["new-a"]
        assert list(Letter.objects.values_list("uid", "fate")) == [("a", "wanted")]
    for _ in range(2):
        scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a"], [])


@pytest.mark.parametrize("keep", [True, False])
def test_it_deletes_nothing_while_the_maildir_is_away(keep: bool, new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a", "b")
    scene.poll_fine()
    if not keep:
        Letter.objects.update(fate="wanted")
    away = scene.mailbox.rename(scene.mailbox.with_name("unmounted"))
    assert isinstance(scene.poll(keep=keep, flush=keep).error, MaildirReplaced)
    assert scene.maildrop.uids == ["a", "b"]
    away.rename(scene.mailbox)
    FetchRule.objects.update(pause="")
    assert scene.poll_fine().deleted == 2


def test_it_sweeps_away_nothing_of_a_poll_at_work_when_the_clock_jumps(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    """The other poll names the mailbox otherwise."""
    scene, other = new_scene(recipient="petrov@one.ru"), new_scene(recipient="petrov@two.ru")
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/mail/{{local}}"
    scene.mailbox = tmp_path / "mail/petrov"
    scene.arrive("a")
    other.arrive("b")
    record = ledger.record_ready

    def recording(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(ledger, "record_ready", record)
        with monkeypatch.context() as later:
            days = SimpleNamespace(time=lambda: time.time() + 2 * 24 * 3600)
            later.setattr("fetchrules.delivery.staging.time", days)
            assert other.poll_fine().fetched == 1
        return record(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "record_ready", recording)
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]


def leave_behind(scene: Scene, name: str) -> Path:
    """A file that a crash has left in staging, long ago by its name."""
    path = scene.mailbox / "tmp/utm-mail" / name
    path.touch()
    return path


def test_it_sweeps_away_what_nobody_has_in_hand(
    scene: Scene, make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another mailbox's poll does not keep it from that, nor one for somebody whose name is none."""
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch)
    other = make_rule(server="elsewhere.example", recipient="sidorov@mydomain.ru")
    nobody = make_rule(server="anywhere.example", recipient="../sidorov")
    assert len(runs.claim([other, nobody], timezone.now(), Run.Cause.COMMAND)) == 2
    old = leave_behind(scene, staged_name("old", "mx", 0))
    scene.arrive("b")
    scene.poll_fine()
    assert not old.exists()
    assert scene.delivered == ["a", "b"]


def test_it_sweeps_away_nothing_that_is_on_record(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch)
    (staged,) = Letter.objects.values_list("file_name", flat=True)
    days = SimpleNamespace(time=lambda: time.time() + 2 * 24 * 3600)
    monkeypatch.setattr("fetchrules.delivery.staging.time", days)
    move = Maildir._move

    def failing(self: Maildir, names: list[str]) -> dict[str, DeliveryFailed]:
        return {name: DeliveryFailed("EIO") for name in names} if staged in names else move(self, names)

    with monkeypatch.context() as broken:
        broken.setattr(Maildir, "_move", failing)
        scene.arrive("b")
        assert isinstance(scene.poll().error, DeliveryFailed)
    assert (scene.delivered, scene.states["a"]) == (["b"], "ready")
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


def test_it_sweeps_away_nothing_of_a_poll_that_begins_while_it_looks(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock jumps ahead while the other one stages its letter; when the first asks who is at work, it has ended."""
    scene, other = new_scene(), new_scene()
    scene.arrive("a")
    other.arrive("b")
    look = Staging.leftovers

    def looking(self: Staging) -> list[str]:
        monkeypatch.setattr(Staging, "leftovers", look)
        found = look(self)
        crash_at("commit", other, monkeypatch)
        return found + list(Letter.objects.filter(uid="b").values_list("file_name", flat=True))

    monkeypatch.setattr(Staging, "leftovers", looking)
    scene.poll_fine()
    other.poll_fine()
    assert scene.delivered == ["a", "b"]


def test_it_delivers_what_is_on_record_though_nobody_reads_that_mailbox_any_more(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And another mailbox that cannot be delivered into does not keep it from that."""
    scene, other = new_scene(), new_scene(recipient="a.petrov@mydomain.ru")
    for one in (scene, other):
        one.arrive("a")
        crash_at("commit", one, monkeypatch)
    scene.rule.delete()
    away = other.mailbox.rename(other.mailbox.with_name("unmounted"))
    tidy(timezone.now())
    assert scene.delivered == ["a"]
    assert "a recorded letter could not be delivered" in caplog.text
    away.rename(other.mailbox)
    tidy(timezone.now())
    assert other.delivered == ["a"]


def test_it_finishes_nothing_of_a_poll_at_work(new_scene: NewScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run names one folder of the account, its letter may be of another."""
    scene = new_scene()
    scene.arrive("a")
    crash_at("commit", scene, monkeypatch)
    folder = scene.rule.source
    folder.pk, folder.folder = None, "Spam"
    folder.save()
    Letter.objects.update(source=folder)
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    tidy(timezone.now())
    assert scene.delivered == []
    assert leases.abandon(Run.objects.get(id=run_id), timezone.now())
    tidy(timezone.now())
    assert scene.delivered == ["a"]
