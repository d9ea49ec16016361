"""A letter that cannot be fetched or delivered is in nobody's way: it comes last, it is held, it is shown with its reason."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from fetchrules.delivery.staging import StagedFile
from fetchrules.errors import ConnectionLost, DeliveryFailed, DiskFull, NothingCame, RemoteProtocolError, TimedOut
from fetchrules.ledger import by_hand, letters, runs
from fetchrules.models import Letter, Run
from fetchrules.policy.known import HELD_PAUSE, MAX_TRIES
from tests.poll.conftest import NewScene, Scene, letter
from tests.servers.loopback import Hangup
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Alter, Behaviour, Cut, Fault, Flood, Say, Step

NAMES = ("a", "b", "poison", "c", "d")


def at_poison(answer: Callable[[bytes], bytes]) -> Behaviour:
    """A server that answers a RETR of the letter `poison` with something else."""

    def change(octets: bytes) -> bytes:
        return answer(octets) if b"Subject: poison" in octets else octets

    return Behaviour(faults=(Fault(Step.RETR, Alter(change), nth=0),))


def hangs_up(_octets: bytes) -> bytes:
    raise Hangup


def later(days: float) -> None:
    """Let `days` pass for the letters that are held."""
    for row in Letter.objects.exclude(tried_at=None):
        assert row.tried_at is not None
        Letter.objects.filter(id=row.id).update(tried_at=row.tried_at - timedelta(days=days))


POISONS = {
    "the server hangs up": (at_poison(hangs_up), ConnectionLost),
    "the server talks nonsense": (at_poison(lambda _: b"what?\r\n"), RemoteProtocolError),
    "hangs up, no pipelining": (at_poison(hangs_up).without("PIPELINING"), ConnectionLost),
    "falls silent in its middle": (at_poison(lambda octets: octets[:60]).without("PIPELINING"), TimedOut),
}


@pytest.mark.parametrize("same_name", [False, True], ids=["none has a name", "all have one name"])
def test_it_gets_past_a_letter_without_a_name_that_breaks_the_session(same_name: bool, new_scene: NewScene) -> None:
    scene = new_scene(replace(at_poison(hangs_up), capabilities=None, uidl=same_name))
    for name in NAMES:
        stored = letter(name, size=300 + len(name))
        scene.arrive(StoredLetter("same", stored.data) if same_name else stored)
    for _ in range(4):
        scene.poll()
    assert scene.delivered == ["a", "b", "c", "d"]
    assert len(scene.maildrop.uids) == 1, "what was delivered is deleted, whatever the poison does"
    scene.behave(Behaviour(capabilities=None, uidl=same_name))
    for _ in range(2):
        scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c", "d", "poison"], [])


@pytest.mark.parametrize(("behaviour", "error"), POISONS.values(), ids=POISONS)
def test_it_gets_past_a_letter_that_breaks_the_session(
    behaviour: Behaviour, error: type[Exception], new_scene: NewScene
) -> None:
    scene = new_scene(behaviour)
    scene.arrive(*NAMES)
    assert isinstance(scene.poll().error, error)
    assert scene.delivered == ["a", "b"]
    scene.poll()
    assert scene.delivered == ["a", "b", "c", "d"]
    scene.poll()
    assert scene.maildrop.uids == ["poison"], "what was delivered is deleted, whatever the poison does"


def test_it_deletes_what_is_to_be_deleted_before_it_tries_a_letter_that_broke_the_session(new_scene: NewScene) -> None:
    scene = new_scene(at_poison(hangs_up), keep=True)
    scene.arrive("a", "poison")
    scene.poll()
    scene.poll(flush=True)
    assert scene.maildrop.uids == ["poison"]


@pytest.mark.parametrize(
    ("behaviour", "keep"),
    [(at_poison(hangs_up), True), (Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR no\r\n")),)), False)],
    ids=["keep", "nokeep"],
)
def test_it_ends_no_session_for_a_letter_that_endangers_nothing(
    behaviour: Behaviour, keep: bool, new_scene: NewScene
) -> None:
    scene = new_scene(behaviour, keep=keep)
    scene.arrive("poison")
    scene.poll()
    scene.behave()
    scene.arrive("a", "b")
    before = scene.server.connections
    assert scene.poll_fine().fetched == 3
    assert scene.server.connections - before == 1


def test_it_leaves_a_letter_alone_for_a_day_after_five_tries(new_scene: NewScene) -> None:
    scene = new_scene(at_poison(hangs_up))
    scene.arrive("poison")
    assert isinstance(scene.poll().error, ConnectionLost)
    for _ in range(MAX_TRIES - 1):
        assert isinstance(scene.poll().error, NothingCame), "the letter's fault, not the line's"
    scene.arrive("new")
    counts = scene.poll_fine()
    assert (counts.fetched, counts.left) == (1, {"held": 1})
    row = Letter.objects.get(uid="poison")
    assert (row.state, row.tries, row.reason) == ("held", MAX_TRIES, "connection_lost")
    scene.behave()
    later(HELD_PAUSE / timedelta(days=1))
    assert scene.poll_fine().fetched == 1
    assert scene.delivered == ["new", "poison"]


def test_it_tries_a_held_letter_again_when_asked_and_passes_it_over_when_told(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR no\r\n"), nth=0),)), keep=True)
    scene.arrive("a", "b")
    for _ in range(MAX_TRIES):
        assert scene.poll().counts.held == 2
    assert scene.poll_fine().left == {"held": 2}
    by_hand.retry_held(Letter.objects.filter(uid="a"))
    by_hand.pass_over(Letter.objects.filter(uid="b"))
    scene.behave()
    counts = scene.poll_fine()
    assert (counts.fetched, counts.left) == (1, {"passed": 1})
    assert scene.delivered == ["a"]


def test_it_looks_for_room_before_a_long_letter_and_fetches_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    scene.limit(batch_octets=1000)
    monkeypatch.setattr("fetchrules.delivery.staging.Staging.check_room", lambda _self, octets: looked.append(octets))
    scene.arrive("a", letter("long", size=5000))
    assert scene.poll_fine().fetched == 2
    assert 5000 in looked
    assert scene.delivered == ["a", "long"]


def test_it_holds_a_letter_that_has_no_room_and_fetches_the_others(scene: Scene) -> None:
    lie = Alter(lambda answer: answer.replace(b"2 %d" % len(letter("b").data), b"2 9999999999999999999"))
    scene.behave(Behaviour(faults=(Fault(Step.LIST, lie),)))
    scene.arrive("a", "b", "c")
    counts = scene.poll_fine()
    assert (counts.fetched, counts.held) == (2, 1)
    assert scene.delivered == ["a", "c"]
    assert Letter.objects.get(uid="b").reason == "disk_full"
    scene.behave()
    assert scene.poll_fine().fetched == 1


def fails_for(name: bytes, monkeypatch: pytest.MonkeyPatch, number: int = errno.EDQUOT) -> None:
    """Writing the letter `name` fails: the user's quota has no room for one so large."""
    write = StagedFile.write

    def writing(draft: StagedFile, data: bytes) -> None:
        if b"Subject: " + name in data:
            raise DiskFull(os.strerror(number))
        write(draft, data)

    monkeypatch.setattr(StagedFile, "write", writing)


