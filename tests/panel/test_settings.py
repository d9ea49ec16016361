"""The settings of the service."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.models import AuditEntry, Channel, ServiceSettings
from fetchrules.panel.forms.settings import SettingsForm

_DEFAULTS = ServiceSettings()
FILLED = {name: str(default) for name in SettingsForm.base_fields if (default := getattr(_DEFAULTS, name)) is not False}
"""The form as a new installation shows it, ticks left out."""


def test_it_saves_and_notes_what_changed(admin: Client) -> None:
    admin.post(reverse("settings"), {**FILLED, "interval": "5", "local_domains": "mydomain.ru\r\nпочта.рф"})
    row = ServiceSettings.current()
    assert (row.interval, row.local_domains) == (5, "mydomain.ru\nпочта.рф")
    assert AuditEntry.objects.get().detail == {"settings": [["interval", 10, 5], ["local_domains"]]}
    page = admin.get(reverse("audit")).content.decode()
    assert "Interval between mail checks: 10 → 5; Local mail domains" in page


@pytest.mark.parametrize("field", SettingsForm.base_fields)
def test_it_asks_for_every_setting(field: str, admin: Client) -> None:
    page = admin.get(reverse("settings")).content.decode()
    assert f'name="{field}"' in page


def test_it_notes_no_secret_of_a_webhook(admin: Client) -> None:
    admin.post(reverse("settings"), {**FILLED, "alert_webhook": "https://example.org/hook?token=secret"})
    assert AuditEntry.objects.get().detail == {"settings": [["alert_webhook"]]}


def test_it_leaves_the_rest_of_the_row_alone(admin: Client) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(text_version=7)
    admin.post(reverse("settings"), {**FILLED, "interval": "5"})
    assert ServiceSettings.current().text_version == 7


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interval", "0"),
        ("interval", ""),
        ("per_host", "0"),
        ("journal_days", "0"),
        ("alert_after_failures", "0"),
        ("alert_after_hours", "0"),
        ("owner_rules", "-1"),
        ("local_domains", "not a domain!"),
        ("alert_addresses", "nobody"),
        ("alert_webhook", "javascript:alert(1)"),
        ("alert_webhook", "ftp://example.org/hook"),
        ("owner_networks", "192.168.0.0/99"),
    ],
)
def test_it_refuses_what_makes_no_sense(field: str, value: str, admin: Client) -> None:
    before = ServiceSettings.current()
    page = admin.post(reverse("settings"), {**FILLED, field: value}).content.decode()
    assert f"id_{field}_error" in page
    assert ServiceSettings.objects.filter(id=1, **{field: getattr(before, field)}).exists()


@pytest.mark.parametrize(
    ("recipient", "said"),
    [("i.petrov@mydomain.ru", "i.petrov@mydomain.ru takes letters."), ("../etc", "No such local mailbox")],
)
def test_it_checks_whether_a_local_mailbox_takes_letters(recipient: str, said: str, admin: Client) -> None:
    assert said in admin.post(reverse("check_delivery"), {"recipient": recipient}, follow=True).content.decode()


def test_it_sends_a_test_notice(admin: Client, mailoutbox: list[EmailMessage]) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(alert_addresses="anna@mydomain.ru", alert_webhook="http://127.0.0.1:1/T0KEN")
    page = admin.post(reverse("check_notices"), follow=True).content.decode()
    assert [message.to for message in mailoutbox] == [["anna@mydomain.ru"]]
    assert "E-mail: a test notice was sent." in page
    assert "Webhook: the test notice did not get through. Connecting there is not allowed." in page


def test_it_says_that_nobody_would_be_told(admin: Client) -> None:
    assert "Nobody is told" in admin.post(reverse("check_notices"), follow=True).content.decode()


def test_it_lets_nobody_but_administrators_send_one(client: Client, bob: User) -> None:
    client.force_login(bob)
    assert client.post(reverse("check_notices")).status_code == 403


def test_it_tries_a_broken_channel_at_once_when_it_was_changed(admin: Client) -> None:
    later = timezone.now() + timedelta(minutes=30)
    for name in Channel.Name.values:
        Channel.objects.create(name=name, failures=5, failing_since=later, next_try_at=later)
    admin.post(reverse("settings"), {**FILLED, "alert_webhook": "https://example.org/hook"})
    assert [channel.name for channel in Channel.objects.filter(next_try_at=None)] == ["webhook"]


def test_it_allows_the_webhook_an_internal_address_where_it_is_ticked(admin: Client) -> None:
    admin.post(reverse("settings"), {**FILLED, "webhook_internal": "on"})
    assert ServiceSettings.current().webhook_internal
    assert "The webhook may lead to an internal address: no → yes" in admin.get(reverse("audit")).content.decode()
