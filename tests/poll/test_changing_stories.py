"""When the server's story of its letters changes: none is taken for another, none is fetched twice, and a doubt deletes nothing."""

from datetime import timedelta

import pytest

from fetchrules.errors import NoUniqueIds
from fetchrules.ledger import by_hand, departures
from fetchrules.models import Letter, SourceMailbox
from tests.poll.conftest import NewScene, Scene, letter
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Alter, Behaviour, Cut, Fault, Say, Step

SIZE = 300
A, B, C, D = (letter(name, size=SIZE) for name in "abcd")
KEPT, GOES = {"keep": True}, {"keep": False}


def named(uid: str, stored: StoredLetter) -> StoredLetter:
    """The same letter under another name."""
    return StoredLetter(uid, stored.data)


@pytest.mark.parametrize("columns", [KEPT, GOES], ids=["keep", "nokeep"])
def test_it_knows_its_letters_when_all_have_new_names(columns: dict[str, bool], new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(A, B, C)
    scene.poll_fine()
    scene.replace(named("1", C), named("2", A), named("3", D), named("4", B))
    for _ in range(3):
        scene.poll_fine(**columns)
        assert scene.delivered == ["a", "b", "c", "d"]
    assert len(scene.maildrop.uids) == (4 if columns["keep"] else 3), "letters kept by an earlier rule stay"


def test_it_knows_its_letters_when_names_go_round(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    one, two, three = letter("a", size=300), letter("b", size=400), letter("c", size=500)
    scene.arrive(one, two, three)
    scene.poll_fine()
    for turn in ((two, three, one), (three, one, two), (one, two, three)):
        scene.replace(*(named(uid, stored) for uid, stored in zip("abc", turn, strict=True)))
        scene.poll_fine()
        assert scene.delivered == ["a", "b", "c"]
    assert scene.poll_fine().left == {"seen": 3}


def test_it_fetches_a_letter_that_got_the_name_of_a_deleted_one(scene: Scene) -> None:
    scene.arrive(A)
    scene.poll_fine()
    scene.arrive(named("a", B))
    scene.poll_fine()
    scene.arrive(named("a", C))
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c"], [])


def test_it_fetches_a_letter_of_another_size_under_a_known_name(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(A)
    scene.poll_fine()
    scene.replace(named("a", letter("b", size=SIZE + 1)))
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]


@pytest.mark.parametrize("state", ["held", "passed"])
def test_it_fetches_another_letter_under_the_name_of_one_that_was_given_up(state: str, new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR\r\n"), nth=0),)), keep=True)
    scene.arrive(A)
    for _ in range(5):
        scene.poll()
    if state == "passed":
        by_hand.pass_over(Letter.objects.all())
    scene.behave()
    assert scene.poll_fine().left == {state: 1}
    scene.replace(named("a", letter("b", size=SIZE + 1)))
    assert scene.poll_fine().fetched == 1
    assert scene.delivered == ["b"]


def test_it_recognises_a_renamed_letter_that_was_refused_under_its_new_name(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(A, B)
    scene.poll_fine()
    scene.replace(named("1", A), B)
    scene.behave(Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR\r\n")),)))
    assert scene.poll().counts.held == 1
    scene.behave()
    assert scene.poll_fine().fetched == 0
    assert scene.poll_fine().left == {"seen": 2}
    assert scene.delivered == ["a", "b"]


@pytest.mark.parametrize("columns", [KEPT, GOES], ids=["keep", "nokeep"])
def test_it_tells_letters_apart_that_share_a_name(columns: dict[str, bool], new_scene: NewScene) -> None:
    scene = new_scene(**columns)
    scene.arrive(named("same", A), named("same", B))
    scene.poll_fine()
    scene.arrive(named("same", C))
    scene.poll_fine()
    scene.poll_fine()
    assert scene.delivered == ["a", "b", "c"]
    assert len(scene.maildrop.uids) == (3 if columns["keep"] else 0)


def test_it_takes_no_letter_for_one_that_is_still_there_under_its_own_name(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(A, B)
    scene.poll_fine()
    scene.replace(A, named("copy", A), D)
    for _ in range(2):
        scene.poll_fine()
    assert scene.delivered == ["a", "a", "b", "d"]


@pytest.mark.parametrize("columns", [KEPT, GOES], ids=["keep", "nokeep"])
@pytest.mark.parametrize("batch", [1, 64])
def test_it_delivers_every_copy_of_a_letter_that_was_sent_more_than_once(
    batch: int, columns: dict[str, bool], new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(**columns)
    scene.limit(batch_letters=batch)
    scene.arrive(*(named(f"copy-{number}", A) for number in range(3)))
    scene.poll_fine()
    scene.arrive(named("later", A))
    scene.poll_fine()
    assert scene.delivered == ["a"] * 4


@pytest.mark.parametrize("batch", [1, 64])
def test_it_tells_copies_apart_when_all_have_new_names(
    batch: int, new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(keep=True)
    scene.limit(batch_letters=batch)
    scene.arrive(named("1", A), named("2", A), B)
    scene.poll_fine()
    scene.replace(*(named(f"new-{number}", A) for number in range(3)), named("b", B))
    for _ in range(2):
        scene.poll_fine()
    assert scene.delivered == ["a", "a", "a", "b"]


def test_it_tells_letters_apart_that_have_no_names(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None, uidl=False, faults=(Fault(Step.QUIT, Cut()),)))
    scene.arrive(A, B)
    scene.poll_fine()
    scene.arrive(C)
    scene.poll_fine()
    scene.server.behaviour = Behaviour(capabilities=None, uidl=False)
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c"], [])


def test_it_keeps_nothing_where_letters_have_no_names(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None, uidl=False), keep=True)
    scene.arrive(A)
    assert isinstance(scene.poll().error, NoUniqueIds)
    assert scene.delivered == []


def test_it_loses_its_names_and_finds_them_again(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None))
    scene.arrive(A, B)
    scene.poll_fine(keep=True)
    scene.behave(Behaviour(capabilities=None, uidl=False))
    scene.poll_fine(keep=False)
    scene.behave()
    scene.arrive(C)
    scene.poll_fine(keep=True)
    assert scene.delivered == ["a", "b", "c"]


@pytest.mark.parametrize("fetchlimit", [1, 2])
def test_it_gets_through_new_names_a_few_at_a_time(fetchlimit: int, new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(A, B, C)
    scene.poll_fine()
    scene.replace(named("1", A), named("2", B), named("3", C), named("4", D))
    for _ in range(5):
        scene.poll_fine(fetchlimit=fetchlimit)
    assert scene.delivered == ["a", "b", "c", "d"]


VANISHING = {
    "an empty mailbox": Behaviour(faults=tuple(Fault(step, Say(b"+OK\r\n.\r\n")) for step in (Step.UIDL, Step.LIST))),
    "an empty mailbox that is consistent": Behaviour(
        faults=(
            Fault(Step.STAT, Say(b"+OK 0 0\r\n")),
            Fault(Step.UIDL, Say(b"+OK\r\n.\r\n")),
            Fault(Step.LIST, Say(b"+OK\r\n.\r\n")),
        )
    ),
    "one letter of many": Behaviour(
        faults=(
            Fault(Step.STAT, Say(b"+OK 1 300\r\n")),
            Fault(Step.UIDL, Say(b"+OK\r\n1 a\r\n.\r\n")),
            Fault(Step.LIST, Say(b"+OK\r\n1 300\r\n.\r\n")),
        )
    ),
}


@pytest.mark.parametrize("days", [0, 2])
@pytest.mark.parametrize("behaviour", VANISHING.values(), ids=VANISHING)
@pytest.mark.parametrize("columns", [{}, {"flush": True}], ids=["keep", "keep flush"])
def test_it_knows_its_letters_when_they_vanish_and_come_back(
    columns: dict[str, bool], behaviour: Behaviour, days: int, new_scene: NewScene
) -> None:
    scene = new_scene(keep=True)
    scene.arrive(A, B, C)
    scene.poll_fine()
    for _ in range(2):
        scene.behave(behaviour)
        scene.poll_fine()
        passed = timedelta(days=days)
        for row in Letter.objects.exclude(missing_since=None):
            assert row.missing_since is not None
            Letter.objects.filter(id=row.id).update(missing_since=row.missing_since - passed)
    scene.behave()
    scene.arrive(D)
    for _ in range(3):
        scene.poll_fine(**columns)
    assert scene.delivered == ["a", "b", "c", "d"]


DOUBTS = {
    "no STAT": Fault(Step.STAT, Say(b"-ERR\r\n")),
    "a letter too many in LIST": Fault(Step.LIST, Alter(lambda answer: answer.replace(b".\r\n", b"9 9\r\n.\r\n"))),
    "two letters of one name": Fault(Step.UIDL, Alter(lambda answer: answer.replace(b"2 b", b"2 a"))),
    "another size": Fault(Step.LIST, Alter(lambda answer: answer.replace(b"3 300", b"3 301"))),
}


@pytest.mark.parametrize("fault", DOUBTS.values(), ids=DOUBTS)
def test_it_flushes_nothing_in_doubt(fault: Fault, new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(A, B, C)
    scene.poll_fine()
    scene.behave(Behaviour(faults=(fault,)))
    assert scene.poll_fine(flush=True).deleted == 0
    scene.behave()
    for _ in range(3):
        scene.poll_fine()
    assert scene.maildrop.uids == []
    assert scene.delivered == ["a", "b", "c"]


ENDINGS = {
    "done, the answer lost": Fault(Step.QUIT, Cut(done=True)),
    "not done, the answer lost": Fault(Step.QUIT, Cut()),
    "not done, and said to be": Fault(Step.QUIT, Say(b"+OK\r\n")),
    "refused": Fault(Step.QUIT, Say(b"-ERR\r\n")),
    "cut while deleting": Fault(Step.DELE, Cut(None, done=True), nth=2),
}


@pytest.mark.parametrize("another", [True, False], ids=["the name is given to another letter", "the same letter"])
@pytest.mark.parametrize("fault", ENDINGS.values(), ids=ENDINGS)
def test_it_looks_again_when_a_deletion_is_in_doubt(fault: Fault, another: bool, new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(fault,)))
    scene.arrive(A, B)
    scene.poll()
    expected = ["a", "b"]
    scene.behave()
    if another and fault.step is Step.QUIT:
        scene.replace(named("a", C), named("b", D))
        expected += ["c", "d"]
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (expected, [])


def test_it_remembers_a_letter_that_went_and_came_back_after_half_a_year_less_a_day(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(A, B)
    scene.poll_fine()
    scene.replace(B)
    for days in (2, 170):
        SourceMailbox.objects.update(settled={})  # it holds for an hour
        scene.poll_fine()
        for row in Letter.objects.exclude(missing_since=None):
            assert row.missing_since is not None
            Letter.objects.filter(id=row.id).update(missing_since=row.missing_since - timedelta(days=days))
    now = Letter.objects.get(uid="a").forgotten_at
    assert now is not None
    assert departures.purge(now + departures.REMEMBER - timedelta(days=1)) == 0
    scene.replace(named("new", A), B)
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]


@pytest.mark.parametrize("partly", ["a few at a time", "cut", "one refused", "in two sessions"])
def test_it_delivers_nothing_twice_when_deletions_in_doubt_come_back_under_new_names(
    partly: str, new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(Behaviour(faults=(Fault(Step.QUIT, Cut()),)))
    scene.arrive(A, B, C)
    scene.poll_fine()
    scene.behave()
    scene.replace(named("1", A), named("2", B), named("3", C), named("4", D))
    match partly:
        case "a few at a time":
            scene.poll_fine(fetchlimit=1)
        case "cut":
            scene.behave(Behaviour(faults=(Fault(Step.RETR, Cut()),)))
            scene.poll()
            scene.behave()
        case "one refused":
            scene.behave(Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR\r\n")),)))
            scene.poll_fine()
            scene.behave()
        case _:
            scene.limit(checkpoint_letters=2)
    for _ in range(5):
        scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c", "d"], [])
