"""`manage.py test_connection`: for scripts an object, for people a line a stage."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from fetchrules.models import FetchRule
from tests.conftest import MakeRule
from tests.servers.imap import Folder, ImapServer

FOLDERS = {"INBOX": Folder([b"Subject: 1\r\n\r\n"]), "&BBcEMAQ6BDAENwRL-": Folder()}


@pytest.fixture
def rule(make_rule: MakeRule, tmp_path: Path, settings: Settings) -> Iterator[FetchRule]:
    """Of an IMAP account with a letter and two folders."""
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    with ImapServer(FOLDERS) as server:
        place = {"server": "127.0.0.1", "port": server.port, "protocol": "imap", "user": "petrov"}
        yield make_rule(**place, encryption="plaintext")


def said(*arguments: str) -> str:
    printed = StringIO()
    call_command("test_connection", *arguments, stdout=printed)
    return printed.getvalue()


def test_it_tells_scripts_what_there_is(rule: FetchRule) -> None:
    told = json.loads(said(str(rule.id), "--json"))
    assert (told["ok"], told["letters"], told["new"], told["login"]) == (True, 1, 1, "password")
    assert told["folders"] == ["INBOX", "Заказы"]


def test_it_tells_people_what_there_is(rule: FetchRule) -> None:
    *stages, folders = said(str(rule.id)).splitlines()
    assert all(line.startswith("✓ ") for line in stages)
    assert folders == "Папки: INBOX, Заказы"


@pytest.mark.django_db
def test_it_knows_no_rule_that_does_not_exist() -> None:
    with pytest.raises(CommandError, match="4711"):
        said("4711")