def test_it_delivers_the_others_when_one_letter_cannot_be_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive(*NAMES)
    with monkeypatch.context() as broken:
        fails_for(b"poison", broken)
        assert isinstance(scene.poll().error, DiskFull)
        assert scene.delivered == ["a", "b"]
        scene.poll()
        assert scene.delivered == ["a", "b", "c", "d"]
    assert scene.poll_fine().fetched == 1
    assert scene.maildrop.uids == []


def test_it_blames_no_letter_for_a_disk_that_becomes_full(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    write = StagedFile.write

    def full(*_: object) -> None:
        raise DiskFull("no room at all")

    def writing(draft: StagedFile, data: bytes) -> None:
        write(draft, data)
        if b"Subject: e" in data:
            broken.setattr("fetchrules.delivery.staging.Staging.check_room", full)
            full()

    scene.arrive("d", "e")
    with monkeypatch.context() as broken:
        broken.setattr(StagedFile, "write", writing)
        assert isinstance(scene.poll().error, DiskFull)
    assert not Letter.objects.exists()
    assert scene.staged == set()
    assert scene.poll_fine().fetched == 2


def test_it_holds_a_letter_that_took_the_last_room_and_fetches_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = StagedFile.write

    def staged() -> int:
        return sum((scene.mailbox / "tmp" / "utm-mail" / name).stat().st_size for name in scene.staged)

    def writing(draft: StagedFile, data: bytes) -> None:
        write(draft, data)
        check()

    def check(*_: object) -> None:
        if staged() > 3000:
            raise DiskFull("no room for this one")

    scene.arrive("a", letter("long", size=5000), "b")
    with monkeypatch.context() as broken:
        broken.setattr(StagedFile, "write", writing)
        broken.setattr("fetchrules.delivery.staging.Staging.check_room", check)
        assert isinstance(scene.poll().error, DiskFull)
        scene.poll()
        assert (scene.delivered, scene.states["long"]) == (["a", "b"], "held")


def test_it_keeps_the_reserve_while_a_letter_without_end_comes_in(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def full(_self: object, octets: int) -> None:
        looked.append(octets)
        if len(looked) > 3:
            raise DiskFull("no room any more")

    monkeypatch.setattr("fetchrules.delivery.staging.Staging.check_room", full)
    scene.limit(batch_octets=10_000)
    scene.arrive(letter("long", size=5_000_000))
    assert isinstance(scene.poll().error, DiskFull)
    assert scene.delivered == []
    assert len(looked) < 10


def test_it_breaks_off_a_letter_that_goes_on_long_after_its_size(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.limit(spare_octets=1_000_000)
    scene.arrive("a", "b", "c")
    scene.behave(Behaviour(faults=(Fault(Step.RETR, Flood(b"on and on\r\n" * 400, b"+OK\r\n"), nth=2),)))
    result = scene.poll()
    assert isinstance(result.error, RemoteProtocolError)
    assert result.counts.octets < 2_000_000
    assert scene.delivered == ["a"]
    scene.behave()
    assert scene.poll_fine().fetched == 2
    assert scene.delivered == ["a", "b", "c"]


def test_it_leaves_nothing_behind_when_a_batch_cannot_be_made_durable(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("a", "b")

    def failing(*_: object) -> None:
        raise DeliveryFailed("fsync")

    with monkeypatch.context() as broken:
        broken.setattr("fetchrules.delivery.staging.Staging._sync_file", failing)
        assert isinstance(scene.poll().error, DeliveryFailed)
    assert scene.staged == set()
    assert scene.poll_fine().fetched == 2


def test_it_leaves_nothing_of_a_letter_that_was_cut_or_could_not_be_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.behave(Behaviour(faults=(Fault(Step.RETR, Cut(40)),)).without("PIPELINING"))
    scene.arrive("a")
    assert isinstance(scene.poll().error, ConnectionLost)
    assert scene.staged == set()
    scene.behave()

    with monkeypatch.context() as broken:
        fails_for(b"a", broken)
        assert isinstance(scene.poll().error, DiskFull)
    assert scene.staged == set()


def test_it_says_which_letters_are_between_two_worlds_for_too_long(scene: Scene) -> None:
    scene.arrive("a", "b")
    scene.poll_fine()
    now = timezone.now()
    Letter.objects.filter(uid="a").update(state="ready")
    assert list(letters.stuck(now)) == []
    assert [row.uid for row in letters.stuck(now + letters.STUCK_AFTER)] == ["a"]


COUNTED: dict[str, Callable[[Scene], None]] = {
    "new ones": lambda scene: scene.arrive(*(f"{len(scene.maildrop.letters)}-{number}" for number in range(3))),
    "some refused": lambda scene: scene.behave(Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR\r\n"), nth=2),))),
    "none": lambda scene: scene.arrive(),
}


@pytest.mark.parametrize("more", COUNTED.values(), ids=COUNTED)
@pytest.mark.parametrize(
    "columns",
    [{}, {"keep": True}, {"keep": True, "flush": True}, {"fetchlimit": 2}, {"limit": 300}, {"fetchall": True}],
    ids=str,
)
def test_it_accounts_for_every_letter_that_it_found(
    more: Callable[[Scene], None], columns: dict[str, object], new_scene: NewScene
) -> None:
    scene = new_scene(**columns)
    scene.arrive("d", "e", letter("f", size=1000), "g")
    for _ in range(3):
        more(scene)
        there = len(scene.maildrop.letters)
        counts = scene.poll_fine()
        scene.behave()
        assert counts.found == there
        flushed = counts.deleted if columns.get("flush") else 0
        assert counts.found == counts.fetched + counts.held + counts.skipped + flushed, counts


def test_it_takes_nothing_for_no_letter(scene: Scene) -> None:
    scene.behave(Behaviour(faults=(Fault(Step.RETR, Say(b"+OK\r\n.\r\n"), nth=2),)))
    scene.arrive("a", "b", "c")
    counts = scene.poll_fine()
    assert (counts.fetched, counts.held) == (2, 1)
    assert scene.maildrop.uids == ["b"]
    scene.behave()
    assert scene.poll_fine().fetched == 1
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c"], [])


def test_it_shows_that_it_is_alive_while_the_server_refuses_letter_after_letter(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.limit(renew_seconds=-1.0)
    held_when_renewed: list[int] = []
    renew = runs.renew

    def renewing(run: Run, now: datetime, counts: runs.Counts | None = None) -> None:
        renew(run, now, counts)
        held_when_renewed.append(Letter.objects.filter(state="held").count())

    monkeypatch.setattr(runs, "renew", renewing)
    scene.behave(Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR no\r\n"), nth=0),)))
    scene.arrive("a", "b", "c")
    assert scene.poll().counts.held == 3
    assert held_when_renewed == [1, 2, 3]
