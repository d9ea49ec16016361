"""The text box in the browser: five hundred lines with three mistakes, led to one after the other, and a clean preview."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.interop.installation import Panel
from tests.pages.conftest import PATIENCE, fits, sign_in

pytestmark = pytest.mark.browser

MISTAKES = {36: ("skip", "skp"), 249: (":pop3", ":pop4"), 498: (" user498@mydomain.ru", "")}

IN_VIEW = """
(mark) => {
  const [line, editor] = [mark.getBoundingClientRect(), mark.closest(".editor").getBoundingClientRect()];
  return line.top >= editor.top && line.bottom <= editor.bottom;
}
"""


def pasted() -> str:
    lines = [f"mailserver.ru:pop3 user{number} passwd user{number}@mydomain.ru skip" for number in range(500)]
    for number, (right, wrong) in MISTAKES.items():
        lines[number] = lines[number].replace(right, wrong)
    return "\n".join(lines) + "\n"


def test_it_leads_through_the_mistakes_to_a_clean_preview(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}text/")
    box = page.get_by_role("textbox", name="Правила, по одному в строке")
    box.fill(pasted())
    check = page.get_by_role("button", name="Проверить", exact=True)
    check.click()
    expect(page.get_by_text("3 ошибки: применить нельзя")).to_be_visible(timeout=PATIENCE)
    marks = page.locator(".gutter .wrong")
    expect(marks).to_have_text(["37", "250", "499"])
    assert marks.first.evaluate(IN_VIEW)

    for left in ("2 ошибки", "1 ошибка"):
        page.get_by_role("button", name="Исправить").first.click()
        expect(page.get_by_text(f"{left}: применить нельзя")).to_be_visible(timeout=PATIENCE)
    assert marks.first.evaluate(IN_VIEW)

    box.fill(box.input_value().replace("user498 passwd", "user498 passwd user498@mydomain.ru"))
    expect(page.locator("#check")).to_have_class("stale")
    check.click()
    expect(page.get_by_text("добавится 500")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("новое правило, выключено").first).to_be_visible()
    expect(marks).to_have_count(0)
    assert fits(page)


def test_a_day_that_is_filled_in_is_chosen(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}text/")
    box = page.get_by_role("textbox", name="Правила, по одному в строке")
    box.fill(f"{box.input_value()}new.example.ru:pop3 user passwd since@mydomain.ru skip\n")
    check = page.get_by_role("button", name="Проверить", exact=True)
    check.click()
    chosen = page.get_by_role("radio", name="собирать, если пришло начиная с:")
    expect(chosen).not_to_be_checked(timeout=PATIENCE)
    chosen.check()
    check.click()
    expect(page.get_by_text("укажите день, начиная с которого")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("radio", name="собирать", exact=True).check()
    expect(page.get_by_text("добавится 1")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Собирать начиная с", exact=True).fill("2026-01-01")
    expect(chosen).to_be_checked()
    check.click()
    expect(page.locator(".findings")).to_have_count(0, timeout=PATIENCE)
    expect(chosen).to_be_checked()


def test_it_says_what_another_address_means_before_it_applies(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}text/")
    box = page.get_by_role("textbox", name="Правила, по одному в строке")
    text = box.input_value()
    server = "127.0.0.3" if "127.0.0.2:pop3 petrov" in text else "127.0.0.2"
    line = next(line for line in text.split("\n") if ":pop3 petrov " in line)
    renamed = f"{server}:{line.partition(':')[2]}".replace("********", "petrovpasswd")
    box.fill(text.replace(line, renamed))
    apply = page.get_by_role("button", name="Применить", exact=True)
    apply.click()
    expect(page.locator(".diff .note")).to_be_visible(timeout=PATIENCE)
    assert fits(page)
    apply.click()
    expect(page.get_by_role("status").filter(has_text="Применено")).to_be_visible(timeout=PATIENCE)


def test_it_takes_over_a_list_of_fetched_letters_with_the_text(page: Page, demo: Panel, tmp_path: Path) -> None:
    fetchids, mover = tmp_path / ".fetchids", f"mover{(page.viewport_size or {'width': 0})['width']}"
    fetchids.write_text(f"{mover}@mailserver.ru a\nnobody@mailserver.ru b\n")
    sign_in(page, demo)
    page.goto(f"{demo.address}text/")
    box = page.get_by_role("textbox", name="Правила, по одному в строке")
    box.fill(f"{box.input_value()}mailserver.ru:pop3 {mover} passwd {mover}@mydomain.ru keep skip\n")
    page.get_by_label("Списки забранных писем").set_input_files(fetchids)
    page.get_by_role("button", name="Проверить", exact=True).click()
    expect(page.get_by_text("новое правило, выключено").first).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Применить", exact=True).click()
    taken = page.get_by_text(
        f"{mover}@mailserver.ru, забрано программой fetchmail и считается собранным: 1 письмо; 1 правило"
    )
    expect(taken).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("nobody@mailserver.ru, забрано программой fetchmail: 1 письмо; правила")).to_be_visible()
    assert fits(page)
