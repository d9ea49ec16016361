"""Debian's Chromium, driven by Playwright, at the two widths that matter; a page that complains fails its test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from tests.interop.installation import Installation, Panel
from tests.interop.installed import program

WIDTHS = {"wide": 1280, "narrow": 390}

PATIENCE = 30_000.0
"""Milliseconds until something that happens elsewhere has to be seen."""

SHOTS = os.environ.get("UTM_MAIL_TEST_SHOTS", "")
"""A directory for screenshots of each test's last page; empty: they go to pytest's own."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A module's own: Playwright's event loop must not run while tests of other modules use the database."""
    chromium = program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """The demonstration, for one module: rules, polls and letters without anything to set up."""
    with Installation(tmp_path_factory.mktemp("demo")).up("--demo") as panel:
        yield panel


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A fresh page in Russian; errors in its console and breaches of the content security policy fail the test."""
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    def failed(error: Error) -> None:
        complaints.append(error.message)

    context = browser.new_context(viewport={"width": WIDTHS[request.param], "height": 900}, locale="ru-RU")
    page = context.new_page()
    page.on("console", listen)
    page.on("pageerror", failed)
    yield page
    page.screenshot(path=Path(SHOTS or tmp_path) / f"{request.node.name}.png", full_page=True)
    context.close()
    assert complaints == []


def sign_in(page: Page, panel: Panel) -> None:
    """As the administrator whom `up` made."""
    assert panel.password
    page.goto(f"{panel.address}login/")
    page.get_by_label("Имя пользователя").fill("admin")
    page.get_by_label("Пароль").fill(panel.password)
    page.get_by_role("button", name="Войти").click()
    page.wait_for_url(panel.address)


def fits(page: Page) -> bool:
    """Whether the page is no wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
