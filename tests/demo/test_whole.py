"""`manage.py up --demo`, as it comes: what its IMAP rules collect, and what they do on the server."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from fetchrules.demo.maildrop import Mailbox
from fetchrules.demo.sample_letters import SKETCHES
from tests.interop.installation import Installation
from tests.waiting import until


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The demonstration, each of whose rules has been polled once or more by itself and then once more."""
    installation = Installation(tmp_path_factory.mktemp("demo"))
    with installation.up("--demo"):
        until(lambda: len(arrived(installation, "sklad")) >= 4 and len(arrived(installation, "info")) >= 3, 60)
        installation.poll("--all", expect=1)  # one rule has a wrong password, on purpose
        yield installation


def arrived(installation: Installation, user: str) -> list[Path]:
    """The letters in the local mailbox of the same name."""
    maildir = installation.data / "mail" / "mydomain.ru" / user
    return [*(maildir / "new").glob("*"), *(maildir / "cur").glob("*")]


def test_it_collects_what_is_unread_in_two_folders_exactly_once(installation: Installation) -> None:
    letters = [message_from_bytes(file.read_bytes(), policy=default) for file in arrived(installation, "sklad")]
    assert {re.sub(r"\d{4}", "{n}", letter["Subject"]) for letter in letters} == {
        sketch.subject for sketch in SKETCHES["sklad"] if sketch.folder in {"INBOX", "Заказы"} and not sketch.read
    }
    identities = [letter["Message-ID"] for letter in letters]
    assert len(identities) == len(set(identities))


def test_it_collects_what_is_read_where_the_rule_says_so(installation: Installation) -> None:
    subjects = [
        message_from_bytes(file.read_bytes(), policy=default)["Subject"] for file in arrived(installation, "info")
    ]
    assert set(subjects) == {sketch.subject for sketch in SKETCHES["info"]}


def test_it_keeps_the_marks_of_letters_where_the_rule_says_so(installation: Installation) -> None:
    infos = {
        str(message_from_bytes(file.read_bytes(), policy=default)["Subject"]): file.name.partition(":2,")[2]
        for file in arrived(installation, "info")
    }
    assert infos == {sketch.subject: "F" * sketch.flagged + "S" * sketch.read for sketch in SKETCHES["info"]}


def test_it_deletes_on_the_server_unless_the_rule_says_keep(installation: Installation) -> None:
    remote = installation.data / "remote"
    assert {letter.uid for letter in Mailbox(remote / "info").inbox.scan()}.isdisjoint({1, 2, 3})
    kept = [Mailbox(remote / "sklad").made(name).scan() for name in Mailbox(remote / "sklad").folders()]
    assert [letters[0].uid for letters in kept] == [1, 1, 1, 1]
