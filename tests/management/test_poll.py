"""`manage.py poll` where nothing else runs: no beat to take dead runs off the board, no worker to begin those that wait."""

import json
import resource
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.ledger.workers import this_process
from fetchrules.models import FetchRule, Heartbeat, Run
from tests.conftest import MakeRule
from tests.interop.installation import ROOT, Installation
from tests.servers.loopback import LoopbackServer, Peer

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(make_rule: MakeRule) -> FetchRule:
    """A rule whose server refuses connections."""
    return make_rule(server="127.0.0.1", port=1)


def outcome(rule: FetchRule) -> str:
    """The code of the error that the command reports."""
    printed = StringIO()
    with pytest.raises(SystemExit):
        call_command("poll", str(rule.pk), "--json", stdout=printed)
    row: dict[str, Any] = json.loads(printed.getvalue())
    return str(row["error"]["code"])


def test_it_respects_a_poll_that_is_running(rule: FetchRule) -> None:
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.SCHEDULE)
    runs.start(run_id, timezone.now())
    assert outcome(rule) == "mailbox_busy"


def test_it_takes_a_dead_poll_off_the_board(rule: FetchRule) -> None:
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.SCHEDULE)
    runs.start(run_id, timezone.now())
    Run.objects.update(deadline=timezone.now() - timedelta(seconds=1))
    assert outcome(rule) == "connect_failed"
    assert Run.objects.get(id=run_id).state == "abandoned"


def test_it_is_not_taken_for_a_dead_worker_of_the_same_name(rule: FetchRule) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    Heartbeat.objects.create(part="worker", host=this_process(), seen_at=long_ago, started_at=long_ago)
    outcome(rule)
    assert not Heartbeat.objects.exists()
    assert Run.objects.get().worker == this_process()


def test_it_begins_a_poll_that_waits_for_a_worker(rule: FetchRule) -> None:
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.SCHEDULE)
    assert outcome(rule) == "connect_failed"
    assert Run.objects.get(id=run_id).state == "failed"


def test_it_waits_for_no_silent_server_when_it_is_to_end(tmp_path: Path) -> None:
    reached = Event()

    def fall_silent(peer: Peer) -> None:
        reached.set()
        peer.stall()

    installation = Installation(tmp_path)
    installation.prepare()
    with LoopbackServer(fall_silent) as silent:
        installation.paste(f"127.0.0.1:pop3 petrov petrovpasswd i.petrov@mydomain.ru port {silent.port}\n")
        command: list[str | Path] = [sys.executable, ROOT / "manage.py", "poll", "--json"]
        with subprocess.Popen(command, env=installation.env, stdout=subprocess.PIPE, text=True) as process:
            assert reached.wait(30)
            process.terminate()
            said, _ = process.communicate(timeout=40)
    assert json.loads(said)["error"]["code"] == "abandoned"


def test_it_waits_for_no_database_that_stays_away(tmp_path: Path) -> None:
    connected, go_on = Event(), Event()

    def hang_up_later(_peer: Peer) -> None:
        connected.set()
        assert go_on.wait(30)

    installation = Installation(tmp_path)
    installation.prepare()
    with LoopbackServer(hang_up_later) as server:
        installation.paste(f"127.0.0.1:pop3 petrov petrovpasswd i.petrov@mydomain.ru port {server.port}\n")
        command: list[str | Path] = [sys.executable, ROOT / "manage.py", "poll", "--json"]
        with subprocess.Popen(command, env=installation.env, stdout=subprocess.PIPE, text=True) as process:
            assert connected.wait(30)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))
            go_on.set()
            said, _ = process.communicate(timeout=100)
    assert json.loads(said)["error"]["code"] == "database_failed"
