"""The documentation page, and the manual that it leads to."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from fetchrules.rule import OPTIONS


def test_it_explains_every_option_word(admin: Client) -> None:
    page = admin.get(reverse("manual")).content.decode()
    assert [word for word in OPTIONS if f"<code>{word}" not in page] == []


def test_it_leads_to_the_whole_manual(operator: Client) -> None:
    assert f'href="{reverse("manual_whole")}"' in operator.get(reverse("manual")).content.decode()


@pytest.mark.parametrize(
    ("language", "title"), [("ru", "Руководство администратора"), ("en", "The administrator&#x27;s manual")]
)
def test_it_speaks_the_reader_s_language(language: str, title: str, owner: Client) -> None:
    page = owner.get(reverse("manual_whole"), headers={"Accept-Language": language}).content.decode()
    assert f">{title}</h1>" in page


@pytest.mark.parametrize("language", ["ru", "en"])
def test_its_links_and_pictures_are_there(language: str, owner: Client) -> None:
    page = owner.get(reverse("manual_in", args=[language])).content.decode().partition("<article")[2]
    targets = set(re.findall(r'(?:href|src)="(/[^"#]*)', page))
    assert len(targets) > 5
    assert {target: owner.get(target).status_code for target in targets} == dict.fromkeys(targets, 200)
    anchors = re.findall(r'href="[^"]*#([^"]+)"', page)
    assert [anchor for anchor in anchors if f'id="{anchor}"' not in page] == []


def test_it_gives_no_other_file_for_a_picture(owner: Client) -> None:
    for name in ("nothing.png", "..%2Fmanual.ru.md", "../manual.ru.md"):
        assert owner.get(f"/help/images/{name}").status_code == 404


@pytest.mark.django_db
def test_it_is_for_those_who_are_logged_in(client: Client) -> None:
    assert client.get(reverse("manual_whole")).status_code == 302
