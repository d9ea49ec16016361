"""`manage.py rotate_keys`: at once from several processes, everything that is sealed, and keys that go or are lost."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from fetchrules.models import AuditEntry, FetchRule, Pause, Revision
from fetchrules.rulebook.revisions import current_version, document_of
from fetchrules.rulebook.rows import password_of
from fetchrules.secrets.sealed import Uses
from fetchrules.secrets.sealing import key_ring
from tests.interop.installation import Installation
from tests.panel.test_rule_form import PLAIN
from tests.rulebook.texts import apply

LINE = "mailserver.ru:pop3 petrov{0} petrovpasswd{0} i.petrov@mydomain.ru\n"
TEN_MINUTES = 600


@pytest.fixture
def key_file(tmp_path: Path, settings: Settings) -> Path:
    """Keys in a data directory of this test's own."""
    settings.UTM_MAIL_KEYS = ""
    settings.DATA_DIR = tmp_path
    return tmp_path / "keys"


@pytest.fixture
def book(db: None, key_file: Path) -> str:
    """Three rules and their first revision."""
    text = "".join(map(LINE.format, range(3)))
    apply(text, current_version(), by=None)
    return text


def rotate(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("rotate_keys", "--json", *arguments, stdout=out)
    result: dict[str, Any] = json.loads(out.getvalue())
    return result


def make_older(key_file: Path, seconds: int) -> None:
    """As if the keys had been made so long ago."""
    lines = [line.split(":") for line in key_file.read_text().split()]
    key_file.write_text("".join(f"{name}:{value}:{int(made) - seconds}\n" for name, value, made in lines))


def test_it_loses_no_password_when_four_rotate_at_once(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.prepare()
    text = "".join(map(LINE.format, range(43)))
    installation.paste(text)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: installation.manage("rotate_keys", "--json"), range(4)))
    assert len({json.loads(one.stdout)["key"] for one in done}) == 4
    assert installation.manage("rules", "export", "--with-passwords").stdout == text
    listed = json.loads(installation.manage("rotate_keys", "--list", "--json").stdout)["keys"]
    assert [(key["state"], key["rules"], key["revisions"]) for key in listed] == [
        ("current", 43, 43),
        *[("former", 0, 0)] * 4,
    ]


