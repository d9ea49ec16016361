"""Passwords at rest: AES-GCM, a key ring outside the database, each ciphertext bound to the target that it opens.

A token is `v1:<key id>:<base64 of nonce and ciphertext>`. The target (protocol, host, port, user) is associated data: a row's token
copied to another row does not open there.
"""

import base64
import binascii
import functools
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from fetchrules.errors import PasswordUnreadable
from fetchrules.private_file import read_or_make, replace
from fetchrules.ruletext.spec import Rule

_NONCE = 12


@dataclass(frozen=True, slots=True)
class Key:
    """A 256-bit key and its short name."""

    id: str
    value: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> "Key":
        """A new random key."""
        return cls(secrets.token_hex(4), AESGCM.generate_key(256))

    @classmethod
    def parse(cls, text: str) -> "Key":
        """From `id:base64`. Raises ValueError without repeating the secret."""
        name, colon, value = text.strip().partition(":")
        try:
            raw = base64.b64decode(value, validate=True)
        except binascii.Error:
            raw = b""
        if not colon or not name.isalnum() or len(raw) != 32:
            raise ValueError("a password key must be written as id:base64 of 32 octets")
        return cls(name, raw)

    def __str__(self) -> str:
        return f"{self.id}:{base64.b64encode(self.value).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys at hand, the current one first."""

    keys: tuple[Key, ...]

    def seal(self, password: str, target: str) -> str:
        """`password` as a token that only opens for `target`."""
        key = self.keys[0]
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(key.value).encrypt(nonce, password.encode(), target.encode())
        return f"v1:{key.id}:{base64.b64encode(nonce + sealed).decode('ascii')}"

    def unseal(self, token: str, target: str) -> str:
        """The password in `token`. Raises PasswordUnreadable."""
        try:
            version, key_id, sealed = token.split(":")
            raw = base64.b64decode(sealed, validate=True)
            key = next(key for key in self.keys if key.id == key_id and version == "v1")
            return AESGCM(key.value).decrypt(raw[:_NONCE], raw[_NONCE:], target.encode()).decode()
        except StopIteration as error:
            raise PasswordUnreadable("its key is not in the key ring") from error
        except (ValueError, InvalidTag) as error:
            raise PasswordUnreadable("it was sealed for another mailbox, or is damaged") from error

    def has_key_of(self, token: str) -> bool:
        """Whether the key that sealed `token` is at hand."""
        return any(token.startswith(f"v1:{key.id}:") for key in self.keys)

    def is_current(self, token: str) -> bool:
        """Whether `token` was sealed with the current key."""
        return token.startswith(f"v1:{self.keys[0].id}:")


def target_of(rule: Rule) -> str:
    """What a rule's password opens: protocol, host, port and user."""
    return "\n".join((rule.protocol, rule.server.lower(), str(rule.effective_port), rule.user))


def seal(password: str, target: str) -> str:
    """`password` as a token that only opens for `target`, with the current key."""
    return key_ring().seal(password, target)


def unseal(token: str, target: str) -> str:
    """The password in `token`. Raises PasswordUnreadable."""
    if not key_ring().has_key_of(token):
        key_ring.cache_clear()  # another process may have rotated the keys since
    return key_ring().unseal(token, target)


@functools.cache
def key_ring() -> KeyRing:
    """From UTM_MAIL_KEYS (one `id:base64` a line or comma), else the file in the data directory, made at first use."""
    text = settings.UTM_MAIL_KEYS or _key_text()
    return KeyRing(tuple(Key.parse(line) for line in text.replace(",", "\n").splitlines() if line.strip()))


def add_key() -> Key:
    """Put a fresh key at the front of the key file and make it the current one."""
    key = Key.fresh()
    replace(_key_file(), f"{key}\n{_key_text()}")
    key_ring.cache_clear()
    return key


def _key_text() -> str:
    return read_or_make(_key_file(), lambda: f"{Key.fresh()}\n")


def _key_file() -> Path:
    path: Path = settings.DATA_DIR / "keys"
    return path
