"""`flags`: letters of an IMAP source are delivered as read, flagged or answered, as they were there."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from fetchrules.delivery.maildir import Maildir
from fetchrules.ledger import by_hand
from fetchrules.models import Letter
from fetchrules.policy.known import Doubt
from tests.conftest import MakeRule
from tests.poll.conftest import ImapScene, NewImapScene, Reader
from tests.poll.test_recovery import crash_at
from tests.servers import imap
from tests.servers.lmtp import MailSink, serving

MARKED: dict[str, tuple[str, ...]] = {
    "none": (),
    "flagged": ("\\Flagged",),
    "answered": ("\\Answered",),
    "read": ("\\Seen",),
    "all": ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Label1"),
    "another": ("$Label1", "\\Draft"),
}
DELIVERED = {
    "none": ("new", ""),
    "flagged": ("cur", ":2,F"),
    "answered": ("cur", ":2,R"),
    "read": ("cur", ":2,S"),
    "all": ("cur", ":2,FRS"),
    "another": ("new", ""),
}


def places(reader: Reader) -> dict[str, tuple[str, str]]:
    """By subject: the directory of a delivered letter, and its info."""
    found: dict[str, tuple[str, str]] = {}
    for path in [*(reader.mailbox / "new").glob("*"), *(reader.mailbox / "cur").glob("*")]:
        subject = path.read_bytes().split(b"Subject: ")[1].split(b"\n")[0].decode()
        assert subject not in found, "it is delivered once"
        base, colon, info = path.name.partition(":")
        assert ":" not in base
        found[subject] = path.parent.name, colon + info
    return found


def scene_with_marks(new_imap_scene: NewImapScene, **columns: Any) -> ImapScene:
    """A mailbox with a letter of each kind, which the rule collects whether it is read or not."""
    scene = new_imap_scene(**{"uidl": True, "flags": True, **columns})
    for name, flags in MARKED.items():
        scene.arrive(name, flags=flags)
    return scene


def test_letters_keep_their_marks(new_imap_scene: NewImapScene) -> None:
    scene = scene_with_marks(new_imap_scene)
    assert scene.poll_fine().fetched == len(MARKED)
    assert places(scene) == DELIVERED
    assert not scene.staged


def test_they_arrive_as_new_ones_without_the_word(new_imap_scene: NewImapScene) -> None:
    scene = scene_with_marks(new_imap_scene, flags=False)
    scene.poll_fine()
    assert set(places(scene).values()) == {("new", "")}


def test_a_letter_that_only_our_own_poll_marked_arrives_unread(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True, flags=True)
    scene.arrive("a")
    scene.poll_fine()
    assert "\\Seen" in scene.folder.letters[0].flags
    assert places(scene) == {"a": ("new", "")}


def test_a_letter_that_is_fetched_again_arrives_unread(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True, flags=True)
    scene.arrive("a", flags=("\\Flagged",))
    scene.poll_fine()
    (first,) = (scene.mailbox / "cur").iterdir()
    first.unlink()
    scene.poll_fine(fetchall=True)
    assert places(scene) == {"a": ("cur", ":2,F")}


@pytest.mark.parametrize("uidl", [False, True], ids=["by marks", "uidl"])
def test_a_mark_that_was_made_for_another_recipient_counts_for_nothing(
    uidl: bool, new_imap_scene: NewImapScene, make_rule: MakeRule, tmp_path: Path
) -> None:
    scene = new_imap_scene(keep=True, flags=True, uidl=uidl)
    scene.arrive("a", flags=("\\Answered",))
    scene.poll_fine()
    second = other_reader(scene, make_rule, tmp_path)
    second.poll_fine()
    assert places(second) == {"a": ("cur", ":2,R")}


def other_reader(scene: ImapScene, make_rule: MakeRule, tmp_path: Path) -> Reader:
    """Another recipient of the same letters, whose rule says the same."""
    columns = ("server", "port", "user", "encryption", "timeout", "keep", "uidl", "flags")
    said = {name: getattr(scene.rule, name) for name in columns}
    other = make_rule(**said, protocol="imap", recipient="sidorov@mydomain.ru")
    return Reader(other, tmp_path / "mail" / "mydomain.ru" / "sidorov")


@pytest.mark.parametrize("read", [False, True], ids=["read by us", "read by people"])
def test_a_letter_that_could_not_be_fetched_at_first_is_read_if_people_have_read_it(
    read: bool, new_imap_scene: NewImapScene, make_rule: MakeRule, tmp_path: Path
) -> None:
    refusing = imap.Behaviour(refuses={1: "NO not this one"})
    scene = new_imap_scene(refusing, keep=True, uidl=True, flags=True)
    scene.arrive("a", flags=("\\Seen",) if read else ())
    scene.poll()
    assert scene.states == {"1": "held"}
    scene.behave()
    if not read:
        other_reader(scene, make_rule, tmp_path).poll_fine()
        assert "\\Seen" in scene.folder.letters[0].flags
    scene.poll_fine()
    assert places(scene) == {"a": ("cur", ":2,S") if read else ("new", "")}


def test_a_letter_that_is_collected_again_by_hand_arrives_unread(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True, uidl=True, flags=True)
    scene.arrive("a")
    scene.poll_fine()
    Letter.objects.update(doubt=Doubt.SHORT)
    assert by_hand.collect_again(Letter.objects.all()) == 1
    (scene.mailbox / "new" / Letter.objects.get().file_name).unlink()
    assert scene.poll_fine().fetched == 1
    assert places(scene) == {"a": ("new", "")}


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_changes_no_mark(after: bool, new_imap_scene: NewImapScene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_with_marks(new_imap_scene)
    crash_at("commit", scene, monkeypatch, after=after)
    assert set(scene.states.values()) == {"ready"}
    scene.poll_fine(flags=False)
    assert places(scene) == DELIVERED
    assert set(scene.states.values()) == {"delivered"}
    assert (scene.folder.letters, scene.staged) == ((), set())


def test_a_crash_between_two_letters_delivers_each_once(
    new_imap_scene: NewImapScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_with_marks(new_imap_scene)
    move = Maildir._move

    def half(self: Maildir, names: list[str]) -> object:
        move(self, names[: len(names) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Maildir, "_move", half)
    with pytest.raises(KeyboardInterrupt):
        scene.poll()
    monkeypatch.undo()
    scene.rule.runs.filter(finished_at=None).delete()
    scene.poll_fine()
    assert places(scene) == DELIVERED


def test_a_user_may_have_moved_what_was_delivered_before_the_crash(
    new_imap_scene: NewImapScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_imap_scene(uidl=True, flags=True)
    scene.arrive("a", flags=("\\Flagged",))
    crash_at("commit", scene, monkeypatch, after=True)
    (file,) = (scene.mailbox / "cur").iterdir()
    file.rename(file.with_name(file.name.replace(":2,F", ":2,FST")))
    assert scene.poll_fine().fetched == 0
    assert places(scene) == {"a": ("cur", ":2,FST")}


def test_the_name_on_record_has_the_marks(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(uidl=True, flags=True)
    scene.arrive("a", flags=("\\Seen",))
    scene.poll_fine()
    (file,) = (scene.mailbox / "cur").iterdir()
    assert Letter.objects.get().file_name == file.name


def test_a_mail_server_takes_letters_without_marks(
    new_imap_scene: NewImapScene, settings: Settings, tmp_path: Path
) -> None:
    sink = MailSink()
    with serving(sink) as server:
        settings.DATA_DIR = tmp_path
        settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{server.port}"
        scene = scene_with_marks(new_imap_scene)
        assert scene.poll_fine().fetched == len(MARKED)
    assert len(sink.taken) == len(MARKED)
    assert not Letter.objects.filter(file_name__contains=":").exists()


def test_marks_do_not_stand_in_the_way_of_a_long_host_name(
    new_imap_scene: NewImapScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "mx." + "x" * 200)
    scene = new_imap_scene(uidl=True, flags=True)
    scene.arrive("a", flags=MARKED["all"])
    scene.poll_fine()
    assert places(scene) == {"a": ("cur", ":2,FRS")}
    assert len(Letter.objects.get().file_name) == 120


def test_changed_flags_of_letters_that_stay_deliver_nothing_again(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True, uidl=True, flags=True)
    (uid,) = scene.arrive("a")
    scene.poll_fine()
    scene.folder.flag(uid, "\\Flagged")
    assert scene.poll_fine().fetched == 0
    assert places(scene) == {"a": ("new", "")}


def test_marks_go_into_the_folder_that_the_rule_names(new_imap_scene: NewImapScene) -> None:
    scene = scene_with_marks(new_imap_scene, into=[["", "Archive"]])
    assert scene.poll_fine().fetched == len(MARKED)
    assert places(Reader(scene.rule, scene.mailbox / ".Archive")) == DELIVERED
