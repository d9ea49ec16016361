"""The folders that a test of the connection found: a click puts one into the field."""

import pytest
from playwright.sync_api import Page, expect

from tests.interop.installation import Panel
from tests.pages.conftest import PATIENCE, sign_in
from tests.servers.imap import PASSWORD, USER, Folder, ImapServer

pytestmark = pytest.mark.browser

FOLDERS = {"INBOX": Folder([b"Subject: 1\r\n\r\n"]), "&BBcEMAQ6BDAENwRL-": Folder(), "Sent": Folder()}


def test_it_puts_the_chosen_folders_into_the_field(page: Page, demo: Panel) -> None:
    sign_in(page, demo)
    page.goto(f"{demo.address}rules/new/")
    with ImapServer(FOLDERS) as server:
        page.get_by_label("Протокол").select_option("imap")
        page.get_by_label("Сервер", exact=True).fill(server.host)
        page.get_by_role("spinbutton", name="Порт").fill(str(server.port))
        page.locator("[name=encryption]").select_option("plaintext")
        page.get_by_label("Логин").fill(USER)
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_label("Почтовый ящик получателя").fill("folders@mydomain.ru")
        page.get_by_role("button", name="Проверить соединение").click()
        page.get_by_text("Папки на сервере").click(timeout=PATIENCE)

    for name in ("Заказы", "INBOX", "Заказы"):
        add = page.get_by_role("listitem").filter(has_text=name).get_by_role("button", name="Добавить")
        if add.is_enabled():
            add.click()
    expect(page.get_by_label("Папки IMAP")).to_have_value("Заказы\nINBOX")
    expect(page.get_by_text("folder Заказы folder INBOX")).to_be_visible()
