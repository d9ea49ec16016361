"""How long one stays logged in, and what ends it."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.acts.accounts import end_sessions
from fetchrules.models import FetchRule
from tests.conftest import PASSWORD
from tests.panel.conftest import client_of

HALF = timedelta(hours=6)


def expiry() -> datetime:
    return Session.objects.get().expire_date


def age(by: timedelta = HALF) -> datetime:
    """Let that much of the only session be over."""
    Session.objects.update(expire_date=timezone.now() + timedelta(hours=12) - by)
    return expiry()


def test_it_lasts_twelve_hours(alice: User, client: Client) -> None:
    client.post(reverse("login"), {"username": "alice", "password": PASSWORD})
    assert abs(expiry() - timezone.now() - timedelta(hours=12)) < timedelta(minutes=1)
    assert client.cookies["sessionid"]["max-age"] == 12 * 3600


@pytest.mark.parametrize("page", ["rules", "journal", "strip"])
def test_it_is_prolonged_by_what_a_person_asks_for(page: str, admin: Client) -> None:
    before = age()
    answer = admin.get(reverse(page))
    assert expiry() - before > timedelta(hours=5)
    assert answer.cookies["sessionid"]["max-age"] == 12 * 3600


@pytest.mark.parametrize("page", ["rules_rows", "strip", "journal"])
def test_it_is_not_prolonged_by_what_a_page_asks_for(page: str, admin: Client) -> None:
    before = age()
    assert admin.get(reverse(page), headers={"X-Refresh": "1"}).status_code == 200
    assert expiry() == before


def test_it_does_not_write_a_session_with_every_page(admin: Client) -> None:
    before = age(timedelta(minutes=1))
    admin.get(reverse("rules"))
    assert expiry() == before


def test_it_leaves_what_the_session_holds_alone(admin: Client) -> None:
    session = admin.session
    session["kept"] = "by another request"
    session.save()
    age()
    admin.get(reverse("rules"))
    assert admin.session["kept"] == "by another request"


def test_it_ends_after_twelve_idle_hours(admin: Client) -> None:
    age(timedelta(hours=12, seconds=1))
    assert admin.get(reverse("rules"))["Location"].startswith(reverse("login"))


def test_it_ends_the_session_of_who_is_inactive(owner: Client, charlie: User) -> None:
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    assert owner.get(reverse("rules"))["Location"].startswith(reverse("login"))
    User.objects.filter(pk=charlie.pk).update(is_active=True)
    assert owner.get(reverse("rules"))["Location"].startswith(reverse("login"))
    assert not Session.objects.exists()


def test_it_ends_the_session_of_who_is_gone(owner: Client, charlie: User) -> None:
    charlie.delete()
    assert owner.get(reverse("rules"))["Location"].startswith(reverse("login"))
    assert not Session.objects.exists()


def form_of(user: User, **changes: str) -> dict[str, str]:
    """The user's form in Django's admin."""
    joined = timezone.localtime(user.date_joined)
    form = {"username": user.username, "email": user.email, "is_active": "on"}
    form |= {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"} | changes
    return {name: value for name, value in form.items() if value}


def test_it_ends_the_sessions_of_whom_the_admin_deactivates(admin: Client, owner: Client, charlie: User) -> None:
    page = reverse("admin:auth_user_change", args=[charlie.pk])
    assert admin.post(page, form_of(charlie, is_active="")).status_code == 302
    assert admin.post(page, form_of(charlie)).status_code == 302
    charlie.refresh_from_db()
    assert charlie.is_active
    assert owner.get(reverse("rules")).status_code == 302
    assert admin.get(reverse("rules")).status_code == 200


def test_it_leaves_the_sessions_of_whom_the_admin_only_renames(admin: Client, owner: Client, charlie: User) -> None:
    page = reverse("admin:auth_user_change", args=[charlie.pk])
    assert admin.post(page, form_of(charlie, first_name="Charlie")).status_code == 302
    assert owner.get(reverse("rules")).status_code == 200


@pytest.mark.parametrize("how", ["one", "several"])
def test_it_ends_the_sessions_of_whom_the_admin_deletes(
    how: str, admin: Client, owner: Client, charlie: User, charlies_rule: FetchRule
) -> None:
    if how == "one":
        admin.post(reverse("admin:auth_user_delete", args=[charlie.pk]), {"post": "yes"})
    else:
        form = {"action": "delete_selected", "_selected_action": str(charlie.pk), "post": "yes"}
        admin.post(reverse("admin:auth_user_changelist"), form)
    assert not User.objects.filter(pk=charlie.pk).exists()
    assert Session.objects.count() == 1


def test_it_goes_on_where_one_changes_ones_password_and_ends_elsewhere(owner: Client, charlie: User) -> None:
    elsewhere = client_of(charlie)
    form = {"old_password": PASSWORD} | dict.fromkeys(("new_password1", "new_password2"), "another horse battery")
    assert owner.post(reverse("password_change"), form).status_code == 302
    assert owner.get(reverse("rules")).status_code == 200
    assert elsewhere.get(reverse("rules")).status_code == 302


def test_it_ends_the_sessions_of_whose_password_the_admin_sets(admin: Client, owner: Client, charlie: User) -> None:
    form = {"usable_password": "true"} | dict.fromkeys(("password1", "password2"), "another horse battery")
    assert admin.post(reverse("admin:auth_user_password_change", args=[charlie.pk]), form).status_code == 302
    assert owner.get(reverse("rules")).status_code == 302
    assert admin.get(reverse("rules")).status_code == 200


def test_it_ends_the_sessions_of_these_accounts_alone(admin: Client, owner: Client, charlie: User) -> None:
    client_of(charlie)
    assert end_sessions([charlie.pk]) == 2
    assert admin.get(reverse("rules")).status_code == 200
