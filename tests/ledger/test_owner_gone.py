"""A rule whose owner is gone is not polled, whoever asks, until somebody takes it over."""

import json
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Q
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Pause, Run
from tests.conftest import MakeRule

NOW = timezone.now()


@pytest.fixture
def rule(make_rule: MakeRule, charlie: User) -> FetchRule:
    """Charlie's, on a server that refuses connections; it is due."""
    return make_rule(owner=charlie, next_poll_at=NOW, server="127.0.0.1", port=1)


@pytest.fixture(params=["deleted", "deactivated"])
def gone(request: pytest.FixtureRequest, rule: FetchRule, charlie: User) -> FetchRule:
    """The same, and Charlie is gone."""
    if request.param == "deleted":
        charlie.delete()
    else:
        User.objects.filter(id=charlie.pk).update(is_active=False)
    return rule


def said(*arguments: str) -> list[dict[str, dict[str, str]]]:
    """What the command says, by rule."""
    printed = StringIO()
    with suppress(SystemExit):
        call_command("poll", *arguments, "--json", stdout=printed)
    return [json.loads(line) for line in printed.getvalue().splitlines()]


def test_it_is_not_claimed_by_schedule(gone: FetchRule) -> None:
    assert runs.claim_due(NOW) == []
    assert runs.claim_next(["127.0.0.1"], NOW) == []


def test_it_is_not_claimed_by_name(gone: FetchRule) -> None:
    assert runs.claim([gone], NOW, Run.Cause.COMMAND) == []


def test_it_is_not_asked_for_by_hand(gone: FetchRule) -> None:
    FetchRule.objects.update(pause=Pause.BY_HAND)
    assert runs.ask_for_poll(FetchRule.objects.all(), NOW) == []
    assert runs.resume(FetchRule.objects.all(), NOW) == []
    gone.refresh_from_db()
    assert gone.pause == Pause.BY_HAND


def test_it_is_not_begun_though_it_was_claimed_before(rule: FetchRule, charlie: User) -> None:
    (run_id,) = runs.claim_due(NOW)
    charlie.delete()
    assert runs.start(run_id, NOW) is None
    assert Run.objects.get().state == Run.State.ABANDONED
    assert runs.claim_due(NOW) == []


@pytest.mark.parametrize(
    ("owned", "owner", "gone"),
    [
        (False, "missing", False),
        (False, "deactivated", False),
        (False, "active", False),
        (True, "missing", True),
        (True, "deactivated", True),
        (True, "active", False),
    ],
)
def test_claiming_and_beginning_agree(owned: bool, owner: str, gone: bool, rule: FetchRule, charlie: User) -> None:
    (run_id,) = runs.claim_due(NOW)
    User.objects.filter(id=charlie.pk).update(is_active=owner == "active")
    FetchRule.objects.update(owned=owned, owner=None if owner == "missing" else charlie)
    assert FetchRule.objects.filter(FetchRule.OWNER_GONE).exists() == gone
    assert (runs.start(run_id, NOW) is None) == gone


def test_they_look_at_nothing_else() -> None:
    """Whatever else OWNER_GONE asks for belongs into the table above, and into the statement that begins polls."""

    def asked(condition: Any) -> set[str]:
        return set().union(*map(asked, condition.children)) if isinstance(condition, Q) else {condition[0]}

    assert asked(FetchRule.OWNER_GONE) == {"owned", "owner", "owner__is_active"}


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_the_command_says_why(gone: FetchRule, option: list[str]) -> None:
    (row,) = said(str(gone.pk), *option)
    assert row["error"]["code"] == "owner_gone"
    assert said("--all", *option) == said(*option) == []


def test_it_is_polled_when_somebody_has_taken_it_over(gone: FetchRule, alice: User) -> None:
    FetchRule.objects.update(owner=alice)
    assert len(runs.claim_due(NOW)) == 1
