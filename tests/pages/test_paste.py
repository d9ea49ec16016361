"""The main job in the browser: paste a rule, apply it, and the mail of a real Dovecot is there."""

from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import Page, expect

from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installation import Installation, Panel
from tests.pages.conftest import PATIENCE, fits, sign_in
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.interop]

LETTERS = [b"From: anna@mailserver.ru\nSubject: letter %d\n\ntext\n" % number for number in range(3)]

_users = count(1)


@pytest.fixture(scope="module")
def panel(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    with Installation.beside(dovecot, tmp_path_factory.mktemp("paste")).up() as panel:
        yield panel


def paste(page: Page, panel: Panel, line: str) -> None:
    """Append `line` to the text, and press «Применить»."""
    page.goto(f"{panel.address}text/")
    box = page.locator("textarea[name=text]")
    box.fill(f"{box.input_value()}{line}\n")
    page.get_by_role("button", name="Применить").click()


def test_it_collects_mail_as_soon_as_a_rule_is_pasted(page: Page, panel: Panel, dovecot: Dovecot) -> None:
    user = f"pasted{next(_users)}"
    recipient = f"{user}@mydomain.ru"
    dovecot.put(user, LETTERS)
    sign_in(page, panel)

    paste(page, panel, f"localhost:pop3 {user} {PASSWORD} {recipient} port {dovecot.pop3}")

    expect(page.get_by_role("status").filter(has_text="Применено")).to_be_visible(timeout=PATIENCE)
    until(lambda: sorted(dovecot.letters(recipient)) == LETTERS)
    page.goto(panel.address)
    row = page.get_by_role("row").filter(has_text=f"{user}@localhost")
    expect(row).to_contain_text("Получено 3", timeout=PATIENCE)
    assert PASSWORD not in page.content()
    page.goto(f"{panel.address}journal/")
    expect(page.get_by_role("row").filter(has_text=f"{user}@localhost").first).to_be_visible()
    assert fits(page)


def test_it_names_the_mistake_and_applies_nothing(page: Page, panel: Panel) -> None:
    sign_in(page, panel)
    paste(page, panel, "mailserver.ru:pop3 misspelt petrovpasswd i.petrov@mydomain.ru kep")
    expect(page.get_by_text("возможно, «keep»").first).to_be_visible()
    assert fits(page)
    page.goto(panel.address)
    expect(page.get_by_text("misspelt@mailserver.ru")).to_have_count(0)
