"""`manage.py poll` where nothing else runs: no beat to take dead runs off the board, no worker to begin those that wait."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Run
from tests.conftest import MakeRule

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


def test_it_begins_a_poll_that_waits_for_a_worker(rule: FetchRule) -> None:
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.SCHEDULE)
    assert outcome(rule) == "connect_failed"
    assert Run.objects.get(id=run_id).state == "failed"
