"""Faults of this machine: named as such, looked at again within two minutes, and no remote server is troubled for them."""

import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone
from pytest_django import Settings

from fetchrules.errors import (
    DatabaseFailed,
    FetchError,
    MailboxUnwritable,
    MaildirReplaced,
    MailServerDown,
    RecipientUnknown,
)
from fetchrules.ledger import letters as ledger
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, HourlyStat, Run
from fetchrules.poll.run import poll
from fetchrules.schedule import JITTER, OURS, NextReason
from tests.poll.conftest import Scene
from tests.servers.lmtp import EVERY, MailSink, serving


def fails(scene: Scene, kind: type[FetchError]) -> None:
    """A poll that fails in this way, after which the next one is at most two minutes away."""
    error = scene.poll().error
    assert isinstance(error, kind), error
    scene.rule.refresh_from_db()
    assert scene.rule.next_poll_at is not None
    assert scene.rule.next_poll_at <= timezone.now() + OURS * (1 + JITTER)


def block(directory: Path) -> None:
    """A file stands where the directory of the domain should be."""
    directory.parent.parent.mkdir(exist_ok=True)
    directory.parent.touch()


def test_it_asks_no_remote_server_whether_the_local_mailbox_can_be_written_to(scene: Scene) -> None:
    block(scene.mailbox)
    scene.arrive("a")
    for _ in range(9):
        fails(scene, MailboxUnwritable)
    assert scene.server.connections == 1
    scene.mailbox.parent.unlink()
    scene.poll_fine()
    assert scene.delivered == ["a"]


def test_it_fills_no_journal_with_a_fault_that_lasts(scene: Scene) -> None:
    block(scene.mailbox)
    scene.arrive("a")
    for _ in range(5):
        FetchRule.objects.update(next_poll_at=timezone.now(), next_reason=NextReason.BACKOFF)
        (run_id,) = runs.claim_due(timezone.now())
        assert poll(run_id)
    run = Run.objects.get()
    scene.rule.refresh_from_db()
    assert (run.error, scene.rule.last_run) == (MailboxUnwritable.code, run)
    assert (scene.rule.failures, HourlyStat.objects.aggregate(failed=Sum("failed"))["failed"]) == (5, 5)


def test_it_waits_at_home_for_a_disk_that_is_not_mounted(scene: Scene) -> None:
    scene.arrive("a")
    scene.poll_fine()
    scene.arrive("b")
    away = scene.mailbox.rename(scene.mailbox.with_name("away"))
    connections = scene.server.connections
    for _ in range(3):
        fails(scene, MaildirReplaced)
    assert scene.server.connections == connections + 1
    away.rename(scene.mailbox)
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]


def test_it_waits_at_home_for_the_local_mail_server(scene: Scene, settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    sink = MailSink()
    scene.arrive("a")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{taken.getsockname()[1]}"
        for _ in range(3):
            fails(scene, MailServerDown)
    assert scene.server.connections == 1
    with serving(sink) as server:
        settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{server.port}"
        scene.poll_fine()
    assert len(sink.taken) == 1


def test_it_asks_the_local_mail_server_alone_whether_there_is_a_mailbox_by_now(
    scene: Scene, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    sink = MailSink(faults={("RCPT", EVERY): b"550 5.1.1 no such user\r\n"})
    scene.arrive("a")
    with serving(sink) as server:
        settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{server.port}"
        for _ in range(9):
            assert isinstance(scene.poll().error, RecipientUnknown)
        scene.rule.refresh_from_db()
        assert scene.rule.next_poll_at is not None
        assert scene.rule.next_poll_at < timezone.now() + timedelta(minutes=34)
        assert scene.server.connections == 1
        sink.faults = {}
        scene.poll_fine()
    assert len(sink.taken) == 1


def test_it_says_that_the_database_did_not_work(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    record_ready: Callable[..., object] = ledger.record_ready

    def recording(*args: object) -> object:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = ON")
            try:
                return record_ready(*args)
            finally:
                cursor.execute("PRAGMA query_only = OFF")

    if connection.vendor != "sqlite":
        pytest.skip("only SQLite can be made read-only in the middle of a transaction")
    scene.arrive("a")
    with monkeypatch.context() as read_only:
        read_only.setattr(ledger, "record_ready", recording)
        fails(scene, DatabaseFailed)
    assert scene.rule.last_detail == "SQLITE_READONLY"
    scene.poll_fine()
    assert scene.delivered == ["a"]
