"""A letter that ends properly but far too early: asked for again, then delivered and left on the server for people to judge."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from fetchrules.errors import NothingCame
from fetchrules.ledger import by_hand, hosts
from fetchrules.models import Letter
from tests.poll.conftest import NewImapScene, NewScene, Scene, letter
from tests.servers import imap
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Alter, Behaviour, Fault, Step

WHOLE = letter("a", size=5234)


def cut_to(octets: int) -> Behaviour:
    """The letter's listing is true, but so much of it comes, properly ended."""

    def shorten(answer: bytes) -> bytes:
        line, _, text = answer.partition(b"\r\n")
        return line + b"\r\n" + text[:octets].rstrip(b"\r\n") + b"\r\n.\r\n"

    return Behaviour(faults=(Fault(Step.RETR, Alter(shorten)),))


RULES: list[dict[str, Any]] = [
    {},
    {"keep": True},
    {"keep": True, "flush": True},
    {"fetchall": True},
    {"keepdays": 1},
]


@pytest.fixture
def short_scene(new_scene: NewScene) -> Scene:
    scene = new_scene(cut_to(1500))
    scene.arrive(WHOLE)
    return scene


def test_it_asks_again_before_it_delivers_a_short_letter(short_scene: Scene) -> None:
    first = short_scene.poll()
    assert isinstance(first.error, NothingCame)
    assert (first.counts.fetched, first.counts.held) == (0, 1)
    assert Letter.objects.get().reason == "came_short"
    assert short_scene.maildrop.uids == ["a"]
    counts = short_scene.poll_fine()
    assert (counts.fetched, counts.deleted, counts.left) == (1, 0, {"doubted": 1})
    assert short_scene.maildrop.uids == ["a"], "the only whole copy"
    assert Letter.objects.get().doubt == "short"


def test_it_delivers_a_letter_that_is_whole_the_second_time(short_scene: Scene) -> None:
    short_scene.poll()
    short_scene.behave()
    assert short_scene.poll_fine().deleted == 1
    assert (short_scene.maildrop.uids, Letter.objects.get().doubt) == ([], "")


def test_it_counts_another_length_as_a_try(short_scene: Scene) -> None:
    for octets in (1400, 1300, 1200, 1100, 1000, 900):
        short_scene.behave(cut_to(octets))
        short_scene.poll()
    row = Letter.objects.get()
    assert (row.state, row.tries, short_scene.delivered) == ("held", 5, [])


@pytest.mark.parametrize("columns", RULES, ids=str)
def test_it_leaves_a_marked_letter_alone_whatever_the_rule_becomes(columns: dict[str, Any], short_scene: Scene) -> None:
    short_scene.poll()
    short_scene.poll()
    Letter.objects.update(delivered_at=timezone.now() - timedelta(days=3000), lived=-(10**9))
    short_scene.behave()
    for _ in range(2):
        counts = short_scene.poll_fine(**columns)
        assert (counts.fetched, counts.deleted, counts.left) == (0, 0, {"marked": 1})
    assert (short_scene.delivered, short_scene.maildrop.uids) == (["a"], ["a"])


@pytest.mark.parametrize(("columns", "left"), [({}, []), ({"keep": True}, ["a"])], ids=["nokeep", "keep"])
def test_it_does_what_the_rule_says_once_somebody_calls_the_letter_whole(
    columns: dict[str, Any], left: list[str], short_scene: Scene
) -> None:
    short_scene.poll(**columns)
    short_scene.poll()
    short_scene.rule.refresh_from_db()
    assert by_hand.settle(Letter.objects.all()) == 1
    short_scene.poll_fine()
    assert (short_scene.delivered, short_scene.maildrop.uids) == (["a"], left)


def test_it_collects_a_marked_letter_again_when_asked(short_scene: Scene) -> None:
    short_scene.poll()
    short_scene.poll()
    assert by_hand.collect_again(Letter.objects.all()) == 1
    short_scene.behave()
    short_scene.poll_fine()
    assert (short_scene.delivered, short_scene.maildrop.uids) == (["a", "a"], [])


def test_a_mark_survives_new_names(new_scene: NewScene) -> None:
    scene = new_scene(cut_to(1500), keep=True)
    scene.arrive(WHOLE, letter("b"))
    scene.poll()
    scene.poll()
    scene.replace(StoredLetter("1", WHOLE.data), StoredLetter("2", letter("b").data))
    scene.poll_fine(keep=False)
    assert Letter.objects.get(doubt="short").uid == "1"
    scene.poll_fine()
    assert "1" in scene.maildrop.uids
    assert scene.delivered == ["a", "b"]


def test_sizes_of_a_declared_host_are_not_compared(short_scene: Scene) -> None:
    hosts.declare_sizes(short_scene.rule.source.host, wrong=True)
    assert short_scene.poll_fine().deleted == 1
    hosts.declare_sizes(short_scene.rule.source.host, wrong=False)
    short_scene.arrive(StoredLetter("z", WHOLE.data))
    assert short_scene.poll().counts.held == 1


@pytest.mark.parametrize("lines", [b"x\n" * 2000, b"x\r\n" * 2000], ids=["LF", "CRLF"])
def test_it_counts_each_line_end_as_two_octets(lines: bytes, scene: Scene) -> None:
    text = b"Subject: a\r\n\r\n" + lines
    scene.arrive(StoredLetter("a", text))
    listed = len(text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    sizes = Fault(Step.LIST, Alter(lambda _: f"+OK\r\n1 {listed}\r\n.\r\n".encode()))
    scene.behave(Behaviour(faults=(sizes,)))
    assert scene.poll_fine().deleted == 1


def test_imap_letters_are_judged_alike(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(oversizes=4000))
    scene.arrive("a", size=5234)
    assert scene.poll().counts.held == 1
    scene.poll_fine()
    assert (scene.delivered, len(scene.folder.uids)) == (["a"], 1)
    assert Letter.objects.get().doubt == "short"
