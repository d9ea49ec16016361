"""Every page, in both languages and schemes: fit for screen readers and every window, and no complaint of the browser."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, StorageState, expect

from tests.interop.installation import Panel
from tests.pages.conftest import PATIENCE, fits, sign_in

pytestmark = pytest.mark.browser

WIDTHS = (360, 390, 1280, 1920)
SHOTS = os.environ.get("UTM_MAIL_TEST_SCREENS", "")
"""A directory for pictures of all pages; empty: none are taken."""

GRAVE = """
async (options) => (await axe.run(document, { resultTypes: ["violations"], preload: false, ...options })).violations
  .filter((found) => ["serious", "critical"].includes(found.impact))
  .map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`)
"""
"""What axe holds against the page, in one line per rule."""
COLOURS_ALONE = {"runOnly": ["color-contrast"]}


@dataclass(slots=True)
class Visit:
    """A page of one browser context, and all that anybody held against what it showed."""

    page: Page
    where: str = ""
    hearing: bool = True
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Hear the console out, where breaches of the content security policy are told too."""

        def said(message: ConsoleMessage) -> None:
            if self.hearing and message.type in {"error", "warning"}:
                self.object(message.text)

        def failed(error: Error) -> None:
            self.object(error.message)

        self.page.on("console", said)
        self.page.on("pageerror", failed)

    def object(self, what: str) -> None:
        """Hold `what` against the page."""
        self.complaints.append(f"{self.where}: {what}")


@pytest.fixture(scope="module")
def signed_in(browser: Browser, demo: Panel) -> StorageState:
    """The administrator's cookies."""
    context = browser.new_context(locale="ru-RU")
    sign_in(context.new_page(), demo)
    cookies = context.storage_state()
    context.close()
    return cookies


@pytest.fixture(scope="module")
def paths(browser: Browser, demo: Panel, signed_in: StorageState) -> Mapping[str, str]:
    """Each page by name, once mail has been collected."""
    context = browser.new_context(locale="ru-RU", storage_state=signed_in)
    page = context.new_page()

    def link(where: str, selector: str) -> str:
        page.goto(f"{demo.address}{where}")
        found = page.locator(selector).first
        expect(found).to_be_visible(timeout=PATIENCE)
        return found.get_attribute("href") or ""

    page.goto(f"{demo.address}demo/")
    expect(page.get_by_text("Встреча в четверг").first).to_be_visible(timeout=PATIENCE)
    rule = link("", "table.rules tbody th a")
    run = link("journal/?result=mail", "table.journal tbody th a")
    revision = link("text/history/", "main table tbody th a")
    context.close()
    return {
        "rules": "/",
        "no rule": "/?q=nobody",
        "new rule": "/rules/new/",
        "rule": rule,
        "delete": f"{rule}delete/",
        "text": "/text/",
        "text line by line": "/text/?mode=lines",
        "passwords": "/text/passwords/",
        "history": "/text/history/",
        "revision": revision,
        "journal": "/journal/",
        "run": run,
        "problem letters": "/journal/letters/",
        "audit": "/journal/audit/",
        "statistics": "/statistics/",
        "settings": "/settings/",
        "help": "/help/",
        "manual": "/help/manual/",
        "password": "/password/",
        "what has arrived": "/demo/",
        "admin": "/admin/",
        "admin list": "/admin/fetchrules/fetchrule/",
        "login": "/login/",
    }


@pytest.mark.parametrize("language", ["ru", "en"])
def test_it_is_accessible_and_fits_each_window(
    language: str, browser: Browser, demo: Panel, signed_in: StorageState, paths: Mapping[str, str]
) -> None:
    context = _context(browser, language, "light", signed_in)
    visit = Visit(context.new_page())
    for _ in _each(visit, demo, paths):
        if visit.page.locator("html").get_attribute("lang") != language:
            visit.object("it does not say its language")
        if (headings := visit.page.locator("h1").count()) != 1:
            visit.object(f"it has {headings} first headings")
        for width in WIDTHS:
            visit.page.set_viewport_size({"width": width, "height": 900})
            if not fits(visit.page):
                visit.object(f"it is wider than {width} px")
            _shoot(visit, f"{language}-light-{width}")
        _ask_axe(visit, {})
    context.close()
    assert "\n".join(visit.complaints) == ""


@pytest.mark.parametrize("language", ["ru", "en"])
def test_it_can_be_read_in_the_dark(
    language: str, browser: Browser, demo: Panel, signed_in: StorageState, paths: Mapping[str, str]
) -> None:
    context = _context(browser, language, "dark", signed_in)
    visit = Visit(context.new_page())
    for _ in _each(visit, demo, paths):
        _shoot(visit, f"{language}-dark-1280")
        _ask_axe(visit, COLOURS_ALONE)
    context.close()
    assert "\n".join(visit.complaints) == ""


def _context(
    browser: Browser, language: str, scheme: Literal["light", "dark"], signed_in: StorageState
) -> BrowserContext:
    locale = {"ru": "ru-RU", "en": "en-GB"}[language]
    return browser.new_context(locale=locale, color_scheme=scheme, storage_state=signed_in)


def _each(visit: Visit, demo: Panel, paths: Mapping[str, str]) -> Iterator[None]:
    """Go to one page after another; to the last one, for signing in, as a stranger."""
    visit.listen()
    for name, path in paths.items():
        visit.page.goto("about:blank")
        visit.where, visit.hearing = name, True
        if name == "login":
            visit.page.context.clear_cookies()
        visit.page.set_viewport_size({"width": 1280, "height": 900})
        answer = visit.page.goto(f"{demo.address.rstrip('/')}{path}")
        if answer is None or not answer.ok:
            visit.object("it is not there")
        yield


def _ask_axe(visit: Visit, options: Mapping[str, object]) -> None:
    visit.hearing = False  # axe tries styles of its own, which the content security policy forbids
    visit.page.evaluate(AXE_SCRIPT)
    for finding in visit.page.evaluate(GRAVE, options):
        visit.object(finding)


def _shoot(visit: Visit, suffix: str) -> None:
    if SHOTS:
        visit.page.screenshot(path=Path(SHOTS) / f"{visit.where.replace(' ', '-')}-{suffix}.png", full_page=True)
