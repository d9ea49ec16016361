"""Passwords at rest: AES-GCM, with a key ring outside the database.

A token is `v1:<key id>:<base64 of nonce and ciphertext>`. The target (protocol, host, port, user) is associated data, so that a
token that is copied to another row does not open there.

The key file is looked at at each use, so that every process uses a new key at once. It is changed only under its lock. Keys in the
environment are fixed when a process starts.
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
from functools import lru_cache
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
"""Seconds after a rotation in which the former key may not be dropped, because a form that was just saved may have used it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A 256-bit key and its short name. `made` is its time in seconds since 1970, 0 if unknown."""

    id: str
    value: bytes = field(repr=False)
    made: int = 0

    @classmethod
    def fresh(cls) -> "Key":
        return cls(secrets.token_hex(4), AESGCM.generate_key(256), int(time.time()))

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Parse `id:base64` or `id:base64:made`. Raises ValueError, whose message does not contain the secret."""
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
    """All keys, the current one first. May be empty."""

    keys: tuple[Key, ...]

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Parse keys separated by line ends or commas. Raises ValueError, whose message contains no key."""
        return cls(tuple(Key.parse(line) for line in text.replace(",", "\n").splitlines() if line.strip()))

    def seal(self, password: str, target: str) -> str:
        key = self.keys[0]
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(key.value).encrypt(nonce, password.encode(), target.encode())
        return f"v1:{key.id}:{base64.b64encode(nonce + sealed).decode('ascii')}"

    def unseal(self, token: str, target: str) -> str:
        """Raises PasswordMissing, KeyMissing, PasswordUnreadable."""
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
        return bool(self.keys) and key_id(token) == self.keys[0].id


def target_of(rule: Rule) -> str:
    return "\n".join((rule.protocol, rule.server.lower(), str(rule.effective_port), rule.user))


def key_id(token: str) -> str:
    """The id of the key that `token` was sealed with. Empty if the token is damaged."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else ""


def seal(password: str, target: str) -> str:
    """A token that opens for `target` only, sealed with the current key. Raises KeyMissing."""
    ring = _readable_ring()
    return (ring if ring.keys else _first_key()).seal(password, target)


def unseal(token: str, target: str) -> str:
    """The password in `token`. Raises PasswordMissing, KeyMissing, PasswordUnreadable."""
    return _readable_ring().unseal(token, target)


def key_ring() -> KeyRing:
    """The keys of UTM_MAIL_KEYS, else those of the key file; empty if there is no file. Raises ValueError, OSError."""
    if settings.UTM_MAIL_KEYS:
        return KeyRing.parse(settings.UTM_MAIL_KEYS)
    path = _key_file()
    try:
        now = path.stat()
    except FileNotFoundError:
        return KeyRing(())
    return _read(path, now.st_ino, now.st_mtime_ns, now.st_size)


@lru_cache(maxsize=1)
def _read(path: Path, *_as_it_is: int) -> KeyRing:
    return KeyRing.parse(path.read_text(encoding="utf-8"))


class KeyFile:
    """The key file, locked by `changing_keys`."""

    @property
    def rotated_at(self) -> float:
        """When the current key was made, in seconds since 1970. The file's own time if the key does not say."""
        return key_ring().keys[0].made or _key_file().stat().st_mtime

    def add(self) -> Key:
        key = Key.fresh()
        self._write((key, *key_ring().keys))
        return key

    def drop(self, id_: str) -> None:
        """Delete a key. Tokens sealed with it never open again."""
        self._write(tuple(key for key in key_ring().keys if key.id != id_))

    def _write(self, keys: tuple[Key, ...]) -> None:
        replace(_key_file(), "".join(f"{key}\n" for key in keys))


@contextmanager
def changing_keys() -> Iterator[KeyFile]:
    with locked(_key_file()):
        yield KeyFile()


def _readable_ring() -> KeyRing:
    """As `key_ring`, but raises KeyMissing if the keys cannot be read."""
    try:
        return key_ring()
    except (ValueError, OSError) as error:
        raise KeyMissing(str(error)) from error


def _first_key() -> KeyRing:
    """Make the first key. Raises KeyMissing if something is sealed already: its key must come back, or be given up."""
    with changing_keys() as file:
        if not key_ring().keys:  # another process may have been first
            passwords = FetchRule.objects.exclude(password="")
            if passwords.exists() or Revision.objects.exclude(passwords=[]).exists():
                raise KeyMissing(str(_key_file()))
            file.add()
        return key_ring()


def _key_file() -> Path:
    path: Path = settings.DATA_DIR / "keys"
    return path
