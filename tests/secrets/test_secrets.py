"""Passwords at rest: what opens, what does not, and what a rotation leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from fetchrules.errors import KeyMissing, PasswordMissing, PasswordUnreadable
from fetchrules.models import AuditEntry, FetchRule, Revision
from fetchrules.rule import MASK, Encryption, Protocol, Rule
from fetchrules.secrets.sealed import SealedDraft
from fetchrules.secrets.sealing import Key, KeyRing, key_ring, seal, target_of, unseal

ROOT = Path(__file__).resolve().parents[2]
RING = KeyRing((Key.fresh(),))


@pytest.fixture
def key_file(tmp_path: Path, settings: Settings) -> Path:
    """Keys in a data directory of this test's own, instead of the fixed one."""
    settings.UTM_MAIL_KEYS = ""
    settings.DATA_DIR = tmp_path
    return tmp_path / "keys"


@given(st.text(), st.text())
def test_it_opens_what_it_sealed(password: str, target: str) -> None:
    assert RING.unseal(RING.seal(password, target), target) == password


def test_it_never_seals_twice_alike() -> None:
    assert RING.seal("petrovpasswd", "target") != RING.seal("petrovpasswd", "target")


@pytest.mark.parametrize("target", ["another", "targe", "target "])
def test_it_does_not_open_for_another_target(target: str) -> None:
    with pytest.raises(PasswordUnreadable):
        RING.unseal(RING.seal("petrovpasswd", "target"), target)


@pytest.mark.parametrize(
    "token", ["", "v1", "v1:x", "v2:{key}:AAAA", "v1:{key}:", "v1:{key}:!", "v1:{key}:AAAA", "v1:0:AAAA"]
)
def test_it_says_when_a_password_is_unreadable(token: str) -> None:
    with pytest.raises(PasswordUnreadable):
        RING.unseal(token.format(key=RING.keys[0].id), "target")


def test_it_does_not_open_what_was_tampered_with() -> None:
    token = RING.seal("petrovpasswd", "target")
    with pytest.raises(PasswordUnreadable):
        RING.unseal(token[:-6] + ("AAAA==" if token[-6:] != "AAAA==" else "BBBB=="), "target")


def test_it_shows_no_key_where_objects_are_shown() -> None:
    key = Key.fresh()
    assert str(key).partition(":")[2] not in repr(key) + repr(KeyRing((key,)))
    assert Key.parse(str(key)) == key


@pytest.mark.parametrize("text", ["", "abc", "abc:", "abc:AAAA", "a b:AAAA", ":" + "A" * 44])
def test_it_refuses_a_key_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="id:base64 of 32 octets"):
        Key.parse(text)


def test_it_binds_a_password_to_protocol_host_port_and_user() -> None:
    rule = Rule("mailserver.ru", Protocol.POP3, "petrov", MASK, "i.petrov@mydomain.ru")
    assert target_of(rule) == target_of(
        Rule("MAILSERVER.ru", Protocol.POP3, "petrov", "x", "other@mydomain.ru", keep=True)
    )
    others = [
        Rule("mailserver.com", Protocol.POP3, "petrov", MASK, rule.recipient),
        Rule("mailserver.ru", Protocol.IMAP, "petrov", MASK, rule.recipient, port=110),
        Rule("mailserver.ru", Protocol.POP3, "Petrov", MASK, rule.recipient),
        Rule("mailserver.ru", Protocol.POP3, "petrov", MASK, rule.recipient, encryption=Encryption.SSL),
    ]
    assert target_of(rule) not in map(target_of, others)


def test_it_binds_a_draft_to_its_kind_and_its_user() -> None:
    assert len({draft.target(user) for draft in SealedDraft for user in (1, 2)}) == 4


@pytest.mark.parametrize("old", ["abcd1234:" + "A" * 43 + "=", "abcd1234:" + "A" * 43 + "=:1700000000"])
def test_it_reads_keys_with_and_without_the_time_when_they_were_made(old: str) -> None:
    assert str(Key.parse(old)) == old


