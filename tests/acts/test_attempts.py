"""Guessing a password: at the login, and wherever one's own is asked for once more."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from fetchrules.acts import attempts
from fetchrules.models import Attempt, AuditEntry
from fetchrules.panel.middleware.requests import reader
from tests.conftest import PASSWORD
from utm_mail.env import networks

AS_TYPED = [" alice", "alice\t", "ａｌｉｃｅ", "\u3000alice", "alice\u00a0", "ａlice  "]


def log_in(password: str, name: str = "alice", address: str = "192.0.2.1", **headers: str) -> int:
    client = Client(REMOTE_ADDR=address, **headers)  # type: ignore[arg-type]  # the stubs know no headers of one's own
    return client.post(reverse("login"), {"username": name, "password": password}).status_code


def trust(settings: Settings, *proxies: str) -> None:
    settings.UTM_MAIL_TRUSTED_PROXIES = networks("UTM_MAIL_TRUSTED_PROXIES", ",".join(proxies))


def test_it_counts_a_name_as_it_is_compared(alice: User) -> None:
    for number in range(attempts.FROM_ONE_PLACE_AS_ONE):
        assert log_in("guess", AS_TYPED[number % len(AS_TYPED)]) == 200
    assert {log_in(PASSWORD, name) for name in ["alice", *AS_TYPED]} == {429}


def test_it_notes_the_name_as_it_is_compared(alice: User) -> None:
    log_in("guess", " ａlice")
    assert AuditEntry.objects.get().who == "alice"


def test_it_takes_the_addresses_of_one_customer_for_one_place(alice: User) -> None:
    for number in range(attempts.FROM_ONE_PLACE_AS_ONE):
        assert log_in("guess", address=f"2001:db8:1:2:{number}::1") == 200
    assert log_in(PASSWORD, address="2001:db8:1:2:ffff::1") == 429
    assert log_in(PASSWORD, address="2001:db8:1:3::1") == 302


def test_it_knows_an_address_in_either_spelling(alice: User) -> None:
    for _ in range(attempts.FROM_ONE_PLACE_AS_ONE):
        log_in("guess", address="::ffff:192.0.2.1")
    assert log_in(PASSWORD, address="192.0.2.1") == 429


def test_it_believes_no_address_that_a_stranger_claims(alice: User, settings: Settings) -> None:
    trust(settings, "127.0.0.0/8")
    for number in range(attempts.FROM_ONE_PLACE_AS_ONE):
        assert log_in("guess", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}") == 200
    assert log_in(PASSWORD, HTTP_X_FORWARDED_FOR="198.51.100.99") == 429
    assert set(AuditEntry.objects.filter(what="login_refused").values_list("about", flat=True)) == {"192.0.2.1"}


def test_it_counts_by_the_address_that_the_proxy_names(alice: User, settings: Settings) -> None:
    trust(settings, "127.0.0.0/8")
    for number in range(attempts.FROM_ONE_PLACE_AS_ONE):
        log_in("guess", address="127.0.0.1", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}, 198.51.100.7")
    assert log_in(PASSWORD, address="127.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.7") == 429
    assert log_in(PASSWORD, address="127.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.8") == 302


def test_it_does_not_let_knocking_keep_the_door_closed(alice: User) -> None:
    for _ in range(3 * attempts.FROM_ONE_PLACE_AS_ONE):
        log_in("guess")
    assert Attempt.objects.count() == attempts.FROM_ONE_PLACE_AS_ONE


def test_it_says_once_in_the_audit_that_it_has_closed(alice: User) -> None:
    for _ in range(3 * attempts.FROM_ONE_PLACE_AS_ONE):
        log_in("guess")
    entry = AuditEntry.objects.get(what="logins_closed")
    assert (entry.who, entry.about) == ("alice", "192.0.2.1")
    assert AuditEntry.objects.count() == attempts.FROM_ONE_PLACE_AS_ONE + 1


def test_it_notes_so_many_invented_names_and_no_more(alice: User) -> None:
    for number in range(attempts.NAMELESS_NOTED + 5):
        log_in("guess", f"name{number}", f"10.0.{number}.1")
    assert AuditEntry.objects.count() == attempts.NAMELESS_NOTED
    log_in("guess", "alice", "10.1.0.1")
    assert AuditEntry.objects.filter(who="alice").count() == 1


def test_it_strikes_out_a_try_that_was_right(alice: User) -> None:
    for _ in range(2 * attempts.FROM_ONE_PLACE_AS_ONE):
        assert log_in(PASSWORD) == 302
    assert not Attempt.objects.exists()


EXPORT = ("text_passwords", {"format": "text", "password": "guess"}, {"format": "text", "password": PASSWORD})
CHANGE = (
    "password_change",
    {"old_password": "guess", "new_password1": "another horse battery", "new_password2": "another horse battery"},
    {"old_password": PASSWORD, "new_password1": "another horse battery", "new_password2": "another horse battery"},
)


@pytest.mark.parametrize(("page", "wrong", "right"), [EXPORT, CHANGE], ids=["export", "change"])
def test_it_counts_a_password_that_is_asked_for_once_more(
    page: str, wrong: dict[str, str], right: dict[str, str], admin: Client, alice: User
) -> None:
    for _ in range(attempts.FROM_ONE_PLACE_AS_ONE):
        assert admin.post(reverse(page), wrong).status_code == 200
    refused = AuditEntry.objects.filter(what="password_refused", who="alice", about="127.0.0.1")
    assert refused.count() == attempts.FROM_ONE_PLACE_AS_ONE
    closed = admin.post(reverse(page), right)
    assert closed.status_code == 429
    assert "Too many attempts" in closed.content.decode()
    assert log_in(PASSWORD, address="127.0.0.1") == 429
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_it_changes_passwords_in_one_place_only(admin: Client) -> None:
    assert admin.get("/admin/password_change/")["Location"] == reverse("password_change")


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "found"),
    [
        ("127.0.0.1", "198.51.100.7", "127.0.0.0/8", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.7", "127.0.0.0/8", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.5", "127.0.0.0/8,10.0.0.5", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7, not an address", "127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.2, 127.0.0.3", "127.0.0.0/8", "127.0.0.2"),
        ("::1", "[2001:db8::7]:4711", "::1", "2001:db8::7"),
        ("::ffff:127.0.0.1", "198.51.100.7:4711", "127.0.0.0/8", "198.51.100.7"),
        ("", "198.51.100.7", "127.0.0.0/8", "198.51.100.7"),
        ("192.0.2.1", "198.51.100.7", "127.0.0.0/8", "192.0.2.1"),
    ],
)
def test_it_reads_the_list_from_its_end(peer: str, forwarded: str, proxies: str, found: str) -> None:
    assert reader(peer, forwarded, networks("", proxies)) == found


@pytest.mark.parametrize(("peer", "status"), [("127.0.0.1", 200), ("192.0.2.1", 301)])
def test_it_believes_only_a_proxy_that_the_way_was_encrypted(
    peer: str, status: int, settings: Settings, db: None
) -> None:
    trust(settings, "127.0.0.0/8")
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    asked = Client(REMOTE_ADDR=peer).get(reverse("login"), headers={"x-forwarded-proto": "https"})
    assert asked.status_code == status


def test_it_notes_no_name_that_is_longer_than_one_can_be(alice: User) -> None:
    assert log_in("guess", 5000 * "x") == 200
    assert log_in("guess", 30 * "\ufdfa") == 200  # one character of these is eighteen, once folded
    assert not Attempt.objects.exists()
    assert not AuditEntry.objects.exists()
