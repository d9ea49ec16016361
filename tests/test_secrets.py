"""Passwords at rest: what opens, what does not, and what a rotation leaves."""

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from fetchrules import secrets
from fetchrules.errors import PasswordUnreadable
from fetchrules.models import AuditEntry, FetchRule
from fetchrules.ruletext.spec import MASK, Encryption, Protocol, Rule
from fetchrules.secrets import Key, KeyRing, key_ring, seal, target_of, unseal

RING = KeyRing((Key.fresh(),))


@pytest.fixture
def key_file(tmp_path: Path, settings: Settings) -> Iterator[Path]:
    """Keys in a data directory of this test's own, instead of the fixed one."""
    settings.UTM_MAIL_KEYS = ""
    settings.DATA_DIR = tmp_path
    key_ring.cache_clear()
    yield tmp_path / "keys"
    key_ring.cache_clear()


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
        Rule("mailserver.ru", Protocol.IMAP, "petrov", MASK, rule.recipient),
        Rule("mailserver.ru", Protocol.POP3, "Petrov", MASK, rule.recipient),
        Rule("mailserver.ru", Protocol.POP3, "petrov", MASK, rule.recipient, encryption=Encryption.SSL),
    ]
    assert target_of(rule) not in map(target_of, others)


def test_it_makes_a_private_key_file_once(key_file: Path) -> None:
    token = seal("petrovpasswd", "target")
    assert key_file.stat().st_mode & 0o777 == 0o600
    key_ring.cache_clear()
    assert unseal(token, "target") == "petrovpasswd"


def test_it_reads_the_keys_again_when_another_process_rotated_them(key_file: Path) -> None:
    old = seal("petrovpasswd", "target")
    stale = key_ring()
    fresh = secrets.add_key()
    token = seal("sidorovpasswd", "target")
    assert token.split(":")[1] == fresh.id
    assert not stale.has_key_of(token)
    assert (unseal(token, "target"), unseal(old, "target")) == ("sidorovpasswd", "petrovpasswd")


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
