"""Letters that go to a mail server: what it did not take is never mistaken for something that it took."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from fetchrules.delivery.spool import SpooledMailbox
from fetchrules.errors import DeliveryFailed
from fetchrules.ledger import letters as ledger
from fetchrules.ledger import runs
from fetchrules.models import Letter
from tests.poll.conftest import NewScene, Scene
from tests.servers.lmtp import END, MailSink, serving


class Crash(BaseException):
    """The end of the process, as far as the code under test can tell."""


@pytest.fixture
def sink() -> MailSink:
    """What the mail server got."""
    return MailSink()


@pytest.fixture
def scene(new_scene: NewScene, sink: MailSink, settings: Settings, tmp_path: Path) -> Iterator[Scene]:
    """A rule whose letters go to `sink`."""
    with serving(sink) as server:
        settings.DATA_DIR = tmp_path
        settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{server.port}"
        yield new_scene()


def subjects(sink: MailSink) -> list[str]:
    return sorted(one.octets.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for one in sink.taken)


def dies(*_args: object) -> None:
    raise Crash


def crash(scene: Scene, monkeypatch: pytest.MonkeyPatch, place: object, name: str) -> None:
    """Poll, and die where `place` does `name`; nothing of that poll is left running."""
    with monkeypatch.context() as dead:
        dead.setattr(place, name, dies)
        with pytest.raises(Crash):
            scene.poll()
    for run in scene.rule.runs.filter(finished_at=None):
        assert runs.abandon(run, run.deadline)


ANSWERS = {"for good": b"554 5.7.1 not this one\r\n", "for now": b"451 4.3.0 not now\r\n"}
NOTES: dict[str, Callable[..., object]] = {"for good": ledger.hold_back, "for now": ledger.take_back}


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


@pytest.mark.parametrize("refused", ANSWERS)
def test_it_fetches_a_refused_letter_once_more(refused: str, scene: Scene, sink: MailSink) -> None:
    scene.arrive("a", "b", "c")
    sink.faults = {(END, 2): ANSWERS[refused]}
    result = scene.poll()
    assert subjects(sink) == ["a", "c"]
    if refused == "for good":
        assert (result.error, scene.states["b"], scene.maildrop.uids) == (None, "held", ["b"])
    else:
        assert isinstance(result.error, DeliveryFailed), "the mail server's trouble, not the letter's"
        assert "b" not in scene.states
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
