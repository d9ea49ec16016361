"""Logging in, guessing, changing one's password, language and appearance."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from fetchrules.acts import attempts
from fetchrules.models import Attempt, AuditEntry
from tests.conftest import PASSWORD


def log_in(password: str, name: str = "alice", address: str = "192.0.2.1") -> int:
    client = Client(REMOTE_ADDR=address)
    return client.post(reverse("login"), {"username": name, "password": password}).status_code


def test_it_lets_alice_in_and_shows_where_she_wanted_to_go(alice: User, client: Client) -> None:
    response = client.post(
        f"{reverse('login')}?next=/journal/", {"username": "alice", "password": PASSWORD, "next": "/journal/"}
    )
    assert response["Location"] == "/journal/"


def test_it_leads_nowhere_else_after_login(alice: User, client: Client) -> None:
    data = {"username": "alice", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post(reverse("login"), data)["Location"] == reverse("rules")


def test_it_closes_for_whoever_guesses_and_for_nobody_else(alice: User) -> None:
    for _ in range(attempts.FROM_ONE_PLACE_AS_ONE):
        assert log_in("guess") == 200
    assert log_in(PASSWORD) == 429
    assert log_in(PASSWORD, address="192.0.2.2") == 302


def test_it_closes_for_whoever_guesses_names(alice: User) -> None:
    for number in range(attempts.FROM_ONE_PLACE):
        log_in("guess", f"name{number}")
    assert log_in(PASSWORD) == 429


def test_it_opens_again_after_a_while(alice: User) -> None:
    for _ in range(attempts.FROM_ONE_PLACE_AS_ONE):
        log_in("guess")
    Attempt.objects.update(at=timezone.now() - attempts.WINDOW - timedelta(seconds=1))
    assert log_in(PASSWORD) == 302


def test_it_notes_no_password_that_was_tried(alice: User) -> None:
    log_in("a-password-typed-wrong")
    entry = AuditEntry.objects.get()
    assert "a-password-typed-wrong" not in f"{entry.who}{entry.about}{entry.detail}"


def test_it_leads_the_admin_through_the_same_door(client: Client, db: None) -> None:
    response = client.get(reverse("admin:login"), {"next": "/admin/"})
    assert response["Location"] == f"{reverse('login')}?next=%2Fadmin%2F"


def test_it_changes_ones_own_password(owner: Client, charlie: User) -> None:
    data = {
        "old_password": PASSWORD,
        "new_password1": "another horse battery",
        "new_password2": "another horse battery",
    }
    assert owner.post(reverse("password_change"), data).status_code == 302
    charlie.refresh_from_db()
    assert charlie.check_password("another horse battery")
    assert AuditEntry.objects.get().what == "password_changed"


@pytest.mark.parametrize(
    ("chosen", "shown"), [("dark", 'data-theme="dark"'), ("light", 'data-theme="light"'), ("<b>", "<html")]
)
def test_it_remembers_light_and_dark(chosen: str, shown: str, admin: Client) -> None:
    admin.post(reverse("theme"), {"theme": chosen})
    page = admin.get(reverse("manual")).content.decode()
    assert shown in page
    assert "<b>" not in page.split("</head>")[0]


@pytest.mark.parametrize(("language", "word"), [("ru", "Правила"), ("en", "Rules")])
def test_it_speaks_both_languages(language: str, word: str, admin: Client) -> None:
    admin.post(reverse("set_language"), {"language": language})
    page = admin.get(reverse("rules")).content.decode()
    assert f'<html lang="{language}"' in page
    assert f'aria-current="page">{word}</a>' in page


def test_it_offers_every_language_by_its_own_name(settings: Settings, client: Client, db: None) -> None:
    settings.LANGUAGES = [*settings.LANGUAGES, ("de", "German")]
    page = client.get(reverse("login")).content.decode()
    offered = re.findall(r'<button name="language"[^>]*\bvalue="(\w+)"[^>]*>(.*?)</button>', page)
    assert offered == [("ru", "Русский"), ("en", "English"), ("de", "Deutsch")]
