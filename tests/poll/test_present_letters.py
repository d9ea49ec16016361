"""What lay on the server before the rule came: it may count as collected, and nothing that comes later does."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.errors import NoUniqueIds, PassPresentRefused, RemoteProtocolError, RunOvertaken
from fetchrules.ledger import by_hand, departures, runs
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import Filing
from fetchrules.ledger.source_mailboxes import folders_of, pass_present, sources_of
from fetchrules.models import Letter, Run, SourceMailbox
from fetchrules.policy.planning import Why
from fetchrules.poll.run import dry_run, poll
from fetchrules.remote.mailbox import Listed
from fetchrules.rule import MASK
from tests.conftest import MakeRule
from tests.poll.conftest import NewImapScene, NewScene, Scene, letter
from tests.servers.imap import Folder, ImapServer
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Alter, Behaviour, Fault, LetterFault, Say, Step, Top


@pytest.fixture
def scene(new_scene: NewScene) -> Scene:
    """A rule that leaves its mail."""
    return new_scene(keep=True)


def ask(scene: Scene) -> None:
    """What lies there now is to count as collected."""
    pass_present([scene.rule.source])
    scene.rule.refresh_from_db()


TREATMENTS: list[dict[str, Any]] = [
    {"keep": True},
    {"keep": True, "flush": True},
    {"keep": True, "fetchall": True},
    {"keep": False, "keepdays": 1},
]
REFUSED: list[dict[str, Any]] = [{"keep": False}, {"keep": False, "fetchall": True}, {"keep": False, "flush": True}]


@pytest.mark.parametrize("columns", TREATMENTS, ids=str)
def test_it_fetches_and_deletes_only_what_comes_later(columns: dict[str, Any], scene: Scene) -> None:
    scene.arrive("a", "b")
    ask(scene)
    counts = scene.poll_fine(**columns)
    assert (counts.fetched, counts.deleted, counts.left) == (0, 0, {"present": 2})
    scene.arrive("c")
    assert scene.poll_fine().fetched == 1
    scene.poll_fine()
    assert set(scene.delivered) == {"c"}
    assert set(scene.maildrop.uids) >= {"a", "b"}


@pytest.mark.parametrize("columns", REFUSED, ids=str)
def test_it_refuses_for_a_rule_that_has_come_to_delete(columns: dict[str, Any], scene: Scene) -> None:
    scene.arrive("a", "b")
    ask(scene)
    assert isinstance(scene.poll(**columns).error, PassPresentRefused)
    assert (scene.delivered, scene.maildrop.uids) == ([], ["a", "b"])
    assert scene.poll_fine(keep=True).left == {"present": 2}


@pytest.mark.parametrize(("columns", "fails"), [({}, True), ({"uidl": True}, False)], ids=["by marks", "uidl"])
def test_it_refuses_where_the_server_says_what_is_seen(
    columns: dict[str, bool], fails: bool, new_imap_scene: NewImapScene
) -> None:
    scene = new_imap_scene(keep=True, **columns)
    scene.arrive("a")
    SourceMailbox.objects.update(pass_present=True)
    scene.rule.refresh_from_db()
    assert isinstance(scene.poll().error, PassPresentRefused) is fails
    assert scene.delivered == []


@pytest.fixture
def passed_scene(new_scene: NewScene) -> Scene:
    """Forty letters that are passed over, and one that was collected."""
    scene = new_scene(keep=True)
    scene.arrive(*OLD)
    ask(scene)
    scene.poll_fine()
    scene.arrive("ours")
    scene.poll_fine()
    return scene


OLD = [letter(f"old {number}", filling="x" * (number // 2)) for number in range(40)]


def renamed(scene: Scene) -> None:
    """The server has lost its index: all letters have new unique-ids."""
    scene.replace(*(StoredLetter(f"new{n}", one.data) for n, one in enumerate(scene.maildrop.letters)))


@pytest.mark.parametrize("columns", [*TREATMENTS, *REFUSED], ids=str)
def test_it_passes_over_letters_under_new_names_whatever_the_rule_becomes(
    columns: dict[str, Any], passed_scene: Scene
) -> None:
    renamed(passed_scene)
    for _ in range(3):
        passed_scene.poll_fine(**columns)
    assert set(passed_scene.delivered) == {"ours"}
    assert len(passed_scene.maildrop.letters) >= len(OLD)
    assert not [line for line in passed_scene.server.said if line == "RETR 1"]


def test_it_passes_over_letters_whose_names_go_round(passed_scene: Scene) -> None:
    letters = passed_scene.maildrop.letters
    uids = [one.uid for one in letters]
    passed_scene.replace(*(StoredLetter(uid, one.data) for uid, one in zip(uids[3:] + uids[:3], letters, strict=True)))
    for _ in range(3):
        passed_scene.poll_fine(keep=False)
    assert passed_scene.delivered == ["ours"]
    assert len(passed_scene.maildrop.letters) >= len(OLD)


def test_it_passes_over_letters_that_could_not_be_compared_for_days(passed_scene: Scene) -> None:
    renamed(passed_scene)
    refuses = LetterFault(Step.RETR, ".*", Say(b"-ERR no\r\n"))
    passed_scene.behave(Behaviour(top=Top.UNKNOWN, letter_faults=(refuses,)))
    for _ in range(3):
        passed_scene.poll()
        Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=2))
    passed_scene.behave()
    later = timezone.now() - timedelta(days=2)
    Letter.objects.filter(state="held").update(tried_at=later)
    passed_scene.poll_fine(keep=False)
    assert passed_scene.delivered == ["ours"]
    assert len(passed_scene.maildrop.letters) >= len(OLD)


def test_headers_of_an_older_version_are_learnt_at_the_next_poll(passed_scene: Scene) -> None:
    Letter.objects.filter(state="passed").update(head="")
    passed_scene.poll_fine()
    assert not Letter.objects.filter(state="passed", head="").exists()
    renamed(passed_scene)
    passed_scene.poll_fine()
    assert passed_scene.delivered == ["ours"]


def test_a_letter_that_may_have_been_passed_over_is_delivered_and_left(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(top=Top.UNKNOWN).without("TOP"), keep=True)
    scene.arrive(*OLD[:4])
    ask(scene)
    scene.poll_fine()
    renamed(scene)
    scene.arrive(letter("newer", size=4000))
    counts = scene.poll_fine(keep=False)
    assert (counts.fetched, counts.deleted, counts.left) == (5, 1, {"doubted": 4})
    assert scene.delivered == ["newer", *(f"old {n}" for n in range(4))]
    for _ in range(2):
        assert scene.poll_fine().left == {"marked": 4}
    assert len(scene.maildrop.letters) == 4


def test_a_letter_whose_header_was_passed_over_with_another_size_is_in_doubt(passed_scene: Scene) -> None:
    letters = [StoredLetter(f"new{n}", one.data) for n, one in enumerate(passed_scene.maildrop.letters)]
    letters[7] = StoredLetter("new7", letters[7].data + b"more text\r\n")
    passed_scene.replace(*letters)
    passed_scene.poll_fine(keep=False)
    assert passed_scene.delivered == ["old 7", "ours"]
    assert Letter.objects.get(doubt="passed").uid == "new7"
    assert "new7" in passed_scene.maildrop.uids


def test_it_passes_over_what_lies_there_once_in_a_poll_of_several_sessions(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.limit(checkpoint_letters=3)
    scene.arrive("a", "b", "c", "d")
    scene.poll_fine()
    scene.arrive("old")
    ask(scene)
    assert scene.poll_fine(fetchall=True).fetched == 4
    assert scene.poll_fine(keep=False).deleted == 4
    assert (scene.server.connections, scene.maildrop.uids) == (4, ["old"])


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
    folder.add(letter("read").data, "\\Seen")
    with ImapServer(folder) as server:
        place = {"server": "127.0.0.1", "port": server.port, "user": "petrov", "encryption": "plaintext"}
        rule = make_rule(protocol="imap", keep=True, uidl=True, **place)
        pass_present(sources_of(rule.as_rule(MASK)))
        for fetched in (0, 1, 0):
            rule.refresh_from_db()
            (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
            result = poll(run_id)
            assert result is not None
            assert (result.error, result.counts.fetched) == (None, fetched)
            by_hand.take_up(by_hand.passed(folders_of(rule.source)))


@pytest.mark.parametrize("keep", [True, False], ids=["keep", "nokeep"])
def test_it_passes_over_what_is_listed_again_after_a_list_without_it(keep: bool, scene: Scene) -> None:
    scene.arrive("a", "x")
    ask(scene)
    scene.poll_fine()
    scene.poll_fine(keep=keep)
    a = scene.maildrop.letters[0]
    for days in (0, 2, 2):
        scene.maildrop.commit([a])
        scene.poll_fine()
        Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=days))
        scene.poll_fine()
        scene.arrive(a)
        assert scene.poll_fine().left == {"passed": 2}
    departures.purge(timezone.now() + departures.REMEMBER + timedelta(days=1))
    assert scene.poll_fine().left == {"passed": 2}
    assert (scene.delivered, sorted(scene.maildrop.uids)) == ([], ["a", "x"])


def test_it_passes_nothing_over_when_that_was_taken_back_meanwhile(scene: Scene) -> None:
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    run = runs.start(run_id, timezone.now())
    assert run is not None
    with pytest.raises(RunOvertaken):
        ledger.record_present(Filing(run, scene.rule.source, 0), [(Listed(1, "a", 100), "")], timezone.now())
    assert not Letter.objects.exists()


def test_it_looks_again_when_the_listing_is_not_whole(scene: Scene) -> None:
    scene.arrive("a", "b")
    ask(scene)
    scene.behave(Behaviour(faults=(Fault(Step.STAT, Alter(lambda answer: answer.replace(b"+OK 2", b"+OK 3"))),)))
    assert isinstance(scene.poll(keep=True).error, RemoteProtocolError)
    scene.behave()
    assert scene.poll_fine().left == {"present": 2}


def test_it_refuses_where_letters_have_no_names(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None, uidl=False), keep=True)
    scene.arrive("a")
    ask(scene)
    assert isinstance(scene.poll().error, NoUniqueIds)
    assert scene.maildrop.uids == ["a"]


def test_it_looks_into_every_folder(make_rule: MakeRule, tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    folders = {name: Folder([letter(f"{name} {number}").data for number in range(3)]) for name in ("INBOX", "Archive")}
    with ImapServer(folders) as server:
        place = {"server": "127.0.0.1", "port": server.port, "user": "petrov", "encryption": "plaintext"}
        rule = make_rule(protocol="imap", folders=["INBOX", "Archive"], keep=True, uidl=True, **place)
        pass_present(sources_of(rule.as_rule(MASK)))
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


def test_it_asks_for_so_many_headers_in_one_session(passed_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    passed_scene.limit(headers=15)
    renamed(passed_scene)
    told = []
    for _ in range(4):
        told.append(passed_scene.poll_fine().left.get("doubt", 0))
        Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=2))
    assert told == [26, 11, 0, 0]
    assert passed_scene.delivered == ["ours"]
