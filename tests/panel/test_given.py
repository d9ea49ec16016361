"""A rule that was given to somebody: what it did before is not theirs to see."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.acts.rules import Given, set_rule
from fetchrules.errors import CameShort, LoginRefused
from fetchrules.ledger.runs import Counts, Ending, close
from fetchrules.models import FetchRule, HourlyStat, Letter, Run
from fetchrules.policy.known import State
from fetchrules.rule import MASK
from fetchrules.schedule import NextPoll, NextReason
from tests.conftest import PASSWORD, MakeRule
from tests.panel.conftest import client_of

SECRET = "Offer for Charlie alone"
TRANSCRIPT = "S: greetings of that server"


@pytest.fixture
def dan(db: None) -> User:
    """Gets Charlie's rule."""
    return User.objects.create_user("dan", "dan@mydomain.ru", PASSWORD)


def give(rule: FetchRule, to: User) -> FetchRule:
    row = FetchRule.objects.get(id=rule.id)
    return set_rule(row, row.as_rule(MASK), by=None, given=Given(to))


def collected(rule: FetchRule, at: datetime, subject: str) -> Run:
    """A poll of then that brought one letter, and could not collect another; one more is held since, of no poll."""
    run = Run.objects.create(
        source=rule.source,
        rule=rule,
        recipient=rule.recipient,
        revision=rule.revision,
        state=Run.State.FAILED,
        cause=Run.Cause.SCHEDULE,
        error=LoginRefused.code,
        detail=subject,
        claimed_at=at,
        started_at=at,
        finished_at=at,
        deadline=at,
        transcript=TRANSCRIPT,
    )
    for number, held in enumerate((None, run, run)):
        Letter.objects.create(
            source=rule.source,
            epoch=0,
            uid=f"{at.timestamp()}-{number}",
            run=held,
            size=1000,
            state=State.HELD if number < 2 else State.DELIVERED,
            recipient=rule.recipient,
            first_seen_at=at,
            delivered_at=at,
            received_at=at - timedelta(seconds=77),
            subject=subject,
            sender="offers@example.com",
            tried_at=at,
            reason=CameShort.code,
        )
    hour = at.replace(minute=0, second=0, microsecond=0)
    HourlyStat.objects.create(rule=rule, hour=hour, runs=7001, fetched=7001, failed=7001, octets=7001)
    FetchRule.objects.filter(id=rule.id).update(
        last_error=LoginRefused.code, last_detail=subject, last_run=run, last_polled_at=at, last_fetched=7001
    )
    return run


@pytest.fixture
def before(charlies_rule: FetchRule) -> Run:
    """What Charlie's rule did an hour and a half ago."""
    return collected(charlies_rule, timezone.now() - timedelta(minutes=90), SECRET)


PAGES = ["rules", "journal", "letters", "statistics", "statistics_csv", "rule", "rules_rows"]


def shown(client: Client, page: str, rule: FetchRule) -> str:
    where = reverse(page, args=[rule.id] if page == "rule" else [])
    response = client.get(where, {"ids": str(rule.id), "from": "2020-01-01"} if page == "rules_rows" else {})
    assert response.status_code == 200
    return response.content.decode()


TELLING = (SECRET, "offers@example.com", TRANSCRIPT, "7001", "7,001", "7 001", "1 min 17 s", "Login refused")


@pytest.mark.parametrize("page", PAGES)
def test_it_shows_a_new_owner_nothing_of_before(page: str, before: Run, charlies_rule: FetchRule, dan: User) -> None:
    told = shown(client_of(charlies_rule.owner), page, charlies_rule)  # type: ignore[arg-type]
    assert [word for word in TELLING if word in told] or page == "rule"
    give(charlies_rule, dan)
    told = shown(client_of(dan), page, charlies_rule)
    assert not [word for word in TELLING if word in told]


def test_it_lets_a_new_owner_open_and_try_nothing_of_before(before: Run, charlies_rule: FetchRule, dan: User) -> None:
    give(charlies_rule, dan)
    client = client_of(dan)
    assert client.get(reverse("run", args=[before.id])).status_code == 404
    held = list(Letter.objects.filter(state=State.HELD).values_list("id", flat=True))
    client.post(reverse("letters_act"), {"held": held, "do": "pass"})
    assert Letter.objects.filter(state=State.HELD).count() == len(held) == 2


def test_it_shows_a_new_owner_what_came_since(before: Run, charlies_rule: FetchRule, dan: User) -> None:
    rule = give(charlies_rule, dan)
    FetchRule.objects.filter(id=rule.id).update(given_at=timezone.now() - timedelta(hours=3))
    client = client_of(dan)
    assert SECRET in shown(client, "journal", rule)
    assert SECRET in shown(client, "letters", rule)
    assert TRANSCRIPT in client.get(reverse("run", args=[before.id])).content.decode()
    assert "7001" in shown(client, "statistics_csv", rule)


def test_it_shows_administrators_all_of_it(admin: Client, before: Run, charlies_rule: FetchRule, dan: User) -> None:
    give(charlies_rule, dan)
    assert SECRET in shown(admin, "journal", charlies_rule)
    assert SECRET in shown(admin, "letters", charlies_rule)
    assert "7001" in shown(admin, "statistics_csv", charlies_rule)


def test_it_shows_an_owner_whose_rule_is_edited_what_it_did(
    before: Run, charlies_rule: FetchRule, charlie: User
) -> None:
    give(charlies_rule, charlie)
    assert SECRET in shown(client_of(charlie), "journal", charlies_rule)
    assert FetchRule.objects.get().last_detail == SECRET


def test_it_shows_a_new_owner_nothing_of_a_poll_that_ended_since(charlies_rule: FetchRule, dan: User) -> None:
    now = timezone.now()
    run = Run.objects.create(
        source=charlies_rule.source,
        rule=charlies_rule,
        recipient=charlies_rule.recipient,
        revision=1,
        state=Run.State.RUNNING,
        claimed_at=now,
        started_at=now,
        deadline=now,
    )
    give(charlies_rule, dan)
    Letter.objects.create(
        source=charlies_rule.source,
        epoch=0,
        uid="a",
        run=run,
        recipient=charlies_rule.recipient,
        state=State.HELD,
        reason=CameShort.code,
        size=1,
        subject=SECRET,
        first_seen_at=timezone.now(),
    )
    ending = Ending(Counts(), LoginRefused(SECRET))
    close(run, ending, NextPoll(timezone.now(), NextReason.INTERVAL), timezone.now())
    rule = FetchRule.objects.get()
    assert (rule.last_detail, rule.last_error, rule.last_run, rule.failures) == ("", "", None, 1)
    client = client_of(dan)
    assert not [page for page in ("rules", "journal", "letters") if SECRET in shown(client, page, rule)]


def test_a_poll_of_the_owners_own_time_is_shown(charlies_rule: FetchRule, make_rule: MakeRule, dan: User) -> None:
    rule = give(charlies_rule, dan)
    now = timezone.now()
    run = Run.objects.create(
        source=rule.source,
        rule=rule,
        recipient=rule.recipient,
        revision=1,
        state=Run.State.RUNNING,
        claimed_at=now,
        started_at=now,
        deadline=now,
    )
    ending = Ending(Counts(), LoginRefused(SECRET))
    close(run, ending, NextPoll(timezone.now(), NextReason.INTERVAL), timezone.now())
    assert FetchRule.objects.get().last_detail == SECRET
