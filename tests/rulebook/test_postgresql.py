"""The same rule book on PostgreSQL, from the command line: what SQLite forgives, it does not."""

from pathlib import Path

import pytest

from tests.interop.installation import Installation
from tests.interop.postgres import Postgres
from tests.rulebook.conftest import TEXT

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("postgres")]


SWAPPED = (
    "\ufeffmailserver.ru:pop3 ivanov q i.petrov@mydomain.ru limit 5m\n"
    "mailserver.ru:pop3|petrov|p\\|w|i.ivanov@mydomain.ru|skip # off\r\n"
    "new.ru:imap new r sales@mydomain.ru"
)
"""Two rules of TEXT have exchanged their mailboxes; one has gone and another has come."""


def test_it_gives_texts_back(postgres: Postgres, tmp_path: Path) -> None:
    installation = Installation(tmp_path, {"UTM_MAIL_DATABASE_URL": postgres.new_database()})
    installation.prepare()
    file, target = tmp_path / "rules.txt", tmp_path / "out"
    for text in (TEXT, SWAPPED):
        file.write_bytes(text.encode())
        installation.manage("rules", "import", str(file), "--delete-missing")
        installation.manage("rules", "export", "--with-passwords", "-o", str(target))
        assert target.read_bytes() == file.read_bytes()
