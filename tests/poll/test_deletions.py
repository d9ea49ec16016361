"""Deletions that servers affirm and do not do, refuse, or answer with nonsense."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from fetchrules.errors import RemoteProtocolError, RunOvertaken
from fetchrules.ledger import by_hand, departures
from fetchrules.models import FetchRule, Letter, Run
from tests.poll.conftest import ImapScene, NewImapScene, NewScene, Scene, letter
from tests.servers import imap
from tests.servers.faults import Fault, Say
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Behaviour, LetterFault, Step, Top

NAMES = [f"letter-{number}" for number in range(10)]


def retrieved(scene: Scene | ImapScene) -> int:
    """How many letters were asked for since the last look."""
    said = [line for line in scene.server.said if line.startswith("RETR") or "BODY.PEEK[]" in line]
    del scene.server.said[:]
    return len(said)


AFFIRMS = {
    "QUIT +OK": Fault(Step.QUIT, Say(b"+OK bye\r\n", hang_up=True), 0),
    "QUIT -ERR": Fault(Step.QUIT, Say(b"-ERR some deleted messages not removed\r\n", hang_up=True), 0),
}


@pytest.mark.parametrize("fault", AFFIRMS.values(), ids=AFFIRMS)
@pytest.mark.parametrize("top", [True, False], ids=["TOP", "no TOP"])
def test_it_reads_letters_again_once_where_deletions_do_not_happen(
    fault: Fault, top: bool, new_scene: NewScene
) -> None:
    kind = Behaviour(faults=(fault,))
    scene = new_scene(kind if top else replace(kind, top=Top.UNKNOWN).without("TOP"))
    scene.arrive(*NAMES)
    deleted, read = [], []
    for _ in range(6):
        deleted.append(scene.poll_fine().deleted)
        read.append(retrieved(scene))
    affirmed = 10 if "bye" in str(fault) else 0
    assert deleted == [affirmed, 0, 0, 0, 0, 0]
    assert read == [10, 10, 0, 0, 0, 0]
    assert scene.delivered == NAMES
    scene.behave()
    scene.poll_fine()
    assert scene.maildrop.uids == ([] if top else NAMES), "without TOP it waits for a day"


@pytest.mark.parametrize("columns", [{"keep": True, "flush": True}, {"keepdays": 1}], ids=str)
def test_it_repeats_no_deletion_by_reading_where_the_rule_leaves_new_letters(
    columns: dict[str, object], new_scene: NewScene
) -> None:
    scene = new_scene(Behaviour(faults=(AFFIRMS["QUIT +OK"],)), **columns)
    scene.arrive(*NAMES)
    scene.poll_fine()
    long_ago = {"delivered_at": timezone.now() - timedelta(days=9), "lived": -(10**9)}
    Letter.objects.update(**long_ago)
    retrieved(scene)
    deleted, read = [], []
    for _ in range(5):
        deleted.append(scene.poll_fine().deleted)
        read.append(retrieved(scene))
    assert (deleted, read) == ([10, 0, 0, 0, 0], [0, 10, 0, 0, 0])
    assert scene.delivered == NAMES


def test_a_new_letter_under_the_name_of_one_that_was_flushed_stays(new_scene: NewScene) -> None:
    scene = new_scene(keep=True, flush=True)
    scene.arrive("a")
    scene.poll_fine()
    scene.poll_fine()
    assert scene.maildrop.uids == []
    scene.replace(StoredLetter("a", letter("b").data))
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], ["a"])


def test_it_says_that_the_server_does_not_delete(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(AFFIRMS["QUIT +OK"],)))
    scene.arrive(*NAMES)
    scene.poll_fine()
    for _ in range(3):
        assert scene.poll_fine().left["not_deleted"] == 10


def test_it_takes_no_other_letter_for_the_one_that_was_not_deleted(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(AFFIRMS["QUIT +OK"],)))
    one, other = "a", "b"
    scene.arrive(one)
    scene.poll_fine()
    scene.poll_fine()
    scene.replace(StoredLetter(one, letter(other).data))
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]


def test_imap_repeats_by_uid_where_an_expunge_does_not_happen(new_imap_scene: NewImapScene) -> None:
    pretends = Fault(imap.Step.UID_EXPUNGE, Say(b"{tag} OK done\r\n"), 0)
    stores = Fault(imap.Step.STORE, Say(b"{tag} OK done\r\n"), 0)
    scene = new_imap_scene(imap.Behaviour(faults=(pretends, stores)))
    scene.arrive(*NAMES)
    deleted, told, read = [], [], []
    for _ in range(6):
        counts = scene.poll_fine()
        deleted.append(counts.deleted)
        told.append(counts.left.get("not_deleted", 0))
        read.append(retrieved(scene))
    assert (deleted, told) == ([10, 0, 0, 0, 0, 0], [0, 10, 10, 10, 10, 10])
    assert read[1:] == [0, 0, 0, 0, 0]
    assert scene.delivered == NAMES


def test_one_nonsense_answer_to_dele_holds_up_no_other_letter(new_scene: NewScene) -> None:
    nonsense = LetterFault(Step.DELE, "letter-3", Say(b"gibberish\r\n"))
    scene = new_scene(Behaviour(letter_faults=(nonsense,)))
    scene.arrive(*NAMES)
    assert isinstance(scene.poll().error, RemoteProtocolError)
    row = Letter.objects.get(reason="deletion_failed")
    assert (row.uid, row.tries) == ("letter-3", 1)
    scene.poll()
    assert scene.maildrop.uids == ["letter-3"]
    assert retrieved(scene) == 20, "deletions that a broken session may have taken are compared once"
    for _ in range(7):
        scene.poll()
    assert (scene.maildrop.uids, scene.delivered) == (["letter-3"], NAMES)
    assert retrieved(scene) <= 1
    assert Letter.objects.filter(by_hand.PROBLEMS).get().uid == "letter-3"


def test_one_refusal_to_store_holds_up_no_other_letter(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(keeps=frozenset({4})))
    scene.arrive(*NAMES)
    counts = scene.poll_fine()
    assert (counts.fetched, counts.deleted, counts.left["undeleted"]) == (10, 9, 1)
    assert len(scene.folder.uids) == 1


def test_a_deletion_that_breaks_off_is_overtaken_by_an_edit(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(Behaviour(letter_faults=(LetterFault(Step.DELE, "letter-3", Say(b"gibberish\r\n")),)))
    scene.arrive("letter-3")
    scene.poll()
    original = departures.record_deleting

    def recording(run: Run, ids: Collection[int], now: datetime) -> None:
        FetchRule.objects.update(revision=9)
        original(run, ids, now)

    monkeypatch.setattr(departures, "record_deleting", recording)
    assert isinstance(scene.poll().error, RunOvertaken)
    assert scene.maildrop.uids == ["letter-3"]


def test_a_letter_that_broke_a_deletion_waits_behind_those_that_are_compared(new_scene: NewScene) -> None:
    """Without headers, deletions that were not confirmed are compared by whole letters; none of them may depend on that letter."""
    scene = new_scene(replace(Behaviour(), top=Top.UNKNOWN).without("TOP"), keep=True)
    scene.arrive(*NAMES)
    scene.poll_fine()
    long_ago = timezone.now() - timedelta(days=2)
    Letter.objects.update(fate="sent", deletions=2, tried_at=long_ago)
    Letter.objects.filter(uid=NAMES[0]).update(deletions=1, tries=1, reason="deletion_failed")
    assert scene.poll_fine(keep=False).deleted == len(NAMES)
    assert scene.maildrop.uids == []
