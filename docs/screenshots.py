"""Make docs/images/: python -m docs.screenshots. It runs the demonstration on a data directory that is thrown away."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.interop.installation import Installation
from tests.interop.installed import program
from tests.pages.conftest import sign_in

IMAGES = Path(__file__).resolve().parent / "images"


def main() -> None:
    """The list of rules once every rule has been polled."""
    with (
        tempfile.TemporaryDirectory() as data,
        Installation(Path(data)).up("--demo") as panel,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=program("chromium", "chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 780}, locale="ru-RU")
        sign_in(page, panel)
        _wait_for_polls(page)
        page.screenshot(path=IMAGES / "rules.png")
        browser.close()


def _wait_for_polls(page: Page) -> None:
    for words in ("Неверный логин или пароль", "Получено 4", "Получено 3"):
        expect(page.get_by_text(words).first).to_be_visible(timeout=60_000)


if __name__ == "__main__":
    main()
