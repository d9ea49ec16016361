"""Letters that go into folders of the local mailbox."""

from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.spool import SpooledMailbox
from fetchrules.errors import FolderUnsupported, MaildirReplaced
from fetchrules.models import FetchRule, Letter, LocalMarker
from fetchrules.policy.table import Terms
from fetchrules.poll.looking import account_of
from fetchrules.poll.trial import try_connection
from fetchrules.rule import MASK
from fetchrules.ruletext.sources import local_folders
from tests.poll.conftest import NewImapScene, Scene, adopt
from tests.servers.maildrop import Folder, letter

pytestmark = pytest.mark.django_db


def subjects(maildir: Path) -> list[str]:
    texts = [path.read_bytes() for path in (maildir / "new").glob("*")]
    return sorted(text.split(b"Subject: ")[1].split(b"\n")[0].decode() for text in texts)


def test_each_folder_there_has_its_own_here(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene()
    scene.server.folders = {name: Folder([letter(name)]) for name in ("INBOX", "B", "C")}
    scene.poll_fine(folders=["INBOX", "B", "C"], into=[["B", "Junk"], ["C", "Сбор/Банк"]])
    assert scene.delivered == ["INBOX"]
    assert subjects(scene.mailbox / ".Junk") == ["B"]
    assert subjects(scene.mailbox / ".&BCEEMQQ+BEA-.&BBEEMAQ9BDo-") == ["C"]
    assert dict(Letter.objects.values_list("source__folder", "into")) == {"INBOX": "", "B": "Junk", "C": "Сбор/Банк"}
    assert (scene.mailbox / "subscriptions").read_bytes() == b"Junk\n&BCEEMQQ+BEA-.&BBEEMAQ9BDo-\n"


def test_another_folder_moves_nothing(scene: Scene) -> None:
    scene.arrive("a")
    scene.poll_fine(keep=True, into=[["", "A"]])
    scene.arrive("b")
    scene.poll_fine(into=[["", "B"]])
    scene.arrive("c")
    scene.poll_fine(into=[])
    assert (subjects(scene.mailbox / ".A"), subjects(scene.mailbox / ".B"), scene.delivered) == (["a"], ["b"], ["c"])


def test_a_word_counts_before_the_folder_of_the_installation(scene: Scene, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY += "?folder=Collected"
    for name, into in (("a", []), ("b", [["", "B"]]), ("c", [["", "Inbox"]])):
        scene.arrive(name)
        scene.poll_fine(into=into)
    assert subjects(scene.mailbox / ".Collected") == ["a"]
    assert (subjects(scene.mailbox / ".B"), scene.delivered) == (["b"], ["c"])


def test_names_may_be_utf_8_on_the_disk(scene: Scene, settings: Settings) -> None:
    settings.UTM_MAIL_FOLDER_NAMES = "utf-8"
    scene.arrive("a")
    scene.poll_fine(into=[["", "Сбор/Банк"]])
    assert subjects(scene.mailbox / ".Сбор.Банк") == ["a"]


def test_letters_in_hand_arrive_where_they_were_to_go(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the rule names another folder since."""
    scene.arrive("a")
    with monkeypatch.context() as crashing:
        crashing.setattr(Maildir, "commit", _crash)
        scene.poll(into=[["", "A"]])
    assert scene.states == {scene.maildrop.uids[0]: "ready"}
    scene.poll_fine(into=[["", "B"]])
    assert subjects(scene.mailbox / ".A") == ["a"]
    assert not (scene.mailbox / ".B").exists()


def _crash(*_: object) -> None:
    raise RuntimeError("the power is off")


def test_a_folder_that_was_replaced_is_noticed_and_accepted(scene: Scene) -> None:
    scene.arrive("a")
    scene.poll_fine(into=[["", "A"]])
    (scene.mailbox / ".A").rename(scene.mailbox / ".old")
    scene.arrive("b")
    assert isinstance(scene.poll().error, MaildirReplaced)
    assert adopt(scene.rule.recipient) == 0
    scene.poll_fine()
    assert (subjects(scene.mailbox / ".A"), subjects(scene.mailbox / ".old")) == (["b"], ["a"])
    assert LocalMarker.objects.filter(path=str(scene.mailbox / ".A")).count() == 1


def test_a_mail_server_without_details_takes_no_folder(scene: Scene, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "lmtp://127.0.0.1:1"
    scene.arrive("a")
    assert isinstance(scene.poll(into=[["", "A"]]).error, FolderUnsupported)
    settings.UTM_MAIL_DETAIL = "+"
    assert isinstance(scene.poll(into=[["", "Банк"]]).error, FolderUnsupported)
    assert scene.maildrop.uids
    assert FetchRule.objects.get().pause


def test_accepting_one_folder_leaves_the_others_known(new_imap_scene: NewImapScene, tmp_path: Path) -> None:
    """So that none of them is made anew where the volume is not mounted."""
    scene = new_imap_scene()
    scene.server.folders = {name: Folder([letter(name)]) for name in ("B", "C")}
    scene.poll_fine(folders=["B", "C"], into=[["B", "B"], ["C", "C"]])
    LocalMarker.objects.create(path=str(scene.mailbox.parent / "other"), marker="0" * 32)
    (scene.mailbox / ".B").rename(scene.mailbox / ".old")
    adopt(scene.rule.recipient)
    scene.poll_fine()
    root = scene.mailbox.parent.parent
    root.rename(tmp_path / "unmounted")
    root.mkdir()
    scene.server.folders["C"].add(letter("new"))
    assert isinstance(scene.poll(folders=["C"], into=[["C", "C"]]).error, MaildirReplaced)
    assert not list(root.iterdir())


def test_letters_in_hand_for_a_folder_without_an_address_hold_up_no_others(
    scene: Scene, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The details were switched off meanwhile. The letters are collected again once somebody says so."""
    settings.UTM_MAIL_DELIVERY, settings.UTM_MAIL_DETAIL = "lmtp://127.0.0.1:1", "+"
    scene.arrive("a")
    with monkeypatch.context() as crashing:
        crashing.setattr(SpooledMailbox, "prepare", lambda mailbox, _: mailbox.staging.open())
        crashing.setattr(SpooledMailbox, "commit", _crash)
        scene.poll(into=[["", "A"]])
    assert set(scene.states.values()) == {"sending"}
    settings.UTM_MAIL_DETAIL = ""
    assert isinstance(scene.poll(into=[]).error, MaildirReplaced)
    assert not FetchRule.objects.get().pause
    assert adopt(scene.rule.recipient) == 1
    assert not scene.states


def test_a_list_of_subscriptions_that_cannot_be_changed_keeps_no_letter_away(scene: Scene, tmp_path: Path) -> None:
    scene.mailbox.mkdir(parents=True)
    (scene.mailbox / "subscriptions").symlink_to(tmp_path / "elsewhere")
    scene.arrive("a")
    scene.poll_fine(into=[["", "A"]])
    assert subjects(scene.mailbox / ".A") == ["a"]
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_gone_holds_up_no_other(new_imap_scene: NewImapScene) -> None:
    """People remove folders in their mail programs."""
    scene = new_imap_scene()
    scene.server.folders = {name: Folder([letter(f"{name}1")]) for name in ("INBOX", "B", "C")}
    scene.poll_fine(folders=["INBOX", "B", "C"], into=[["B", "Junk"], ["C", "Bank"]])
    (scene.mailbox / ".Junk").rename(scene.mailbox / ".old")
    for number in (2, 3):
        for name, folder in scene.server.folders.items():
            folder.add(letter(f"{name}{number}"))
        assert isinstance(scene.poll().error, MaildirReplaced)
        assert scene.delivered == [f"INBOX{one}" for one in range(1, number + 1)]
        assert subjects(scene.mailbox / ".Bank") == [f"C{one}" for one in range(1, number + 1)]
    assert adopt(scene.rule.recipient) == 0
    scene.poll_fine()
    assert subjects(scene.mailbox / ".Junk") == ["B2", "B3"]


def test_a_trial_asks_for_the_folder(scene: Scene, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "lmtp://127.0.0.1:1"
    scene.rule.into = [["", "A"]]
    spec, source = scene.rule.as_rule(MASK), scene.rule.source
    account = account_of(scene.rule, source)
    trial = try_connection(
        account, source, Terms.of(spec), scene.rule.recipient, timezone.now(), into=local_folders(spec)
    )
    assert isinstance(trial.steps[-1].error, FolderUnsupported)
