"""One pasted line fills the form of a new rule; its password goes in and never comes out."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from fetchrules.models import FetchRule
from fetchrules.rulebook.rows import password_of
from tests.panel.test_rule_form import filled

LINE = "mailserver.ru:pop3 petrov opensesame i.petrov@mydomain.ru keep ssl interval 30"


def paste(client: Client, line: str) -> str:
    return client.post(reverse("rule_new"), {"line": line}).content.decode()


def test_it_fills_the_form_and_keeps_the_password_aside(admin: Client) -> None:
    page = paste(admin, f"{LINE}  # the office\n")
    for shown in (
        'value="mailserver.ru"',
        'value="petrov"',
        'value="i.petrov@mydomain.ru"',
        'name="interval" value="30"',
    ):
        assert shown in page
    assert "opensesame" not in page
    assert "opensesame" not in str(dict(admin.session))
    assert not FetchRule.objects.exists()
    admin.post(reverse("rule_new"), filled(password=None, treatment="leave", interval="30"))
    rule = FetchRule.objects.get()
    assert (rule.line, password_of(rule)) == (
        LINE.replace("opensesame", "********"),
        "opensesame",
    )
    assert "pasted_rule" not in admin.session


@pytest.mark.parametrize(
    "change", [{"server": "evil.example"}, {"user": "x"}, {"sslcertck": None}, {"encryption": "plaintext"}], ids=str
)
def test_it_gives_the_password_to_its_own_account_only(change: dict[str, str], admin: Client) -> None:
    paste(admin, LINE)
    page = admin.post(reverse("rule_new"), filled(password=None, **change)).content.decode()
    assert "Enter the password." in page
    assert not FetchRule.objects.exists()


def test_it_forgets_the_line_when_the_page_is_opened_anew(admin: Client) -> None:
    paste(admin, LINE)
    admin.get(reverse("rule_new"))
    assert "pasted_rule" not in admin.session


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("mailserver.ru:pop3 petrov opensesame i.petrov@mydomain.ru kep", "unknown option"),
        (f"{LINE}\n{LINE.replace('petrov ', 'sidorov ')}", "One rule, please"),
        ("# opensesame", "One rule, please"),
        ("opensesame" * 2000, "at most 10000 characters"),
        ("", "This field is required"),
    ],
)
def test_it_says_what_is_wrong_with_a_line_and_does_not_repeat_it(line: str, complaint: str, admin: Client) -> None:
    page = paste(admin, line)
    assert complaint in page
    assert "opensesame" not in page


def test_it_delivers_the_line_of_an_owner_into_his_own_mailbox(owner: Client, charlie: User) -> None:
    assert 'value="charlie@mydomain.ru"' in paste(owner, LINE)
    owner.post(reverse("rule_new"), filled(password=None, recipient=None))
    rule = FetchRule.objects.get()
    assert (rule.recipient, rule.owner, rule.restricted, password_of(rule)) == (
        charlie.email,
        charlie,
        True,
        "opensesame",
    )


def test_it_offers_no_line_where_a_rule_is_changed(admin: Client, rule: FetchRule) -> None:
    assert 'name="line"' not in admin.get(reverse("rule", args=[rule.id])).content.decode()
