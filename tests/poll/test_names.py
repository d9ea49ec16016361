"""Names that are given to other letters, or to several: no letter is taken for another, and none is in the others' way."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

import pytest

from fetchrules.errors import ConnectionLost, RunOvertaken
from fetchrules.ledger import leases
from fetchrules.models import Letter
from fetchrules.policy.known import State
from fetchrules.policy.planning import ToFetch
from fetchrules.poll.intake import Intake
from fetchrules.remote.mailbox import Begun, Retrieved
from tests.poll.conftest import NewScene, Scene, letter
from tests.poll.test_recovery import crash_at
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Behaviour, Fault, Say, Step

SIZE = 300


def empty_out(scene: Scene) -> None:
    """The mailbox's owner takes all away, and polls find nothing."""
    scene.replace()
    for _ in range(3):
        assert scene.poll_fine().found == 0


def test_it_doubts_a_name_that_an_empty_list_did_not_have(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(letter("a", size=SIZE))
    scene.poll_fine()
    empty_out(scene)
    scene.arrive(StoredLetter("a", letter("b", size=SIZE).data))
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]


def test_it_deletes_nothing_unread_by_a_name_that_an_empty_list_did_not_have(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive(letter("a", size=SIZE))
    crash_at("commit", scene, monkeypatch, after=True)
    empty_out(scene)
    scene.arrive(StoredLetter("a", letter("b", size=SIZE).data))
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


def test_it_brings_no_letter_back_that_another_poll_has_deleted_meanwhile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One poll sleeps while it fetches, another takes the letters and deletes them, and the first wakes up to a lost connection."""
    scene.arrive(*(letter(name, size=SIZE) for name in "ab"))
    take = Intake.take

    def sleeping(self: Intake, events: Iterator[Retrieved], asked: Sequence[ToFetch]) -> None:
        monkeypatch.setattr(Intake, "take", take)
        take(self, broken(events), asked)

    def broken(events: Iterator[Retrieved]) -> Iterator[Retrieved]:
        yield from takewhile(lambda event: event.letter.uid != "b" if isinstance(event, Begun) else True, events)
        for run in scene.rule.runs.filter(finished_at=None):
            assert leases.abandon(run, run.deadline)
        scene.poll_fine()
        raise ConnectionLost

    monkeypatch.setattr(Intake, "take", sleeping)
    assert isinstance(scene.poll().error, RunOvertaken)
    assert [path.name for path in (scene.mailbox / "tmp" / "utm-mail").iterdir() if path.name != "seal"] == ["marker"]
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])
    scene.arrive(StoredLetter("b", letter("c", size=SIZE).data))
    scene.poll_fine(flush=True)
    assert scene.delivered == ["a", "b", "c"]


def test_letters_of_one_name_do_not_use_up_the_fetchlimit(new_scene: NewScene) -> None:
    scene = new_scene(keep=True, fetchlimit=1)
    scene.arrive(*(StoredLetter("same", letter(name, size=SIZE).data) for name in "ab"))
    scene.poll_fine()
    scene.arrive("c", "d")
    for _ in range(2):
        scene.poll_fine()
    assert scene.delivered == ["a", "b", "c", "d"]
    scene.arrive(StoredLetter("same", letter("e", size=SIZE).data))
    scene.poll_fine()
    assert scene.delivered == ["a", "b", "c", "d", "e"]


def test_it_fetches_letters_without_names_up_to_the_fetchlimit_and_a_batch(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(Behaviour(capabilities=None, uidl=False), fetchlimit=2)
    scene.limit(batch_letters=1)
    scene.arrive(*"abcde")
    counts = scene.poll_fine()
    assert (counts.fetched, counts.left) == (2, {"fetchlimit": 3})
    for _ in range(2):
        scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c", "d", "e"], [])


def test_it_gets_past_letters_without_names_that_stay(new_scene: NewScene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = new_scene(Behaviour(capabilities=None), keep=True)
    scene.limit(batch_letters=1, checkpoint_letters=2)
    scene.arrive("a", "b", "c")
    scene.poll_fine()
    scene.behave(Behaviour(capabilities=None, uidl=False))
    scene.arrive("d")
    scene.poll_fine(keep=False)
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c", "d"], ["a", "b", "c"])


REFUSED = Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR broken\r\n"), nth=0),))


@pytest.mark.parametrize("another", [True, False], ids=["another letter", "the same"])
@pytest.mark.parametrize("columns", [{"keep": True}, {}], ids=["keep", "nokeep"])
def test_it_shows_what_cannot_be_fetched_under_a_used_name(
    columns: dict[str, bool], another: bool, new_scene: NewScene
) -> None:
    scene = new_scene(**columns)
    a, b = letter("a", size=SIZE), letter("b", size=SIZE + another)
    scene.arrive(a)
    scene.poll_fine()
    empty_out(scene)
    scene.arrive(StoredLetter("a", b.data) if another else a)
    scene.behave(REFUSED)
    for _ in range(2):
        scene.poll()
    (held,) = Letter.objects.filter(state=State.HELD)
    assert (held.tries, held.reason) == (2, "server_refused")
    scene.behave()
    for _ in range(2):
        scene.poll_fine()
    expected = ["a", "b"] if another else ["a"]
    assert (scene.delivered, scene.maildrop.uids) == (expected, ["a"] if columns else [])
    assert not Letter.objects.filter(state=State.HELD).exists()
    empty_out(scene)
    scene.arrive(StoredLetter("a", letter("c", size=SIZE).data))
    scene.poll_fine()
    assert scene.delivered == [*expected, "c"]


def test_it_counts_the_uses_of_a_name_on_when_an_earlier_letter_of_it_comes_back(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None))
    a = letter("a", size=300)
    scene.arrive(a)
    scene.poll_fine()
    scene.arrive(StoredLetter("a", letter("b", size=400).data))
    scene.poll_fine()
    scene.arrive(a)  # from the server's copy, and for once it has no unique-ids, and deletes nothing
    goodbye = Fault(Step.QUIT, Say(b"-ERR not now\r\n"))
    scene.behave(Behaviour(capabilities=None, uidl=False, faults=(goodbye,)))
    scene.poll_fine()
    scene.behave(Behaviour(capabilities=None))
    scene.replace(StoredLetter("a", letter("c", size=500).data))
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c"], [])
