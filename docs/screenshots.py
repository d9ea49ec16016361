"""Make docs/images/: python -m docs.screenshots. It runs the demonstration on a data directory that is thrown away."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.interop.installation import Installation
from tests.interop.installed import program
from tests.pages.conftest import sign_in

IMAGES = Path(__file__).resolve().parent / "images"
WIDTH, HEIGHT = 1280, 780


def main() -> None:
    """Every page that the manual shows, once every rule has been polled."""
    with (
        tempfile.TemporaryDirectory() as data,
        Installation(Path(data)).up("--demo") as panel,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=program("chromium", "chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="ru-RU", base_url=panel.address)
        sign_in(page, panel)
        _wait_for_polls(page)
        _shoot(page, "rules", 1040)
        _shoot_rule(page)
        _shoot_text(page)
        _shoot_journal(page)
        page.goto("/statistics/")
        _shoot(page, "statistics")
        page.goto("/settings/")
        page.set_viewport_size({"width": WIDTH, "height": 1330})
        page.screenshot(path=IMAGES / "settings.png", clip={"x": 0, "y": 0, "width": 828, "height": 1330})
        browser.close()


def _wait_for_polls(page: Page) -> None:
    for words in ("Неверный логин или пароль", "Получено 4", "Получено 3"):
        expect(page.get_by_text(words).first).to_be_visible(timeout=60_000)


def _shoot(page: Page, name: str, height: int = HEIGHT) -> None:
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.screenshot(path=IMAGES / f"{name}.png")


def _shoot_rule(page: Page) -> None:
    """The form of a rule that was tested, with the simulator beside it."""
    page.get_by_role("link", name="Изменить: sales").click()
    page.get_by_role("button", name="Проверить соединение").click()
    expect(page.get_by_text("Проверка ничего не изменила на сервере")).to_be_visible()
    _shoot(page, "rule", 1240)


def _shoot_text(page: Page) -> None:
    """A misspelt word; then a rule that is new and one that is changed."""
    page.goto("/text/")
    box = page.get_by_role("textbox", name="Правила, по одному в строке")
    text = box.input_value()
    box.fill(text.replace("keep flush", "kep flush"))
    page.get_by_role("button", name="Проверить", exact=True).click()
    expect(page.get_by_text("применить нельзя")).to_be_visible()
    _shoot(page, "text-error", 660)
    box.fill(
        text.replace("buh@mydomain.ru keep", "buh@mydomain.ru keepdays 14")
        + "mailserver.ru:pop3 ivanov ivanovpasswd ivanov@mydomain.ru keep ssl\n"
    )
    page.get_by_role("button", name="Проверить", exact=True).click()
    expect(page.get_by_text("новое правило, первый опрос сразу")).to_be_visible()
    _shoot(page, "text-preview", 660)


def _shoot_journal(page: Page) -> None:
    """The list of polls, and one that fetched something."""
    page.goto("/journal/")
    _shoot(page, "journal")
    page.get_by_role("row").filter(has_text="Получено 3").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Этапы")).to_be_visible()
    _shoot(page, "run")


if __name__ == "__main__":
    main()