@pytest.mark.django_db
def test_it_makes_a_private_key_file_once(key_file: Path) -> None:
    token = seal("petrovpasswd", "target")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert unseal(token, "target") == "petrovpasswd"
    assert seal("petrovpasswd", "target").split(":")[1] == token.split(":")[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.django_db
def test_it_gives_a_key_that_root_makes_to_whom_the_data_belongs(key_file: Path) -> None:
    os.chown(key_file.parent, 12345, 12346)
    seal("petrovpasswd", "target")
    call_command("rotate_keys", "--json", stdout=StringIO())
    found = {(path.name, path.stat().st_uid, path.stat().st_gid) for path in key_file.parent.iterdir()}
    assert found == {("keys", 12345, 12346), ("keys.lock", 12345, 12346)}


@pytest.mark.django_db
def test_it_tells_a_key_that_is_not_at_hand_from_damage(key_file: Path) -> None:
    token = seal("petrovpasswd", "target")
    name = token.split(":")[1]
    key_file.rename(key_file.with_name("away"))
    with pytest.raises(KeyMissing):
        unseal(token, "target")
    key_file.with_name("away").rename(key_file)
    assert unseal(token, "target") == "petrovpasswd"
    with pytest.raises(PasswordMissing):
        unseal("", "target")
    with pytest.raises(PasswordUnreadable) as damaged:
        unseal(f"v1:{name}:AAAA", "target")
    assert type(damaged.value) is PasswordUnreadable


@pytest.mark.django_db
@pytest.mark.parametrize("content", ["", "not a key\n", None])
def test_it_makes_no_key_where_passwords_are_sealed(
    key_file: Path, content: str | None, make_rule: Callable[..., FetchRule]
) -> None:
    """The file may be lost, emptied by a full disk, or be something else."""
    make_rule()
    if content is None:
        key_file.unlink()
    else:
        key_file.write_text(content)
    with pytest.raises(KeyMissing):
        seal("another", "target")
    assert (key_file.read_text() if key_file.exists() else None) == content


@pytest.mark.django_db
def test_it_makes_no_key_where_only_a_revision_has_passwords(key_file: Path) -> None:
    """All rules were deleted, and may be brought back."""
    Revision.objects.create(version=1, text="", passwords=[seal("petrovpasswd", "target")])
    key_file.unlink()
    with pytest.raises(KeyMissing):
        seal("another", "target")
    assert not key_file.exists()


@pytest.mark.django_db
def test_it_seals_with_the_new_key_as_soon_as_another_process_has_made_it(key_file: Path) -> None:
    old = seal("petrovpasswd", "target")
    add_keys(key_file, 1).wait(60)
    token = seal("sidorovpasswd", "target")
    assert token.split(":")[1] == key_ring().keys[0].id != old.split(":")[1]
    assert (unseal(token, "target"), unseal(old, "target")) == ("sidorovpasswd", "petrovpasswd")


def test_it_forgets_no_key_when_several_processes_add_some_at_once(key_file: Path) -> None:
    running = [add_keys(key_file, 10) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0, 0, 0, 0]
    assert len(key_ring().keys) == 40


def add_keys(key_file: Path, number: int) -> "subprocess.Popen[bytes]":
    """Another process of the same installation adds so many keys."""
    code = (
        "import django; django.setup(); from fetchrules.secrets.sealing import changing_keys\n"
        f"for _ in range({number}):\n  with changing_keys() as file: file.add()"
    )
    own = {"UTM_MAIL_DATA": str(key_file.parent), "UTM_MAIL_KEYS": "", "DJANGO_SETTINGS_MODULE": "utm_mail.settings"}
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | own, cwd=ROOT)


@pytest.mark.django_db
def test_it_rotates_every_password_to_a_fresh_key(key_file: Path, make_rule: Callable[..., FetchRule]) -> None:
    rule = make_rule(password="petrovpasswd")
    out = StringIO()
    call_command("rotate_keys", "--json", stdout=out)
    result = json.loads(out.getvalue())
    rule.refresh_from_db()
    assert result["sealed"] == 1
    assert rule.password.split(":")[1] == result["key"] == key_ring().keys[0].id
    assert unseal(rule.password, target_of(rule.as_rule(MASK))) == "petrovpasswd"
    assert AuditEntry.objects.get().what == "keys_rotated"


@pytest.mark.django_db
def test_it_names_the_rules_whose_passwords_do_not_open(key_file: Path, make_rule: Callable[..., FetchRule]) -> None:
    broken = make_rule()
    FetchRule.objects.update(password="v1:gone:AAAA")
    with pytest.raises(CommandError, match=str(broken.id)):
        call_command("rotate_keys")
