"""Letters that go to a mail server: what it did not take is never mistaken for something that it took."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.delivery import spool
from fetchrules.delivery.dialogue import Deferred, Unanswered
from fetchrules.delivery.spool import SpooledMailbox, UnderWay
from fetchrules.delivery.staging import Staging
from fetchrules.errors import DeliveryFailed, Interrupted
from fetchrules.ledger import by_hand, leases
from fetchrules.ledger import letters as ledger
from fetchrules.models import Letter
from fetchrules.policy.known import HELD_PAUSE, MAX_TRIES
from fetchrules.remote import stopping
from fetchrules.remote.stopping import STOPPING
from tests.poll.conftest import NewScene, Scene
from tests.servers.faults import Cut
from tests.servers.lmtp import END, EVERY, Fault, MailSink, Taken, serving
from tests.servers.loopback import Hangup, Peer


class Crash(BaseException):
    """The end of the process, as far as the code under test can tell."""


@dataclass(slots=True)
class PickySink(MailSink):
    """Does `at_poison` at the end of each letter with that word in it."""

    at_poison: Fault | None = None
    at_each: Callable[[], None] | None = None
    """Called before the answer to a letter's end."""

    def _do(self, peer: Peer, step: str, work: Callable[[], bytes]) -> None:
        if step == END and self.at_each is not None:
            self.at_each()
        if step != END or self.at_poison is None:
            MailSink._do(self, peer, step, work)
            return
        answer = work()
        if b"poison" not in self.taken[-1].octets:
            peer.send(answer)
            return
        if self.at_poison != Cut(done=True):
            self.taken.pop()
        if not isinstance(self.at_poison, bytes):
            raise Hangup
        peer.send(self.at_poison)


@pytest.fixture
def sink() -> PickySink:
    """What the mail server got."""
    return PickySink()


@pytest.fixture
def scene(new_scene: NewScene, sink: MailSink, settings: Settings, tmp_path: Path) -> Iterator[Scene]:
    """A rule whose letters go to `sink`."""
    with serving(sink) as server:
        settings.DATA_DIR = tmp_path
        settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{server.port}"
        yield new_scene()


def subjects(sink: MailSink) -> list[str]:
    return sorted(one.octets.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for one in sink.taken)


def collected_id(letter: Taken) -> bytes:
    return letter.octets.partition(b"X-Collected-Id: ")[2].partition(b"\r\n")[0]


def test_it_begins_no_letter_when_the_time_to_end_is_over_and_doubles_none(
    scene: Scene, sink: PickySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "GRACE_SECONDS", 0.0)
    names = [f"letter {number}" for number in range(8)]
    scene.arrive(*names)
    sink.at_each = STOPPING.set
    try:
        assert isinstance(scene.poll().error, Interrupted)
    finally:
        STOPPING.clear()
    assert len(sink.taken) == 1
    run = scene.rule.runs.get()
    assert (run.state, run.fetched) == ("abandoned", 1)
    sink.at_each = None
    scene.poll_fine()
    assert subjects(sink) == names
    assert scene.maildrop.uids == []


def spooled(tmp_path: Path) -> set[str]:
    """Letters that wait to be sent."""
    return {path.name for path in tmp_path.glob("spool/*/*/*")} - {"marker", "seal"}


def crash(scene: Scene, monkeypatch: pytest.MonkeyPatch, place: object, name: str, only: str = "") -> None:
    """Poll, and die where `place` does `name`, with the file `only` if one is named; nothing of that poll is left running."""
    goes_on = getattr(place, name)

    def dies(*arguments: Any) -> object:
        if only and not any(only in names for names in arguments if isinstance(names, list)):
            return goes_on(*arguments)
        raise Crash

    with monkeypatch.context() as dead:
        dead.setattr(place, name, dies)
        with pytest.raises(Crash):
            scene.poll()
    for run in scene.rule.runs.filter(finished_at=None):
        assert leases.abandon(run, run.deadline)