def test_it_seals_rules_revisions_and_drafts_again(book: str, client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post(reverse("text"), {"text": book.replace("petrovpasswd2", "anotherpasswd"), "do": "check"})
    old = key_ring().keys[0].id
    result = rotate()
    assert (result["sealed"], result["revisions"], result["drafts"]) == (3, 1, 1)
    uses = Uses.now()
    assert (uses.of(old), uses.rules[result["key"]], uses.drafts[result["key"]]) == (0, 3, 1)
    assert sum(uses.revisions.values()) == uses.revisions[result["key"]] == 3
    assert document_of(Revision.objects.all()[0]).text == book
    masked = client.post(reverse("text"), {"text": book.replace("petrovpasswd", "x"), "do": "check"}).context["text"]
    client.post(reverse("text"), {"text": masked, "do": "apply", "version": str(current_version())})
    assert password_of(FetchRule.objects.get(user="petrov2")) == "x2"


def test_it_reads_a_draft_that_was_sealed_again(book: str, client: Client, alice: User) -> None:
    client.force_login(alice)
    wanted = book.replace("petrovpasswd2", "anotherpasswd")
    masked = client.post(reverse("text"), {"text": wanted, "do": "check"}).context["text"]
    assert "anotherpasswd" not in masked
    rotate()
    client.post(reverse("text"), {"text": masked, "do": "apply", "version": str(current_version())})
    assert password_of(FetchRule.objects.get(user="petrov2")) == "anotherpasswd"


def test_it_seals_a_pasted_line_again(book: str, client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post(reverse("rule_new"), {"line": LINE.format(7), "paste": ""})
    old = key_ring().keys[0].id
    assert Uses.now().drafts[old] == 1
    assert rotate()["drafts"] == 1
    assert Uses.now().of(old) == 0
    page = client.post(reverse("rule_new"), {**PLAIN, "user": "petrov7", "password": "", "encryption": "auto"})
    assert page.status_code == 302, page.content.decode()
    assert password_of(FetchRule.objects.get(user="petrov7")) == "petrovpasswd7"


def test_it_seals_the_same_password_of_several_revisions_again(book: str) -> None:
    apply(book + LINE.format(9), current_version(), by=None)
    apply(LINE.format(9), current_version(), by=None, delete_missing=True)
    old = key_ring().keys[0].id
    rotate()
    assert Uses.now().of(old) == 0
    assert document_of(Revision.objects.all()[1]).text == book + LINE.format(9)


def test_it_drops_a_key_when_nothing_is_sealed_with_it_any_more(book: str, key_file: Path) -> None:
    old = key_ring().keys[0].id
    rotate()
    make_older(key_file, TEN_MINUTES)
    result = rotate("--drop", old)
    assert result["dropped"] == old
    assert [key["id"] for key in result["keys"]] == [key.id for key in key_ring().keys]
    assert {password_of(rule) for rule in FetchRule.objects.all()} == {f"petrovpasswd{n}" for n in range(3)}
    assert AuditEntry.objects.filter(what="key_dropped", about=old).exists()


@pytest.mark.parametrize(("ago", "used", "words"), [(TEN_MINUTES - 60, False, "60|59"), (TEN_MINUTES, True, "1")])
def test_it_drops_no_key_too_early(ago: int, used: bool, words: str, book: str, key_file: Path) -> None:
    old = key_ring().keys[0].id
    rotate()
    make_older(key_file, ago)
    if used:
        seal_with_the_former_key()
    with pytest.raises(CommandError, match=words):
        rotate("--drop", old)
    assert old in {key.id for key in key_ring().keys}


def seal_with_the_former_key() -> None:
    """As a process does that began to save a password before the rotation."""
    ring = key_ring()
    rule = FetchRule.objects.all()[0]
    rule.password = type(ring)(ring.keys[1:]).seal("petrovpasswd0", "target")
    rule.save()


@pytest.mark.parametrize("key", ["nosuchkey", "current"])
def test_it_drops_only_a_former_key(key: str, book: str, key_file: Path) -> None:
    make_older(key_file, TEN_MINUTES)
    with pytest.raises(CommandError):
        rotate("--drop", key_ring().keys[0].id if key == "current" else key)


def test_it_says_that_keys_of_the_environment_cannot_be_dropped(make_rule: Callable[..., FetchRule]) -> None:
    make_rule()
    out = StringIO()
    call_command("rotate_keys", "--list", stdout=out)
    assert "UTM_MAIL_KEYS" in out.getvalue()
    assert rotate("--list")["environment"] is True
    with pytest.raises(CommandError, match="UTM_MAIL_KEYS"):
        rotate("--drop", "test")


def test_it_lists_what_is_sealed_with_a_key_that_is_not_at_hand(book: str, key_file: Path) -> None:
    old = key_ring().keys[0].id
    key_file.unlink()
    assert rotate("--list")["keys"] == [
        {"id": old, "state": "missing", "made": None, "rules": 3, "revisions": 3, "drafts": 0}
    ]
    assert not key_file.exists()


def test_it_makes_no_key_beside_one_that_is_only_away(book: str, key_file: Path) -> None:
    key_file.unlink()
    with pytest.raises(CommandError, match="--lost"):
        rotate()
    assert not key_file.exists()


def test_it_asks_for_the_passwords_whose_key_is_lost(book: str, key_file: Path) -> None:
    key_file.unlink()
    result = rotate("--lost")
    rows = list(FetchRule.objects.all())
    assert result["lost"] == [row.id for row in rows]
    assert {(row.password, row.pause, row.last_error) for row in rows} == {("", Pause.FAILURE, "password_missing")}
    assert [key["state"] for key in result["keys"]] == ["current"]
    assert "petrovpasswd" not in document_of(Revision.objects.all()[0]).text


def test_it_deletes_only_drafts_whose_key_is_lost(book: str, key_file: Path, client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post(reverse("text"), {"text": book.replace("petrovpasswd2", "anotherpasswd"), "do": "check"})
    used = Uses.now().drafts
    assert used.total() == 1
    rotate("--lost")
    assert Uses.now().drafts == used
    key_file.unlink()
    rotate("--lost")
    assert Uses.now().drafts.total() == 0


def test_it_asks_for_no_password_that_opens(book: str) -> None:
    assert rotate("--lost")["lost"] == []
    assert document_of(Revision.objects.all()[0]).text == book
    assert {password_of(rule) for rule in FetchRule.objects.all()} == {f"petrovpasswd{n}" for n in range(3)}


def test_it_leaves_a_missing_key_file_missing_whatever_else_is_run(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.prepare()
    installation.paste(LINE.format(1))
    keys = tmp_path / "keys"
    keys.rename(tmp_path / "away")
    assert "utm_mail.W004" in installation.manage("check", "--database", "default").stderr
    refused = installation.manage("rules", "import", "-", text=LINE.format(2), expect=1)
    assert "Traceback" not in refused.stderr
    assert "UTM_MAIL_KEYS" in refused.stderr
    (told,) = installation.poll("--all", expect=1)
    assert told["error"]["code"] == "key_missing"
    with installation.up() as panel:
        assert "1" in panel.log.read_text()
        assert "rotate_keys --lost" in panel.log.read_text()
    assert not keys.exists()
    (tmp_path / "away").rename(keys)
    assert installation.manage("rules", "export", "--with-passwords").stdout == LINE.format(1)
