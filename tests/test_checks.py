"""Settings that would lose mail or leak it are found before they do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.db import connection
from pytest_django import Settings

from utm_mail.env import networks

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def with_tls(settings: Settings) -> None:
    """As in production; the other tests do without."""
    settings.SESSION_COOKIE_SECURE = True


def found() -> set[str]:
    return {str(message.id) for message in run_checks()}


def test_it_has_nothing_to_say_of_good_settings() -> None:
    assert found() == set()


@pytest.mark.parametrize(
    "delivery",
    [
        "",
        "mbox:/var/mail",
        "maildir:relative/{local}",
        "maildir:/var/mail/{domain}",
        "maildir:/var/mail/{local}?folder=",
        "maildir:/var/mail/{local}?file=Collected",
    ],
)
def test_it_refuses_a_delivery_that_leads_nowhere(delivery: str, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = delivery
    assert "utm_mail.E001" in found()


def test_it_refuses_keys_that_are_none(settings: Settings) -> None:
    settings.UTM_MAIL_KEYS = "not-a-key"
    assert "utm_mail.E002" in found()


def test_it_warns_of_a_data_directory_that_everybody_may_look_into(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    tmp_path.chmod(0o755)
    assert "utm_mail.W001" in found()
    tmp_path.chmod(0o700)
    assert "utm_mail.W001" not in found()


def test_it_warns_of_plain_http_where_others_may_come(settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = False
    settings.ALLOWED_HOSTS = ["localhost", "mail.mydomain.ru"]
    assert "utm_mail.W002" in found()
    settings.SESSION_COOKIE_SECURE = True
    assert "utm_mail.W002" not in found()


def test_it_warns_where_everybody_is_a_proxy(settings: Settings) -> None:
    settings.UTM_MAIL_TRUSTED_PROXIES = networks("", "127.0.0.0/8,0.0.0.0/0")
    assert "utm_mail.W003" in found()


@pytest.mark.django_db(transaction=True)
def test_it_refuses_a_database_that_may_forget() -> None:
    careless, careful = {
        "sqlite": ("PRAGMA synchronous=NORMAL", "PRAGMA synchronous=FULL"),
        "postgresql": ("SET synchronous_commit=off", "SET synchronous_commit=on"),
    }[connection.vendor]
    assert [message.id for message in run_checks(databases=["default"])] == []
    with connection.cursor() as cursor:
        cursor.execute(careless)
        assert [message.id for message in run_checks(databases=["default"])] == ["utm_mail.E003"]
        cursor.execute(careful)


def test_it_is_silent_about_a_deployment_with_production_settings(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UTM_MAIL", "DJANGO"))}
    environment |= {"UTM_MAIL_DATA": str(tmp_path / "data"), "UTM_MAIL_ALLOWED_HOSTS": "mail.mydomain.ru"}
    environment |= {"UTM_MAIL_BEHIND_PROXY": "1"}
    command = [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "no issues" in done.stdout) == (0, True), done.stderr