ANSWERS: dict[str, Fault] = {
    "for good": b"554 5.7.1 not this one\r\n",
    "for now": b"451 4.3.0 not now\r\n",
    "for want of room": b"452 4.3.1 no room\r\n",
    "without an answer": Cut(),
}
NOTES: dict[str, Callable[..., object]] = {
    "for good": ledger.hold_back,
    "for now": ledger.hold_back,
    "for want of room": ledger.take_back,
    "without an answer": ledger.record_unanswered,
}


@pytest.mark.parametrize("refused", ANSWERS)
def test_it_loses_no_refused_letter_when_the_refusal_cannot_be_noted(
    refused: str, scene: Scene, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("a", "b")
    sink.faults = {(END, 1): ANSWERS[refused]}
    crash(scene, monkeypatch, ledger, NOTES[refused].__name__)
    for _ in range(2):
        scene.poll()
    assert subjects(sink) == ["a", "b"]
    assert scene.maildrop.uids == []
    assert set(Letter.objects.values_list("state", flat=True)) == {"delivered"}


@pytest.mark.parametrize("refused", ["for good", "for now"])
def test_it_fetches_a_refused_letter_once_more(refused: str, scene: Scene, sink: MailSink) -> None:
    scene.arrive("a", "b", "c")
    sink.faults = {(END, 2): ANSWERS[refused]}
    assert scene.poll_fine().held == 1
    assert subjects(sink) == ["a", "c"]
    assert (scene.states["b"], scene.maildrop.uids) == ("held", ["b"])
    scene.poll_fine()
    assert (subjects(sink), scene.maildrop.uids) == (["a", "b", "c"], [])


def test_it_gives_up_a_letter_for_a_day_that_the_mail_server_refused_five_times(scene: Scene, sink: MailSink) -> None:
    scene.arrive("a")
    sink.faults = {(END, number): ANSWERS["for good"] for number in range(1, MAX_TRIES + 1)}
    for _ in range(MAX_TRIES):
        assert scene.poll().counts.held == 1
    assert Letter.objects.get().tries == MAX_TRIES
    assert scene.poll_fine().left == {"held": 1}
    assert subjects(sink) == []


def test_it_ends_no_session_for_a_letter_that_only_the_mail_server_refused(scene: Scene, sink: MailSink) -> None:
    scene.arrive("a")
    sink.faults = {(END, 1): ANSWERS["for good"]}
    scene.poll()
    scene.arrive("b", "c")
    assert scene.poll_fine().fetched == 3
    assert scene.server.connections == 2


def test_it_fails_for_want_of_room_and_holds_no_letter(scene: Scene, sink: MailSink) -> None:
    scene.arrive("a", "b", "c")
    sink.faults = {(END, 2): ANSWERS["for want of room"]}
    assert isinstance(scene.poll().error, DeliveryFailed), "the mail server's trouble, not the letter's"
    assert (subjects(sink), "b" in scene.states) == (["a", "c"], False)
    scene.poll_fine()
    assert (subjects(sink), scene.maildrop.uids) == (["a", "b", "c"], [])


def test_it_holds_a_letter_that_is_refused_after_a_crash(
    scene: Scene, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("a", "b")
    crash(scene, monkeypatch, SpooledMailbox, "commit")
    assert scene.states == {"a": "sending", "b": "sending"}
    sink.faults = {(END, 1): ANSWERS["for good"]}
    scene.poll_fine()
    assert len(subjects(sink)) == 2, "the refused one comes again, after the other one"
    assert scene.maildrop.uids == []


@pytest.mark.parametrize("fault", [Cut(), Cut(done=True)], ids=["not taken", "taken"])
def test_it_gets_past_a_letter_that_is_never_answered(fault: Cut, scene: Scene, sink: PickySink) -> None:
    sink.at_poison = fault
    scene.arrive("poison", "a", "b", "c")
    assert scene.poll_fine().fetched == 3
    assert [name for name in subjects(sink) if name != "poison"] == ["a", "b", "c"]
    row = Letter.objects.get(uid="poison")
    assert (row.state, row.tries, scene.maildrop.uids) == ("sending", 1, ["poison"])
    scene.arrive("d")
    assert isinstance(scene.poll().error, Unanswered)
    assert "d" in subjects(sink)


@pytest.mark.parametrize("fault", [Cut(), Cut(done=True)], ids=["not taken", "taken"])
def test_it_holds_a_letter_that_is_never_answered(fault: Cut, scene: Scene, sink: PickySink, tmp_path: Path) -> None:
    sink.at_poison = fault
    scene.arrive("poison")
    errors = [scene.poll().error for _ in range(MAX_TRIES + 3)]
    assert [isinstance(error, Unanswered) for error in errors] == [True] * (MAX_TRIES - 1) + [False] * 4
    row = Letter.objects.get()
    assert (row.state, row.fate, row.tries, row.reason) == ("held", "kept", MAX_TRIES, "delivery_failed")
    assert row.maybe_twice
    assert scene.maildrop.uids == ["poison"], "perhaps this is the only copy"
    assert len(sink.taken) == (MAX_TRIES if fault == Cut(done=True) else 0)
    assert spooled(tmp_path) == set()


def test_it_remembers_the_doubt_about_a_letter_that_is_tried_again_by_hand(scene: Scene, sink: PickySink) -> None:
    sink.at_poison = Cut(done=True)
    scene.arrive("poison")
    for _ in range(MAX_TRIES):
        scene.poll()
    by_hand.retry_held(Letter.objects.all())
    sink.at_poison = None
    scene.poll_fine()
    row = Letter.objects.get()
    assert (row.state, row.maybe_twice, row.tries, row.reason, row.detail) == ("delivered", True, 0, "", "")
    assert len({collected_id(one) for one in sink.taken}) == 1
    assert scene.maildrop.uids == []


def test_it_tries_a_held_letter_once_a_day_and_no_more(scene: Scene, sink: PickySink) -> None:
    sink.at_poison = Cut(done=True)
    scene.arrive("poison")
    for _ in range(MAX_TRIES):
        scene.poll()
    Letter.objects.update(tried_at=timezone.now() - HELD_PAUSE)
    for _ in range(3):
        scene.poll()
    row = Letter.objects.get()
    assert (row.state, row.tries, row.maybe_twice, len(sink.taken)) == ("held", MAX_TRIES + 1, True, MAX_TRIES + 1)


def test_it_marks_a_letter_that_is_answered_at_last(scene: Scene, sink: PickySink) -> None:
    sink.at_poison = Cut(done=True)
    scene.arrive("poison")
    scene.poll()
    sink.at_poison = None
    scene.poll_fine()
    row = Letter.objects.get()
    assert (row.state, row.maybe_twice, row.tries, len(sink.taken)) == ("delivered", True, 0, 2)


def test_it_takes_silence_at_every_letter_for_the_servers_fault(scene: Scene, sink: MailSink) -> None:
    sink.faults = {(END, EVERY): Cut()}
    scene.arrive(*"abcdefgh")
    assert isinstance(scene.poll().error, DeliveryFailed)
    assert scene.states == {"a": "sending", "b": "sending"}, "the others were never begun"
    sink.faults = {}
    scene.poll_fine()
    assert (subjects(sink), scene.maildrop.uids) == ([*"abcdefgh"], [])


def test_it_finishes_first_what_made_no_trouble(scene: Scene, sink: PickySink, monkeypatch: pytest.MonkeyPatch) -> None:
    sink.at_poison = Cut()
    scene.arrive("poison1", "poison2", "a", "b")
    crash(scene, monkeypatch, SpooledMailbox, "commit")
    scene.poll()
    assert subjects(sink) == []
    scene.poll()
    assert subjects(sink) == ["a", "b"]


@pytest.mark.parametrize("fault", [ANSWERS["for now"], Cut()], ids=["put off", "unanswered"])
def test_it_loses_no_letter_when_it_dies_between_the_row_and_the_file(
    fault: Fault, scene: Scene, sink: PickySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("poison", "a")
    crash(scene, monkeypatch, SpooledMailbox, "commit")
    Letter.objects.filter(uid="poison").update(tries=MAX_TRIES - 1)
    poison = Letter.objects.get(uid="poison").file_name
    sink.at_poison = fault
    crash(scene, monkeypatch, Staging, "remove", only=poison)
    assert scene.states == {"a": "delivered", "poison": "held"}
    scene.poll_fine()
    assert (subjects(sink), scene.maildrop.uids) == (["a"], ["poison"])
    by_hand.retry_held(Letter.objects.all())
    sink.at_poison = None
    scene.poll_fine()
    assert (subjects(sink), scene.maildrop.uids) == (["a", "poison"], [])


def test_it_leaves_alone_what_another_poll_is_sending(
    scene: Scene, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_args: object) -> None:
        raise UnderWay

    scene.arrive("a", "b", "c")
    with monkeypatch.context() as another:
        another.setattr(spool, "_lock", locked)
        for _ in range(MAX_TRIES + 1):
            assert isinstance(scene.poll().error, UnderWay)
    assert set(Letter.objects.values_list("state", "tries")) == {("sending", 0)}
    scene.poll_fine()
    assert (subjects(sink), scene.maildrop.uids) == (["a", "b", "c"], [])


def test_it_holds_a_letter_that_is_put_off_every_time(scene: Scene, sink: PickySink) -> None:
    sink.at_poison = ANSWERS["for now"]
    scene.arrive("poison", *(f"{number:03}" for number in range(200)))
    assert (scene.poll_fine().fetched, scene.states["poison"]) == (200, "held")
    for number in range(MAX_TRIES - 1):
        scene.arrive(f"new{number}")
        scene.poll_fine()
    counts = scene.poll_fine()
    assert counts.left == {"held": 1}
    row = Letter.objects.get(uid="poison")
    assert (row.tries, row.detail) == (MAX_TRIES, "451 4.3.0 not now")


def test_it_fails_with_the_servers_words_when_every_letter_is_put_off(scene: Scene, sink: MailSink) -> None:
    sink.faults = {(END, EVERY): b"451 4.7.1 filter is down\r\n"}
    scene.arrive("a", "b", "c")
    for held in ("a", "b", "c"):
        error = scene.poll().error
        assert isinstance(error, Deferred)
        assert error.detail == "451 4.7.1 filter is down"
        assert scene.states[held] == "held", "the first pays, and is the last at the next poll"
        assert Letter.objects.get(uid=held).tries == 1
    sink.faults = {}
    scene.poll_fine()
    assert (subjects(sink), scene.maildrop.uids) == (["a", "b", "c"], [])


def test_it_keeps_the_tries_of_a_held_letter_when_the_server_is_at_fault(scene: Scene, sink: MailSink) -> None:
    scene.arrive("a")
    sink.faults = {(END, 1): ANSWERS["for now"], (END, 2): ANSWERS["for want of room"]}
    for _ in range(2):
        scene.poll()
    row = Letter.objects.get()
    assert (row.state, row.tries, row.detail) == ("held", 1, "451 4.3.0 not now")
    scene.poll_fine()
    assert subjects(sink) == ["a"]


def test_it_counts_a_try_after_a_crash_too(scene: Scene, sink: PickySink, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.arrive("poison", "a")
    crash(scene, monkeypatch, SpooledMailbox, "commit")
    sink.at_poison = ANSWERS["for now"]
    scene.poll()
    row = Letter.objects.get(uid="poison")
    assert (row.state, row.maybe_twice, subjects(sink)) == ("held", True, ["a"])
    assert row.tries == 2, "once in finishing, once in collecting"
