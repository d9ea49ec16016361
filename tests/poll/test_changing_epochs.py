"""A server that gives another UIDVALIDITY at each login: nothing twice, nothing lost, and little asked."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.models import Letter
from tests.poll.conftest import ImapScene, NewImapScene

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene(new_imap_scene: NewImapScene) -> ImapScene:
    """Four letters are collected, two of them alike in time and size, and the UIDs have changed once."""
    scene = new_imap_scene(keep=True, uidl=True)
    scene.arrive("a", "b")
    scene.arrive("c", size=2000)
    scene.arrive("d", size=3000)
    scene.poll_fine()
    return scene


def bodies(scene: ImapScene) -> int:
    """How many letters or headers the server was asked for since the last question."""
    asked = [line for line in scene.server.said if re.match("UID FETCH .*BODY", line)]
    del scene.server.said[:]
    return len(asked)


def test_it_asks_for_nothing_that_it_knows(scene: ImapScene) -> None:
    bodies(scene)
    for _ in range(3):
        scene.renumber()
        counts = scene.poll_fine()
        assert (counts.fetched, counts.left) == (0, {"seen": 4, "renamed": 4})
        assert bodies(scene) == 0
    assert scene.delivered == ["a", "b", "c", "d"]


def test_it_collects_new_letters_meanwhile(scene: ImapScene) -> None:
    scene.renumber()
    scene.arrive("e", size=500)
    assert scene.poll_fine().fetched == 1
    scene.renumber()
    assert (scene.poll_fine().fetched, scene.delivered) == (0, ["a", "b", "c", "d", "e"])


def test_it_takes_no_new_letter_of_a_known_time_and_size_for_seen(scene: ImapScene) -> None:
    scene.arrive("x")
    scene.renumber()
    assert scene.poll_fine().fetched == 1
    assert scene.delivered == ["a", "b", "c", "d", "x"]


def test_it_compares_where_one_of_several_has_gone(scene: ImapScene) -> None:
    scene.folder.flag(1, "\\Deleted")
    scene.folder.expunge()
    scene.renumber()
    bodies(scene)
    assert scene.poll_fine().fetched == 0
    assert bodies(scene) == 1, "the one that is left of two alike"


def test_it_compares_where_the_server_has_another_time(scene: ImapScene) -> None:
    Letter.objects.filter(uid="3").update(received_at=timezone.now())
    scene.renumber()
    bodies(scene)
    assert (scene.poll_fine().fetched, bodies(scene)) == (0, 1)


def test_it_compares_all_once_the_uids_stay(scene: ImapScene) -> None:
    scene.renumber()
    scene.poll_fine()
    bodies(scene)
    assert (scene.poll_fine().fetched, bodies(scene)) == (0, 4)
    assert scene.poll_fine().left == {"seen": 4}
    assert bodies(scene) == 0


@pytest.mark.parametrize("columns", [{"keep": False}, {"flush": True}, {"keepdays": 30}, {"fetchall": True}])
def test_it_compares_where_the_rule_may_delete_or_fetch_again(columns: dict[str, object], scene: ImapScene) -> None:
    scene.renumber()
    bodies(scene)
    scene.poll_fine(**columns)
    assert bodies(scene) >= 4
    assert set(scene.delivered) == {"a", "b", "c", "d"}


def test_it_forgets_no_letter_that_it_recognises(scene: ImapScene) -> None:
    for _ in range(3):
        scene.renumber()
        scene.poll_fine()
        Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=2))
    assert Letter.objects.filter(forgotten_at=None, missing_since=None).count() == 4


def test_it_deletes_nothing_that_it_knows_by_time_and_size_alone(scene: ImapScene) -> None:
    """A letter takes the place of another of the same time and size."""
    scene.renumber()
    old = scene.folder.letters[2]
    other = (b"Subject: other\r\n\r\n" + b"y" * len(old.data))[: len(old.data)]
    scene.folder._letters[old.uid] = replace(old, data=other)
    scene.poll_fine()
    scene.renumber()
    scene.poll_fine(flush=True)
    for _ in range(3):
        scene.poll_fine(flush=True)
    assert "other" in scene.delivered
