"""Passwords cannot be saved while their key is missing: the panel says so, and changes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from fetchrules.models import FetchRule
from fetchrules.rulebook.revisions import current_version
from fetchrules.secrets.sealed import give_up
from fetchrules.secrets.sealing import key_ring
from tests.panel.test_admin import FILLED as IN_ADMIN
from tests.panel.test_rule_form import PLAIN

SAME = {**PLAIN, "user": "sidorov", "password": "", "encryption": "auto"}
MISSING = "The key of the stored password is missing"


@pytest.fixture
def admin(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def keyless(tmp_path: Path, settings: Settings, make_rule: Callable[..., FetchRule]) -> FetchRule:
    """A rule whose key is away."""
    settings.UTM_MAIL_KEYS, settings.DATA_DIR = "", tmp_path
    rule = make_rule(server="mailserver.ru", user="sidorov")
    (tmp_path / "keys").rename(tmp_path / "away")
    return rule


def test_it_says_so_beside_the_password(admin: Client, keyless: FetchRule) -> None:
    page = admin.post(reverse("rule_new"), PLAIN).content.decode()
    assert MISSING in page
    assert 'value="petrov"' in page, "what was typed stays"
    assert list(FetchRule.objects.all()) == [keyless]


def test_it_says_so_in_the_admin(admin: Client, keyless: FetchRule) -> None:
    page = admin.post(reverse("admin:fetchrules_fetchrule_add"), IN_ADMIN)
    assert MISSING in page.content.decode()
    assert list(FetchRule.objects.all()) == [keyless]


@pytest.mark.parametrize("do", ["check", "apply"])
def test_it_says_so_of_a_text(do: str, admin: Client, keyless: FetchRule) -> None:
    text = "mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru\n"
    answer = admin.post(reverse("text"), {"text": text, "do": do, "version": str(current_version())})
    assert (answer.status_code, MISSING in answer.content.decode()) == (503, True)
    assert list(FetchRule.objects.all()) == [keyless]


def test_it_lets_everything_else_be_changed(admin: Client, keyless: FetchRule) -> None:
    answer = admin.post(reverse("rule", args=[keyless.id]), {**SAME, "seen": keyless.revision, "keep": "on"})
    assert answer.status_code == 302


def test_it_asks_for_the_password_that_was_given_up(admin: Client, keyless: FetchRule, tmp_path: Path) -> None:
    (tmp_path / "away").unlink()
    assert give_up(key_ring(), keyless.edited_at) == [keyless.id]
    keyless.refresh_from_db()
    page = admin.post(reverse("rule", args=[keyless.id]), {**SAME, "seen": keyless.revision})
    assert "Enter the password" in page.content.decode()
    assert (
        admin.post(
            reverse("rule", args=[keyless.id]), {**SAME, "seen": keyless.revision, "password": "another"}
        ).status_code
        == 302
    )
    keyless.refresh_from_db()
    assert (keyless.pause, keyless.password != "") == ("", True)
