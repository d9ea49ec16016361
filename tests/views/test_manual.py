"""The documentation page, and the manual that it leads to."""

import pytest
from django.test import Client
from django.urls import reverse

from fetchrules.ruletext.spec import OPTIONS


def test_it_explains_every_option_word(admin: Client) -> None:
    page = admin.get(reverse("manual")).content.decode()
    assert [word for word in OPTIONS if f"<code>{word}" not in page] == []


def test_it_leads_to_the_whole_manual(operator: Client) -> None:
    assert f'href="{reverse("manual_whole")}"' in operator.get(reverse("manual")).content.decode()


@pytest.mark.parametrize(
    ("language", "title"), [("ru", "# Руководство администратора"), ("en", "# The administrator's manual")]
)
def test_it_speaks_the_reader_s_language(language: str, title: str, owner: Client) -> None:
    response = owner.get(reverse("manual_whole"), headers={"Accept-Language": language})
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.getvalue().decode().startswith(title)


@pytest.mark.django_db
def test_it_is_for_those_who_are_logged_in(client: Client) -> None:
    assert client.get(reverse("manual_whole")).status_code == 302
