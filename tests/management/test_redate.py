"""`manage.py rules redate`: delivered letters get the times of their arrival."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from fetchrules.models import FetchRule, Letter

pytestmark = pytest.mark.django_db

MakeRule = Callable[..., FetchRule]
TOLD = datetime(2019, 5, 3, 12, tzinfo=UTC)
TRACED = datetime(2020, 2, 1, 8, tzinfo=UTC)


@pytest.fixture
def maildir(tmp_path: Path, settings: Settings) -> Path:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    maildir = tmp_path / "mydomain.ru/i.petrov"
    for part in ("new", "cur", "tmp"):
        (maildir / part).mkdir(parents=True)
    return maildir


@pytest.fixture
def letter(maildir: Path, make_rule: MakeRule) -> Callable[..., Path]:
    """Makes a delivered letter; its file."""
    rule = make_rule(recipient="i.petrov@mydomain.ru")

    def make(name: str, received: datetime | None = None, *, file: str = "", header: bytes = b"") -> Path:
        now = timezone.now()
        times = {"first_seen_at": now, "delivered_at": now, "received_at": received}
        Letter.objects.create(
            source=rule.source,
            epoch=0,
            uid=name,
            recipient=rule.recipient,
            state="delivered",
            size=1,
            file_name=name,
            **times,
        )
        path = maildir / (file or f"new/{name}")
        path.write_bytes(header + b"Subject: a\n\nReceived: by a; Sat, 1 Feb 2003 08:00:00 +0000\n")
        return path

    return make


def times(*paths: Path) -> list[float]:
    return [path.stat().st_mtime for path in paths]


def test_it_sets_the_times_of_letters_of_ours(
    letter: Callable[..., Path], maildir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = letter("1.Qa.mx", TOLD)
    traced = letter("2.Qa.mx", file="cur/2.Qa.mx:2,S", header=b"Received: by a; Sat, 1 Feb 2020 08:00:00 +0000\n")
    unknown = letter("3.Qa.mx")
    right = letter("4.Qa.mx", TOLD)
    os.utime(right, (TOLD.timestamp(), TOLD.timestamp()))
    renamed = letter("5.Qa.mx", TOLD, file="new/5.other")
    letter("6.Qa.mx", TOLD).unlink()
    before = times(told, traced, unknown, right, renamed)
    call_command("rules", "redate", "--dry-run")
    assert times(told, traced, unknown, right, renamed) == before
    call_command("rules", "redate")
    call_command("rules", "redate", "--json")
    assert times(told, traced) == [TOLD.timestamp(), TRACED.timestamp()]
    assert times(unknown, right, renamed) == before[2:]
    said = "i.petrov@mydomain.ru: изменено 2, верно было 1, время неизвестно 1"
    again = '{"recipient": "i.petrov@mydomain.ru", "changed": 0, "right": 3, "undated": 1}'
    assert capsys.readouterr().out.splitlines() == [said, "Ничего не изменено.", said, again]


def test_it_knows_letters_that_were_delivered_with_their_flags(letter: Callable[..., Path]) -> None:
    as_delivered = letter("1.Qa.mx:2,F", TOLD, file="cur/1.Qa.mx:2,F")
    read_since = letter("2.Qa.mx:2,F", TOLD, file="cur/2.Qa.mx:2,FS")
    call_command("rules", "redate")
    assert times(as_delivered, read_since) == [TOLD.timestamp()] * 2


def test_it_tells_which_mailbox_it_cannot_read(
    letter: Callable[..., Path], maildir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letter("1.Qa.mx", TOLD)
    maildir.rename(maildir.with_name("elsewhere"))
    with pytest.raises(SystemExit):
        call_command("rules", "redate")
    assert "i.petrov@mydomain.ru: " in capsys.readouterr().err


def test_it_leaves_times_to_a_mail_server(settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "lmtp://127.0.0.1:24"
    with pytest.raises(CommandError):
        call_command("rules", "redate")
