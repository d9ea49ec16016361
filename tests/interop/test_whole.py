"""`manage.py up` from its first start over a pasted rule to a restart, as a browser without JavaScript sees it."""

import signal
from pathlib import Path

import pytest

from tests.interop.browser import Browser
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installation import Installation
from tests.waiting import until

pytestmark = pytest.mark.interop


ALIVE = "from fetchrules.models import Heartbeat as H; print(*H.objects.values_list('part', flat=True))"


def test_it_collects_after_a_paste_and_keeps_everything_over_a_restart(dovecot: Dovecot, tmp_path: Path) -> None:
    letters = [b"Subject: %d\n\ntext\n" % number for number in range(20)]
    dovecot.put("whole", letters)
    line = f"localhost:pop3 whole {PASSWORD} whole@mydomain.ru keep port {dovecot.pop3}"
    installation = Installation.beside(dovecot, tmp_path)

    with installation.up() as panel:
        browser = Browser(panel.address)
        assert panel.password
        browser.log_in("admin", panel.password)
        browser.post("/text/", {"text": f"# ours\n{line}\n", "do": "apply"})
        until(lambda: sorted(dovecot.letters("whole@mydomain.ru")) == sorted(letters))
        until(lambda: "whole@localhost" in browser.get("/journal/").text.replace("<wbr>", ""))
        password = panel.password
        assert panel.stop(signal.SIGINT) == 0
        assert "Traceback" not in panel.log.read_text()

    assert installation.manage("shell", "-v0", "-c", ALIVE).stdout == "\n"
    with installation.up() as panel:
        browser = Browser(panel.address)
        browser.log_in("admin", password)
        assert line.replace(PASSWORD, "********") in browser.get("/text/").text.replace("<wbr>", "")
        assert "whole@localhost" in browser.get("/journal/").text.replace("<wbr>", "")
        assert panel.password is None
        assert panel.stop(signal.SIGTERM) == 0

    (row,) = installation.poll("--all")
    assert (row["found"], row["fetched"], row["error"]) == (20, 0, None)
    assert len(dovecot.letters("whole@mydomain.ru")) == 20
