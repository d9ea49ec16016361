"""Every job by HTML alone: JavaScript makes the panel livelier, nothing more."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.interop.installation import Panel
from tests.pages.conftest import PATIENCE, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def plain(browser: Browser, demo: Panel) -> Iterator[Page]:
    """The administrator's page, in a browser that runs no script."""
    context = browser.new_context(locale="ru-RU", java_script_enabled=False)
    page = context.new_page()
    sign_in(page, demo)
    yield page
    context.close()


def press(page: Page, name: str) -> None:
    """The button of that name in the page, not in its bars."""
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def test_it_makes_tries_polls_and_deletes_a_rule(plain: Page, demo: Panel) -> None:
    plain.goto(f"{demo.address}rules/new/")
    plain.get_by_label("Сервер", exact=True).fill("127.0.0.1")
    plain.get_by_role("spinbutton", name="Порт").fill("9")
    plain.get_by_label("Логин").fill("plain")
    plain.get_by_label("Почтовый ящик получателя").fill("plain@mydomain.ru")
    plain.get_by_text("Забрать всё и очистить ящик").click()
    press(plain, "Сохранить")
    expect(plain.get_by_role("alert").get_by_role("link", name="Пароль")).to_be_visible()
    expect(plain.get_by_text("127.0.0.1:pop3 plain")).to_contain_text("fetchall")
    expect(plain.get_by_role("table", name="Четыре опроса").get_by_text("получено").first).to_be_visible()

    plain.get_by_label("Пароль").fill("plainpasswd")
    press(plain, "Проверить соединение")
    expect(plain.get_by_role("heading", name="Проверка соединения")).to_be_visible(timeout=PATIENCE)
    expect(plain.get_by_text("Нет соединения").first).to_be_visible()

    plain.get_by_label("Пароль").fill("plainpasswd")
    press(plain, "Сохранить")
    plain.goto(demo.address)
    row = plain.get_by_role("row").filter(has_text="plain@127.0.0.1")
    row.get_by_role("button", name="Опросить сейчас").click()
    expect(plain.get_by_role("status").filter(has_text="Опрашивается 1 правило")).to_be_visible()
    row.get_by_role("button", name="Выключить").click()
    expect(row.get_by_text("Выключено", exact=True)).to_be_visible(timeout=PATIENCE)
    row.get_by_role("link", name="Удалить").click()
    press(plain, "Удалить")
    expect(plain.get_by_role("row").filter(has_text="plain@127.0.0.1")).to_have_count(0)


def test_it_pastes_corrects_applies_and_undoes(plain: Page, demo: Panel) -> None:
    box = plain.get_by_label("Правила, по одному в строке")
    plain.goto(f"{demo.address}text/")
    before = box.input_value()
    box.fill(f"{before}mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru kep\n")
    press(plain, "Проверить")
    expect(plain.get_by_text("возможно, «keep»").first).to_be_visible()

    # The mistaken line is not shown again, since any part of it may be the password: it is written anew in its place.
    box.fill(f"{before}mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru keep\n")
    press(plain, "Проверить")
    expect(plain.get_by_text("новое правило, первый опрос сразу")).to_be_visible()
    press(plain, "Применить")
    expect(plain.get_by_role("status").filter(has_text="Применено")).to_be_visible()
    assert "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru keep" in box.input_value()

    plain.goto(f"{demo.address}text/history/")
    plain.get_by_role("main").get_by_role("table").get_by_role("link").nth(1).click()
    press(plain, "Вернуть этот текст")
    plain.goto(f"{demo.address}text/")
    assert box.input_value() == before
