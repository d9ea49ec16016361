"""The way in, and what those see who may not come in."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fetchrules.acts.attempts import FROM_ONE_PLACE_AS_ONE
from tests.interop.installation import Panel
from tests.pages.conftest import SHOTS, WIDTHS, fits, sign_in

pytestmark = pytest.mark.browser


def test_it_says_which_requests_are_the_pages_own(page: Page, demo: Panel) -> None:
    page.clock.install()
    sign_in(page, demo)
    with page.expect_request("**/service/") as refresh:
        page.clock.fast_forward(11_000)
    assert refresh.value.headers["x-refresh"] == "1"


def picture(page: Page, name: str) -> None:
    """For whoever looks at them (UTM_MAIL_TEST_SHOTS)."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_it_says_that_the_door_is_closed(browser: Browser, demo: Panel) -> None:
    for width in WIDTHS.values():
        context = browser.new_context(viewport={"width": width, "height": 900}, locale="ru-RU")
        page = context.new_page()
        for _ in range(FROM_ONE_PLACE_AS_ONE + 1):
            page.goto(f"{demo.address}login/")
            page.get_by_label("Имя пользователя").fill(f"guess{width}")
            page.get_by_label("Пароль").fill("guess")
            page.get_by_role("button", name="Войти").click()
            page.wait_for_load_state()
        expect(page.get_by_role("alert")).to_contain_text("Слишком много попыток")
        assert fits(page)
        picture(page, f"closed-{width}")
        context.close()


@pytest.mark.parametrize(
    ("name", "host", "path", "heading"),
    [
        ("foreign", "evil.localhost", "", "Запрос не удалось прочитать"),
        ("static", "127.0.0.1", "static/css/nothing.css", "Не найдено"),
        ("nowhere", "127.0.0.1", "nowhere/", "Не найдено"),
    ],
)
def test_it_refuses_with_a_page_of_its_own(
    name: str, host: str, path: str, heading: str, browser: Browser, demo: Panel
) -> None:
    for width in WIDTHS.values():
        context = browser.new_context(viewport={"width": width, "height": 900}, locale="ru-RU")
        page = context.new_page()
        page.goto(demo.address.replace("127.0.0.1", host) + path)
        picture(page, f"{name}-{width}")
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        assert page.evaluate("document.styleSheets.length") == 1
        assert fits(page)
        context.close()
