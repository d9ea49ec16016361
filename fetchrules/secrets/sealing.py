"""Passwords at rest: AES-GCM, a key ring outside the database, each ciphertext bound to the target that it opens.

A token is `v1:<key id>:<base64 of nonce and ciphertext>`. The target (protocol, host, port, user) is associated data: a row's token
copied to another row does not open there.

The key file is read at each use, so that every process seals with a fresh key as soon as there is one; it is changed under its
lock alone. Keys in the environment are those that a process was started with.
"""

import base64
import binascii
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from fetchrules.errors import KeyMissing, PasswordMissing, PasswordUnreadable
from fetchrules.models import FetchRule, Revision
from fetchrules.rule import Rule
from fetchrules.secrets.private_file import locked, replace

_NONCE = 12
_MADE = re.compile("[0-9]{0,12}")
_TOKEN = re.compile("v1:([^:]+):(.*)")

DROPPED_AFTER = 600
"""Seconds from a rotation on in which its former key may not be dropped: what was being saved at that moment is sealed with it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A 256-bit key and its short name. `made`: when, in seconds since 1970; 0 where it is not said."""

    id: str
    value: bytes = field(repr=False)
    made: int = 0

    @classmethod
    def fresh(cls) -> "Key":
        """A new random key."""
        return cls(secrets.token_hex(4), AESGCM.generate_key(256), int(time.time()))

    @classmethod
    def parse(cls, text: str) -> "Key":
        """From `id:base64`, with `:made` or not. Raises ValueError without repeating the secret."""
        name, _, rest = text.strip().partition(":")
        value, _, made = rest.partition(":")
        try:
            raw = base64.b64decode(value, validate=True)
        except binascii.Error:
            raw = b""
        if not name.isalnum() or len(raw) != 32 or not _MADE.fullmatch(made):
            raise ValueError("a password key must be written as id:base64 of 32 octets")
        return cls(name, raw, int(made or 0))

    def __str__(self) -> str:
        value = base64.b64encode(self.value).decode("ascii")
        return f"{self.id}:{value}:{self.made}" if self.made else f"{self.id}:{value}"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys at hand, the current one first; there may be none."""

    keys: tuple[Key, ...]

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """One key a line or comma. Raises ValueError without repeating any."""
        return cls(tuple(Key.parse(line) for line in text.replace(",", "\n").splitlines() if line.strip()))

    def seal(self, password: str, target: str) -> str:
        """`password` as a token that only opens for `target`."""
        key = self.keys[0]
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(key.value).encrypt(nonce, password.encode(), target.encode())
        return f"v1:{key.id}:{base64.b64encode(nonce + sealed).decode('ascii')}"

    def unseal(self, token: str, target: str) -> str:
        """The password in `token`. Raises PasswordMissing, KeyMissing, PasswordUnreadable."""
        if not token:
            raise PasswordMissing
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise PasswordUnreadable("it is damaged")
        key = next((key for key in self.keys if key.id == found[1]), None)
        if key is None:
            raise KeyMissing(found[1])
        try:
            raw = base64.b64decode(found[2], validate=True)
            return AESGCM(key.value).decrypt(raw[:_NONCE], raw[_NONCE:], target.encode()).decode()
        except (ValueError, InvalidTag) as error:
            raise PasswordUnreadable("it was sealed for another mailbox, or is damaged") from error

    def is_current(self, token: str) -> bool:
        """Whether `token` was sealed with the current key."""
        return bool(self.keys) and key_id(token) == self.keys[0].id


def target_of(rule: Rule) -> str:
    """What a rule's password opens: protocol, host, port and user."""
    return "\n".join((rule.protocol, rule.server.lower(), str(rule.effective_port), rule.user))


def key_id(token: str) -> str:
    """The name of the key that `token` was sealed with; empty where it says none."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else ""


def seal(password: str, target: str) -> str:
    """`password` as a token that only opens for `target`, with the current key. Raises KeyMissing."""
    ring = _ring_at_hand()
    return (ring if ring.keys else _first_key()).seal(password, target)


def unseal(token: str, target: str) -> str:
    """The password in `token`. Raises PasswordMissing, KeyMissing, PasswordUnreadable."""
    return _ring_at_hand().unseal(token, target)


def key_ring() -> KeyRing:
    """The keys of UTM_MAIL_KEYS, else those of the key file; none where there is no file. Raises ValueError, OSError."""
    return KeyRing.parse(settings.UTM_MAIL_KEYS or _key_text())


class KeyFile:
    """The key file while nobody else changes it: what `changing_keys` gives."""

    @property
    def rotated_at(self) -> float:
        """When the current key was made, in seconds since 1970: where it is not said, when the file was written."""
        return key_ring().keys[0].made or _key_file().stat().st_mtime

    def add(self) -> Key:
        """A fresh key, from now on the current one."""
        key = Key.fresh()
        self._write((key, *key_ring().keys))
        return key

    def drop(self, id_: str) -> None:
        """Forget the key called `id_`. What is sealed with it never opens again."""
        self._write(tuple(key for key in key_ring().keys if key.id != id_))

    def _write(self, keys: tuple[Key, ...]) -> None:
        replace(_key_file(), "".join(f"{key}\n" for key in keys))


@contextmanager
def changing_keys() -> Iterator[KeyFile]:
    """Nobody else changes the key file until the block ends."""
    with locked(_key_file()):
        yield KeyFile()


def _ring_at_hand() -> KeyRing:
    """As `key_ring`. Raises KeyMissing where it cannot be read."""
    try:
        return key_ring()
    except (ValueError, OSError) as error:
        raise KeyMissing(str(error)) from error


def _first_key() -> KeyRing:
    """Made where nothing is sealed yet. Raises KeyMissing where something is: its key has to come back, or be given up."""
    with changing_keys() as file:
        if not key_ring().keys:  # another process may have been first
            if _is_anything_sealed():
                raise KeyMissing(str(_key_file()))
            file.add()
        return key_ring()


def _is_anything_sealed() -> bool:
    return FetchRule.objects.exclude(password="").exists() or Revision.objects.exclude(passwords=[]).exists()


def _key_text() -> str:
    try:
        return _key_file().read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _key_file() -> Path:
    path: Path = settings.DATA_DIR / "keys"
    return path
