"""`manage.py up` from its first start over a pasted rule to a restart, as a browser without JavaScript sees it."""

import re
import signal
from collections.abc import Mapping
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installation import Installation, Panel
from tests.waiting import until

pytestmark = pytest.mark.interop


ALIVE = "from fetchrules.models import Heartbeat as H; print(*H.objects.values_list('part', flat=True))"


class Browser:
    """Pages and forms, with cookies."""

    def __init__(self, panel: Panel) -> None:
        self._address = panel.address
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> str:
        """The page, without the places where its words may break."""
        with self._opener.open(self._address + path, timeout=20) as answer:
            return str(answer.read().decode()).replace("<wbr>", "")

    def submit(self, path: str, values: Mapping[str, str]) -> None:
        """Send `values`, and what else the page's forms hold in hidden fields."""
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.get(path)))
        data = urlencode({**hidden, **values}).encode()
        self._opener.open(self._address + path, data, timeout=20).close()


def test_it_collects_after_a_paste_and_keeps_everything_over_a_restart(dovecot: Dovecot, tmp_path: Path) -> None:
    letters = [b"Subject: %d\n\ntext\n" % number for number in range(20)]
    dovecot.put("whole", letters)
    line = f"localhost:pop3 whole {PASSWORD} whole@mydomain.ru keep port {dovecot.pop3}"
    installation = Installation.beside(dovecot, tmp_path)

    with installation.up() as panel:
        browser = Browser(panel)
        assert panel.password
        browser.submit("login/", {"username": "admin", "password": panel.password})
        browser.submit("text/", {"text": f"# ours\n{line}\n", "do": "apply"})
        until(lambda: sorted(dovecot.letters("whole@mydomain.ru")) == sorted(letters))
        until(lambda: "whole@localhost" in browser.get("journal/"))
        password = panel.password
        assert panel.stop(signal.SIGINT) == 0
        assert "Traceback" not in panel.log.read_text()

    assert installation.manage("shell", "-v0", "-c", ALIVE).stdout == "\n"
    with installation.up() as panel:
        browser = Browser(panel)
        browser.submit("login/", {"username": "admin", "password": password})
        assert line.replace(PASSWORD, "********") in browser.get("text/")
        assert "whole@localhost" in browser.get("journal/")
        assert panel.password is None
        assert panel.stop(signal.SIGTERM) == 0

    (row,) = installation.poll("--all")
    assert (row["found"], row["fetched"], row["error"]) == (20, 0, None)
    assert len(dovecot.letters("whole@mydomain.ru")) == 20
