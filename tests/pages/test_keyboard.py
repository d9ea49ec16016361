"""The keyboard alone: what it reaches and in which order, that one sees where one is, and menus that open and close."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.interop.installation import Panel
from tests.pages.conftest import sign_in

pytestmark = pytest.mark.browser

MANY = 200
FOCUSED = """
() => {
  const here = document.activeElement;
  if (here === document.body) return null;
  const style = getComputedStyle(here);
  const name = here.getAttribute("aria-label") || here.innerText || here.getAttribute("placeholder") || here.name;
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== "none";
  return [name.trim(), seen];
}
"""
"""What has the focus, by name, and whether one sees that it has; nothing at the end of the page."""


@pytest.fixture
def wide(browser: Browser, demo: Panel) -> Iterator[Page]:
    """The administrator's list of rules."""
    context = browser.new_context(locale="ru-RU", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    sign_in(page, demo)
    yield page
    context.close()


def test_it_reaches_everything_in_order_and_shows_where(wide: Page) -> None:
    reached: list[str] = []
    unseen: list[str] = []
    for _ in range(MANY):
        wide.keyboard.press("Tab")
        if (focused := wide.evaluate(FOCUSED)) is None:
            break
        name, seen = focused
        reached.append(name)
        if not seen:
            unseen.append(name)
    wanted = [
        "Перейти к содержанию",
        "Загрузка почты",
        "Язык: Русский",
        "admin",
        "Остановить",
        "Правила",
        "Документация",
        "Поиск: сервер, логин, получатель",
        "Создать правило",
        "Выбрать все",
        "director@127.0.0.1",
        "Опросить сейчас: director@127.0.0.1",
        "Удалить: director@127.0.0.1",
    ]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted
    assert unseen == []


def test_it_skips_to_the_content(wide: Page) -> None:
    wide.keyboard.press("Tab")
    expect(wide.get_by_role("link", name="Перейти к содержанию")).to_be_in_viewport()
    wide.keyboard.press("Enter")
    wide.keyboard.press("Tab")
    expect(wide.get_by_role("navigation", name="Разделы").get_by_role("link", name="Правила")).to_be_focused()


def test_it_opens_and_closes_a_menu(wide: Page) -> None:
    menu = wide.locator("summary").filter(has_text="admin")
    log_out = wide.get_by_role("button", name="Выйти")
    menu.focus()
    wide.keyboard.press("Enter")
    expect(log_out).to_be_visible()
    wide.keyboard.press("Tab")
    wide.keyboard.press("Escape")
    expect(log_out).to_be_hidden()
    expect(menu).to_be_focused()


def test_it_changes_a_rule(wide: Page) -> None:
    wide.get_by_role("link", name="Создать правило").focus()
    wide.keyboard.press("Enter")
    wide.get_by_label("Сервер", exact=True).focus()
    wide.keyboard.type("mailserver.ru")
    wide.keyboard.press("Enter")
    summary = wide.get_by_role("alert")
    expect(summary).to_be_focused()
    wide.keyboard.press("Tab")
    wide.keyboard.press("Enter")
    expect(wide.get_by_label("Логин")).to_be_focused()
