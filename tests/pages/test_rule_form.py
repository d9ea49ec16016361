"""The form of a rule in the browser: complaints that go when they are mended, and a simulator that can be read."""

import pytest
from playwright.sync_api import Page, expect

from tests.interop.installation import Panel
from tests.pages.conftest import PATIENCE, fits, sign_in

pytestmark = pytest.mark.browser

CUT_OFF = """
() => [...document.querySelectorAll(".simulation .move")]
  .filter((move) => move.scrollWidth > move.clientWidth)
  .map((move) => move.innerText)
"""


def test_it_takes_back_a_complaint_when_it_is_mended(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}rules/new/")
    page.get_by_role("button", name="Сохранить", exact=True).click()
    complaints = page.get_by_role("alert")
    expect(complaints.get_by_role("listitem")).to_have_count(4, timeout=PATIENCE)

    page.get_by_label("Логин").fill("petrov")
    expect(complaints.get_by_role("listitem")).to_have_count(3)
    page.get_by_label("Почтовая служба").select_option("yandex")
    expect(page.get_by_label("Сервер", exact=True)).not_to_have_attribute("aria-invalid", "true")
    page.get_by_label("Пароль").fill("petrovpasswd")
    page.get_by_label("Почтовый ящик получателя").fill("i.petrov@mydomain.ru")
    expect(complaints).to_have_count(0)
    expect(page.get_by_text("Обязательное поле")).to_have_count(0)


def test_a_day_that_is_filled_in_is_chosen(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}rules/new/")
    chosen = page.get_by_role("radio", name="собирать, если пришло начиная с:")
    expect(chosen).not_to_be_checked()
    page.get_by_label("Собирать начиная с", exact=True).fill("2026-01-01")
    expect(chosen).to_be_checked()
    assert fits(page)


def test_it_shows_every_word_of_the_simulator(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}rules/new/")
    page.locator("details.own summary").click()
    for word in ("keep", "fetchall"):
        page.get_by_label(word, exact=True).check()
    expect(page.get_by_text("получено снова").first).to_be_visible(timeout=PATIENCE)
    assert page.evaluate(CUT_OFF) == []
    assert fits(page)


def test_it_asks_of_a_mailbox_with_another_address_as_one_types(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.get_by_role("link", name="petrov@127.0.0.1").first.click()
    page.wait_for_load_state()  # what is typed before the scripts are there asks nothing
    tick, note = page.locator("#id_other_mailbox"), page.locator("#former .note")
    expect(tick).to_be_hidden()
    page.get_by_label("Сервер", exact=True).fill("new.example.ru")
    expect(note).to_contain_text("petrov@127.0.0.1", timeout=PATIENCE)
    tick.press("Space")
    page.get_by_label("Логин").fill("petrov2")
    expect(page.locator("#rule-line")).to_contain_text("petrov2", timeout=PATIENCE)
    expect(tick).to_be_checked()
    page.get_by_label("Логин").fill("petrov")
    page.get_by_label("Сервер", exact=True).fill("127.0.0.1")
    expect(note).to_have_count(0, timeout=PATIENCE)
    assert fits(page)


def test_it_fills_itself_in_from_a_pasted_line(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}rules/new/")
    line = page.get_by_label("Вставить строку")
    line.fill("mail.example.ru:imap sidorov opensesame i.sidorov@mydomain.ru keep ssl")
    line.press("Enter")
    expect(page.get_by_label("Сервер", exact=True)).to_have_value("mail.example.ru")
    expect(page.get_by_label("Логин")).to_have_value("sidorov")
    assert "opensesame" not in page.content()
    assert fits(page)
