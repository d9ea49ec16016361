"""Letters that people have read on an IMAP server, and whose UIDs change: read is not collected, and not to be collected now."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.models import Letter, SourceMailbox
from tests.poll.conftest import ImapScene, NewImapScene
from tests.servers import imap
from tests.servers.faults import Fault, Say

RULES = [{}, {"keep": True}, {"keepdays": 5}]


@pytest.fixture
def scene(new_imap_scene: NewImapScene) -> ImapScene:
    """Ten letters that people have read, and one that was collected and kept."""
    scene = new_imap_scene(keep=True)
    scene.arrive("ours")
    scene.poll_fine()
    scene.arrive(*"abcdefghij", flags=("\\Seen",))
    assert scene.poll_fine().left == {"seen": 11}
    return scene


@pytest.mark.parametrize("columns", RULES, ids=str)
@pytest.mark.parametrize("headless", [False, True], ids=["headers on record", "ledger of an older version"])
def test_it_leaves_read_letters_alone_when_uids_change(
    columns: dict[str, object], headless: bool, scene: ImapScene
) -> None:
    if headless:
        Letter.objects.update(head="")
    scene.renumber()
    for _ in range(3):
        scene.poll_fine(**{"keep": False, **columns})
    assert scene.delivered == ["ours"]
    assert len(scene.folder.uids) == 11, "also the one that an earlier rule kept"


def test_it_compares_each_letter_once(scene: ImapScene) -> None:
    scene.renumber()
    for _ in range(2):
        scene.poll_fine()
    del scene.server.said[:]
    scene.poll_fine()
    assert not [line for line in scene.server.said if "UID FETCH" in line]


def test_it_collects_a_compared_letter_that_is_made_unread(scene: ImapScene) -> None:
    scene.renumber()
    scene.poll_fine()
    chosen = scene.folder.letters[3]
    scene.folder._letters[chosen.uid] = replace(chosen, flags=frozenset())
    assert scene.poll_fine().fetched == 1
    assert scene.delivered == sorted(["ours", "c"])
    assert scene.poll_fine().fetched == 0


def test_a_compared_letter_obeys_flush_and_fetchall(scene: ImapScene) -> None:
    scene.renumber()
    scene.poll_fine()
    Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=2))
    scene.poll_fine()
    assert scene.poll_fine(flush=True).deleted == 11
    assert scene.folder.uids == []


def test_it_delivers_what_was_marked_for_another_recipient(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True)
    scene.arrive("a", "b")
    scene.poll_fine()
    other = type(scene.rule).objects.get(pk=scene.rule.pk)
    theirs = SourceMailbox.objects.get(pk=scene.rule.source_id)
    theirs.pk, theirs.recipient = None, "other@mydomain.ru"
    theirs.save()
    other.pk, other.recipient, other.source = None, "other@mydomain.ru", theirs
    other.save()
    scene.renumber()
    place = scene.mailbox.parent / "other"
    reader = replace(scene, rule=other, mailbox=place)
    assert reader.poll_fine().fetched == 2
    assert reader.delivered == ["a", "b"]
    assert scene.poll_fine().fetched == 0
    assert scene.delivered == ["a", "b"]


def test_uidl_rules_compare_nothing_by_marks(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True, uidl=True)
    scene.arrive("a", flags=("\\Seen",))
    assert scene.poll_fine().fetched == 1
    scene.renumber()
    assert scene.poll_fine().fetched == 0
    assert scene.delivered == ["a"]


def test_it_expunges_what_it_had_flagged_before_the_uids_changed(new_imap_scene: NewImapScene) -> None:
    refused = Fault(imap.Step.UID_EXPUNGE, Say(b"{tag} NO not now\r\n"), 0)
    scene = new_imap_scene(imap.Behaviour(faults=(refused,)))
    scene.arrive("a", "b")
    scene.poll_fine()
    scene.behave()
    scene.arrive("theirs", flags=("\\Deleted",))
    scene.renumber()
    scene.arrive("new")
    counts = scene.poll_fine()
    assert counts.deleted == 3
    assert [b"theirs" in one.data for one in scene.folder.letters] == [True]
    assert scene.delivered == ["a", "b", "new"]
    assert scene.poll_fine().left["flagged"] == 1
