"""Two rules that keep the mail of one account: each recipient gets every letter once."""

from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Run, ServiceSettings
from fetchrules.poll.run import poll
from fetchrules.rulebook.apply import apply
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.servers.imap import PASSWORD as IMAP_PASSWORD
from tests.servers.imap import USER, Folder, ImapServer
from tests.servers.maildrop import letter

pytestmark = pytest.mark.django_db


def poll_due() -> None:
    """Ticks until nothing is due: an account is visited by one session at a time."""
    now = timezone.now()
    while claimed := runs.claim_due(now):
        assert len(claimed) == 1
        for run_id in claimed:
            result = poll(run_id)
            assert result is not None
            assert result.error is None


@pytest.mark.interop
def test_it_gives_every_letter_to_both(dovecot: Dovecot, tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    line = f"127.0.0.1:pop3 readers {PASSWORD} {{}}@mydomain.ru keep plaintext port {dovecot.pop3}\n"
    text = line.format("petrov") + line.format("sidorov")
    apply(text, ServiceSettings.current().text_version)
    dovecot.put("readers", [b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"])
    poll_due()
    for _ in range(2):
        rules = FetchRule.objects.all()
        assert len(rules) == 2
        assert [rule.source.branch for rule in rules] == [0, 1]
        for name in ("petrov", "sidorov"):
            assert len(list((tmp_path / "mydomain.ru" / name / "new").iterdir())) == 2
        runs.ask_for_poll(FetchRule.objects.all(), timezone.now())
        poll_due()
    assert not Run.objects.filter(finished_at=None).exists()


def test_it_gives_every_letter_to_both_by_imap(tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    folder = Folder()
    folder.add(letter("read by its owner"), "\\seen")
    with ImapServer(folder) as server:
        line = f"127.0.0.1:imap {USER} {IMAP_PASSWORD} {{}}@mydomain.ru keep plaintext port {server.port}\n"
        apply(line.format("petrov") + line.format("sidorov"), ServiceSettings.current().text_version)
        for name in ("one", "two"):
            folder.add(letter(name))
            runs.ask_for_poll(FetchRule.objects.all(), timezone.now())
            poll_due()
            poll_due()
    for name in ("petrov", "sidorov"):
        assert len(list((tmp_path / "mydomain.ru" / name / "new").iterdir())) == 2
