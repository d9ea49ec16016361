"""The migration that keys ledgers by recipient, on a database whose mailbox several rules read: nothing lost, nothing twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.installation import Installation
from tests.interop.postgres import Postgres
from tests.poll.conftest import letter
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import Mailbox, Pop3Server

BEFORE = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from fetchrules.rule import MASK, Encryption, Protocol, Rule
from fetchrules.secrets.sealing import seal, target_of

apps = MigrationExecutor(connection).loader.project_state([("fetchrules", "0006_told_by_channel")]).apps
FetchRule, Letter, SourceMailbox = (apps.get_model("fetchrules", name) for name in ("FetchRule", "Letter", "SourceMailbox"))
port, ledgers = {port}, {ledgers}
now, mailboxes = timezone.now(), []
for branch, (recipient, letters) in enumerate(ledgers):
    account = dict(protocol="pop3", host="127.0.0.1", port=port, user="office")
    mailbox = SourceMailbox.objects.create(**account, branch=branch, listed_at=now, pass_present=not letters)
    mailboxes.append(mailbox)
    if recipient:
        rule = Rule("127.0.0.1", Protocol.POP3, "office", "pw", recipient, keep=True, encryption=Encryption.PLAINTEXT, port=port)
        FetchRule.objects.create(
            server=rule.server, protocol="pop3", user=rule.user, recipient=recipient, password=seal("pw", target_of(rule)),
            encryption="plaintext", port=port, keep=True, position=branch, source=mailbox,
            line=f"127.0.0.1:pop3 office {{MASK}} {{recipient}} keep plaintext port {{port}}\\n",
        )
    for uid, to, size in letters:
        Letter.objects.create(
            source=mailbox, epoch=0, uid=uid, recipient=to, state="delivered", size=size, fingerprint=uid,
            first_seen_at=now, delivered_at=now,
        )
SourceMailbox.objects.filter(pk=mailboxes[1].pk).update(continues=mailboxes[-1])
"""
KILLED = """
import os, signal
from django.core.management import call_command
from django.db.migrations import AddConstraint

forwards = AddConstraint.database_forwards

def die(self, *args):
    forwards(self, *args)
    if self.model_name == "letter":
        os.kill(os.getpid(), signal.SIGKILL)

AddConstraint.database_forwards = die
call_command("migrate", "-v0")
"""
LEDGERS = """
import json
from fetchrules.models import FetchRule, Letter, SourceMailbox
told = {
    "ledgers": list(SourceMailbox.objects.order_by("id").values_list("recipient", flat=True)),
    "rules": dict(FetchRule.objects.values_list("recipient", "source__recipient")),
    "letters": Letter.objects.filter(addressee="").count(),
    "former": list(SourceMailbox.objects.exclude(continues=None).values_list("recipient", "continues__recipient")),
}
print("TOLD " + json.dumps(told))
"""
PETROV, SIDOROV, THIRD = "petrov@mydomain.ru", "Sidorov@mydomain.ru", "third@mydomain.ru"


@pytest.fixture
def server() -> Iterator[Pop3Server]:
    """An office's mailbox with three letters."""
    with Pop3Server({"office": Mailbox("pw", Maildrop([letter(name) for name in "abc"]))}) as server:
        yield server


def told(installation: Installation) -> dict[str, Any]:
    output = installation.manage("shell", text=LEDGERS).stdout
    found: dict[str, Any] = json.loads(output.partition("TOLD ")[2])
    return found


def delivered(installation: Installation) -> dict[str, list[str]]:
    """The subjects of the letters in each Maildir."""
    found: dict[str, list[str]] = {}
    for path in sorted(installation.data.glob("mail/mydomain.ru/*/new/*")):
        subject = path.read_text().split("Subject: ")[1].split("\n")[0]
        found.setdefault(path.parts[-3], []).append(subject)
    return {name: sorted(subjects) for name, subjects in found.items()}


def tell(installation: Installation, server: Pop3Server) -> None:
    """The whole story: a database of before, an end in the middle of its migration, the migration, and polls."""

    def had(recipient: str, names: str) -> list[tuple[str, str, int]]:
        return [(name, recipient, len(letter(name).data)) for name in names]

    ledgers = [
        (PETROV, had("former@mydomain.ru", "a") + had("Petrov@mydomain.ru", "b")),
        (SIDOROV, had("sidorov@mydomain.ru", "a")),
        ("", had(PETROV, "abc")),
        ("", had("gone@mydomain.ru", "c") + had("Third@mydomain.ru", "ab")),
        ("", had(THIRD, "c")),
        ("", []),
        ("", []),
    ]
    installation.manage("migrate", "fetchrules", "0006", "-v0")
    installation.manage("migrate", "auth", "-v0")
    installation.manage("shell", text=BEFORE.format(port=server.port, ledgers=ledgers))
    installation.manage("shell", text=KILLED, expect=-9)
    assert "[ ] 0007" in installation.manage("showmigrations", "fetchrules").stdout
    installation.manage("migrate", "-v0")
    petrov, sidorov, third = PETROV, SIDOROV.lower(), THIRD
    names = [petrov, sidorov, "petrov mydomain.ru 2", "third mydomain.ru 3", third, "", " 6"]
    assert told(installation) == {
        "ledgers": names,
        "rules": {PETROV: petrov, SIDOROV: sidorov},
        "letters": 10,
        "former": [[sidorov, " 6"]],
    }
    for _ in range(2):
        installation.poll("--all")
        assert delivered(installation) == {"petrov": ["c"], "sidorov": ["b", "c"]}
    line = f"127.0.0.1:pop3 office pw {THIRD} keep plaintext port {server.port}\n"
    installation.manage("rules", "import", "-", "--delete-missing", text=line)
    installation.poll("--all")
    assert delivered(installation) == {"petrov": ["c"], "sidorov": ["b", "c"], "third": ["a", "b"]}
    installation.manage("rules", "import", "-", "--delete-missing", text=line.replace(THIRD, PETROV))
    installation.poll("--all")
    assert delivered(installation)["petrov"] == ["c"]


def test_nothing_is_lost_or_comes_twice(server: Pop3Server, tmp_path: Path) -> None:
    tell(Installation(tmp_path), server)


@pytest.mark.interop
def test_nothing_is_lost_or_comes_twice_on_postgresql(server: Pop3Server, tmp_path: Path, postgres: Postgres) -> None:
    tell(Installation(tmp_path, {"UTM_MAIL_DATABASE_URL": postgres.new_database()}), server)
