"""A poll from its claim to its result, whatever is claimed and whatever breaks."""

from datetime import datetime

import pytest
from django.db import OperationalError
from django.utils import timezone

from fetchrules.delivery.staging import StagedFile
from fetchrules.errors import DatabaseFailed, InternalError, MaildirReplaced, RunOvertaken
from fetchrules.ledger import letters as ledger
from fetchrules.ledger import runs
from fetchrules.ledger.letters import Filing
from fetchrules.models import FetchRule, Letter, Run
from fetchrules.poll.run import poll
from tests.poll.conftest import Scene
from tests.servers.pop3 import Behaviour, Fault, Say, Step


def test_it_polls_once_for_each_claim(scene: Scene) -> None:
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    assert poll(run_id) is not None
    assert poll(run_id) is None
    assert scene.server.connections == 1


def test_it_visits_no_server_for_a_rule_that_was_deleted_meanwhile(scene: Scene) -> None:
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    scene.arrive("a")
    FetchRule.objects.all().delete()
    result = poll(run_id)
    assert result is not None
    assert isinstance(result.error, RunOvertaken)
    assert (scene.server.connections, scene.maildrop.uids) == (0, ["a"])


def test_it_says_that_something_broke_which_nobody_thought_of(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_args: object) -> None:
        raise ZeroDivisionError("petrovpasswd")

    scene.arrive("a")
    with monkeypatch.context() as broken:
        broken.setattr("fetchrules.poll.looking.plan", breaks)
        error = scene.poll().error
    assert isinstance(error, InternalError)
    assert error.detail == "ZeroDivisionError", "what an unknown error says may be a secret"
    run = Run.objects.get()
    assert (run.state, run.error) == ("failed", InternalError.code)
    scene.poll_fine()
    assert scene.delivered == ["a"]


def test_it_takes_no_file_away_while_nobody_knows_what_the_database_recorded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ledger.record_ready

    def recording(*args: object) -> object:
        original(*args)  # type: ignore[arg-type]
        raise OperationalError("the server closed the connection unexpectedly")

    scene.arrive("a", "b")
    with monkeypatch.context() as broken:
        broken.setattr(ledger, "record_ready", recording)
        assert isinstance(scene.poll().error, DatabaseFailed)
    assert set(scene.states.values()) == {"ready"}
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


def test_it_records_nothing_where_the_maildir_was_replaced_meanwhile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = StagedFile.finish

    def finishing(draft: StagedFile, told: datetime | None = None) -> object:
        done = finish(draft, told)
        scene.mailbox.rename(scene.mailbox.with_name("elsewhere"))
        return done

    scene.arrive("a")
    with monkeypatch.context() as replaced:
        replaced.setattr(StagedFile, "finish", finishing)
        assert isinstance(scene.poll().error, MaildirReplaced)
    assert (scene.states, scene.maildrop.uids) == ({}, ["a"])


def test_it_leaves_no_file_of_a_letter_that_somebody_else_has_recorded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ledger.record_ready

    def recording(filing: Filing, *args: object) -> object:
        times = {"first_seen_at": timezone.now(), "delivered_at": timezone.now()}
        Letter.objects.create(source=filing.source, epoch=0, uid="a", size=1, state="delivered", **times)
        return original(filing, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "record_ready", recording)
    scene.arrive("a", "b")
    assert scene.poll_fine().fetched == 1
    assert (scene.delivered, scene.staged) == (["b"], set())


def test_it_knows_that_a_refused_deletion_did_not_happen(scene: Scene) -> None:
    scene.behave(Behaviour(faults=(Fault(Step.DELE, Say(b"-ERR no\r\n")),)))
    scene.arrive("a", "b")
    scene.poll_fine()
    assert dict(Letter.objects.values_list("uid", "fate")) == {"a": "wanted", "b": "deleted"}
