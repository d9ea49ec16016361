"""The page that asks whether a replaced local mailbox is the right one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from fetchrules.models import AuditEntry, FetchRule, LocalMarker, Pause

pytestmark = pytest.mark.django_db


@pytest.fixture
def replaced(make_rule: Callable[..., FetchRule], tmp_path: Path, settings: Settings) -> FetchRule:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    LocalMarker.objects.create(path=str(tmp_path / "mydomain.ru" / "i.petrov"), marker="old")
    return make_rule(
        recipient="i.petrov@mydomain.ru",
        last_error="maildir_replaced",
        pause=Pause.FAILURE,
        failures=1,
        next_poll_at=None,
    )


def signed_in(user: User) -> Client:
    client = Client(headers={"accept-language": "ru"})
    client.force_login(user)
    return client


def test_it_asks_before_it_delivers_into_another_mailbox(alice: User, replaced: FetchRule) -> None:
    page = signed_in(alice).get(reverse("rule_adopt", args=[replaced.id]))
    assert "Это тот самый ящик?" in page.content.decode()
    assert LocalMarker.objects.exists()


def test_it_is_offered_where_the_failure_is_told(alice: User, replaced: FetchRule) -> None:
    assert reverse("rule_adopt", args=[replaced.id]) in signed_in(alice).get(reverse("rules")).content.decode()


def test_it_takes_the_mailbox_and_polls_at_once(alice: User, replaced: FetchRule) -> None:
    answer = signed_in(alice).post(reverse("rule_adopt", args=[replaced.id]))
    assert answer.status_code == 302
    assert not LocalMarker.objects.exists()
    replaced.refresh_from_db()
    assert (replaced.pause, replaced.next_reason) == (Pause.NONE, "by_hand")
    assert AuditEntry.objects.filter(what="mailbox_adopted").count() == 1


@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("charlie", 404)])
def test_it_is_not_for_those_who_may_not_change_the_rule(
    who: str, status: int, replaced: FetchRule, request: pytest.FixtureRequest
) -> None:
    user: User = request.getfixturevalue(who)
    assert signed_in(user).post(reverse("rule_adopt", args=[replaced.id])).status_code == status
    assert LocalMarker.objects.exists()


def test_a_volume_is_confirmed_by_administrators_alone(alice: User, charlie: User, replaced: FetchRule) -> None:
    FetchRule.objects.update(last_error="volume_missing", owner=charlie)
    page = reverse("rule_adopt", args=[replaced.id])
    assert page in signed_in(alice).get(reverse("rules")).content.decode()
    assert page not in signed_in(charlie).get(reverse("rules")).content.decode()
    assert signed_in(charlie).post(page).status_code == 404
    assert "на томе, который не тот, что раньше" in signed_in(alice).get(page).content.decode()
    assert signed_in(alice).post(page).status_code == 302
    replaced.refresh_from_db()
    assert replaced.next_reason == "by_hand"


def test_nor_does_an_owner_confirm_one_that_no_poll_has_missed_yet(
    charlie: User, replaced: FetchRule, make_rule: Callable[..., FetchRule]
) -> None:
    page = reverse("rule_adopt", args=[make_rule(owner=charlie, recipient="charlie@mydomain.ru").id])
    assert signed_in(charlie).get(page).status_code == 404
    assert signed_in(charlie).post(page).status_code == 404
    assert LocalMarker.objects.get().marker == "old"


def test_it_takes_no_mailbox_where_none_can_be(alice: User, replaced: FetchRule) -> None:
    FetchRule.objects.update(recipient="a/b@mydomain.ru")
    assert signed_in(alice).post(reverse("rule_adopt", args=[replaced.id])).status_code == 302
    assert LocalMarker.objects.get().marker == "old"
