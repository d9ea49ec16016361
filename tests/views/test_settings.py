"""The settings of the service."""

import pytest
from django.test import Client
from django.urls import reverse

from fetchrules.models import AuditEntry, ServiceSettings

FILLED = {
    "interval": "10",
    "per_host": "10",
    "local_domains": "",
    "alert_addresses": "",
    "alert_webhook": "",
    "alert_after_failures": "3",
    "alert_after_hours": "24",
    "journal_days": "90",
    "owner_rules": "10",
    "owner_networks": "",
}


def test_it_saves_and_notes_what_changed(admin: Client) -> None:
    admin.post(reverse("settings"), {**FILLED, "interval": "5", "local_domains": "mydomain.ru\r\nпочта.рф"})
    row = ServiceSettings.current()
    assert (row.interval, row.local_domains) == (5, "mydomain.ru\nпочта.рф")
    assert AuditEntry.objects.get().detail == {"settings": [["interval", 10, 5], ["local_domains"]]}
    page = admin.get(reverse("audit")).content.decode()
    assert "Interval between mail checks: 10 → 5; Local mail domains" in page


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
        ("local_domains", "not a domain!"),
        ("alert_addresses", "nobody"),
        ("alert_webhook", "javascript:alert(1)"),
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
