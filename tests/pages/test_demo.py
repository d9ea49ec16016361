"""The demonstration, as a newcomer sees it: letters arrive within seconds, and one rule says why it cannot work."""

import pytest
from playwright.sync_api import Page, expect

from tests.interop.installation import Panel
from tests.pages.conftest import PATIENCE, fits, sign_in

pytestmark = pytest.mark.browser


def test_it_shows_letters_that_arrived(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.get_by_role("link", name="Что пришло").click()
    for recipient, subject in (
        ("i.petrov@mydomain.ru", "Встреча в четверг"),
        ("buh@mydomain.ru", "Выписка по счёту"),
        ("sales@mydomain.ru", "Заявка с сайта"),
        ("sklad@mydomain.ru", "насосы ЦНС 38-44"),
        ("info@mydomain.ru", "Re: Реквизиты"),
    ):
        mailbox = page.get_by_role("table", name=recipient)
        expect(mailbox.get_by_text(subject).first).to_be_visible(timeout=PATIENCE)
    assert fits(page)


def test_it_shows_why_a_rule_fails(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    failed = page.get_by_role("row").filter(has_text="director@127.0.0.1")
    expect(failed.get_by_text("Неверный логин или пароль")).to_be_visible(timeout=PATIENCE)
    assert fits(page)
