"""What lay on the server before the rule came: it may count as collected, and nothing that comes later does."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.errors import NoUniqueIds, RemoteProtocolError, RunOvertaken
from fetchrules.ledger import by_hand, forgetting, runs
from fetchrules.ledger import letters as ledger
from fetchrules.models import Letter, Run, SourceMailbox
from fetchrules.policy import Why
from fetchrules.poll.run import dry_run, poll
from fetchrules.remote.mailbox import Listed
from fetchrules.ruletext.spec import MASK
from fetchrules.sources import folders_of, pass_present
from tests.conftest import MakeRule
from tests.poll.conftest import NewScene, Scene, letter
from tests.servers.imap import Folder, ImapServer
from tests.servers.pop3 import Alter, Behaviour, Fault, Step


def ask(scene: Scene) -> None:
    """What lies there now is to count as collected."""
    pass_present([(scene.rule.as_rule(MASK), scene.rule.source.branch)])
    scene.rule.refresh_from_db()


TREATMENTS: list[dict[str, Any]] = [
    {"keep": True},
    {"keep": True, "flush": True},
    {"fetchall": True},
    {"keepdays": 1},
    {},
]


@pytest.mark.parametrize("columns", TREATMENTS, ids=str)
def test_it_fetches_and_deletes_only_what_comes_later(columns: dict[str, Any], scene: Scene) -> None:
    scene.arrive("a", "b")
    ask(scene)
    counts = scene.poll_fine(**columns)
    assert (counts.fetched, counts.deleted, counts.left) == (0, 0, {"present": 2})
    scene.arrive("c")
    assert scene.poll_fine().fetched == 1
    scene.poll_fine()
    assert scene.delivered == ["c"]
    assert set(scene.maildrop.uids) >= {"a", "b"}


def test_it_passes_over_what_lies_there_once_in_a_poll_of_several_sessions(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetchrules.poll.session.CHECKPOINT_LETTERS", 3)
    scene.arrive("a", "b", "c", "d")
    scene.poll_fine(keep=True)
    scene.arrive("old")
    ask(scene)
    assert scene.poll_fine(keep=False, fetchall=True).fetched == 4
    assert (scene.server.connections, scene.maildrop.uids) == (3, ["old"])


def test_it_counts_no_letter_as_collected_that_came_after_the_listing(scene: Scene) -> None:
    ask(scene)
    assert scene.poll_fine().found == 0
    scene.arrive("a")
    assert scene.poll_fine().fetched == 1
    assert scene.delivered == ["a"]


def test_it_says_so_in_a_dry_run_and_changes_nothing_by_it(scene: Scene) -> None:
    scene.arrive("a")
    ask(scene)
    (plan,) = dry_run(scene.rule)
    assert [why for _, why in plan.left] == [Why.PRESENT]
    assert SourceMailbox.objects.get().pass_present
    assert not Letter.objects.exists()


def test_it_fetches_them_after_all_when_told(scene: Scene) -> None:
    scene.arrive("a", "b")
    ask(scene)
    scene.poll_fine(keep=True)
    assert by_hand.take_up(by_hand.passed(folders_of(scene.rule.source))) == 2
    assert scene.poll_fine().fetched == 2


def test_it_fetches_what_was_read_when_told(make_rule: MakeRule, tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    folder = Folder()
    folder.add(letter("read").data, "\\seen")
    with ImapServer(folder) as server:
        place = {"server": "127.0.0.1", "port": server.port, "user": "petrov", "encryption": "plaintext"}
        rule = make_rule(protocol="imap", keep=True, **place)
        pass_present([(rule.as_rule(MASK), 0)])
        for fetched in (0, 1, 0):
            rule.refresh_from_db()
            (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
            result = poll(run_id)
            assert result is not None
            assert (result.error, result.counts.fetched) == (None, fetched)
            by_hand.take_up(by_hand.passed(folders_of(rule.source)))


@pytest.mark.parametrize("columns", [{"keep": True}, {}], ids=["keep", "nokeep"])
def test_it_passes_over_what_is_listed_again_after_a_list_without_it(
    columns: dict[str, bool], new_scene: NewScene
) -> None:
    scene = new_scene(**columns)
    scene.arrive("a", "x")
    ask(scene)
    scene.poll_fine()
    a = scene.maildrop.letters[0]
    for days in (0, 2, 2):
        scene.maildrop.commit([a])
        scene.poll_fine()
        Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=days))
        scene.poll_fine()
        scene.arrive(a)
        assert scene.poll_fine().left == {"passed": 2}
    forgetting.purge(timezone.now() + forgetting.REMEMBER + timedelta(days=1))
    assert scene.poll_fine().left == {"passed": 2}
    assert (scene.delivered, sorted(scene.maildrop.uids)) == ([], ["a", "x"])


def test_it_passes_nothing_over_when_that_was_taken_back_meanwhile(scene: Scene) -> None:
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    run = runs.start(run_id, timezone.now())
    assert run is not None
    with pytest.raises(RunOvertaken):
        ledger.record_present(run, scene.rule.source, 0, [Listed(1, "a", 100)], timezone.now())
    assert not Letter.objects.exists()


def test_it_looks_again_when_the_listing_is_not_whole(scene: Scene) -> None:
    scene.arrive("a", "b")
    ask(scene)
    scene.behave(Behaviour(faults=(Fault(Step.STAT, Alter(lambda answer: answer.replace(b"+OK 2", b"+OK 3"))),)))
    assert isinstance(scene.poll(keep=True).error, RemoteProtocolError)
    scene.behave()
    assert scene.poll_fine().left == {"present": 2}


def test_it_refuses_where_letters_have_no_names(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None, uidl=False))
    scene.arrive("a")
    ask(scene)
    assert isinstance(scene.poll().error, NoUniqueIds)
    assert scene.maildrop.uids == ["a"]


def test_it_looks_into_every_folder(make_rule: MakeRule, tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    folders = {name: Folder([letter(f"{name} {number}").data for number in range(3)]) for name in ("INBOX", "Archive")}
    with ImapServer(folders) as server:
        place = {"server": "127.0.0.1", "port": server.port, "user": "petrov", "encryption": "plaintext"}
        rule = make_rule(protocol="imap", folders=["INBOX", "Archive"], keep=True, **place)
        pass_present([(rule.as_rule(MASK), 0)])
        rule.refresh_from_db()
        (first,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
        result = poll(first)
        assert result is not None
        assert (result.error, result.counts.fetched, result.counts.left) == (None, 0, {"present": 6})
        folders["Archive"].add(letter("later").data)
        (second,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
        result = poll(second)
    assert result is not None
    assert (result.error, result.counts.fetched, result.counts.left) == (None, 1, {"passed": 6})
