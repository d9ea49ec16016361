"""The name of a staged letter's file: unique as the Maildir convention wants it, ours to recognise, and the letter's own."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from fetchrules.errors import LocalProtocolError

MAX_NAME = 120
"""Octets of the whole name."""

_NAME = re.compile(r"([0-9]{1,20})\.(Q[0-9a-f]{16}K([0-9a-f]{16}))\.[^/\0]+")
_FORBIDDEN = re.compile(r"[^!-~]|[/:,]")


@dataclass(frozen=True, slots=True)
class StagedName:
    """What a name tells: when the letter was staged (Unix time), under which id, and a hash of its key."""

    seconds: int
    unique: str
    key_hash: str

    @classmethod
    def parse(cls, name: str) -> "StagedName":
        """Raises LocalProtocolError for a name that is none of ours: a bug, which could reach any file."""
        found = _NAME.fullmatch(name)
        if found is None:
            raise LocalProtocolError(f"not a staged letter's name: {name!r}")
        return cls(int(found[1]), found[2], found[3])


def staged_name(key: str, host: str, seconds: int) -> str:
    """`<secs>.Q<random>K<hash of the key>.<host>`.

    In the host, `/`, `:` and what is no visible ASCII become octal escapes, as the convention has it; so does the
    comma, which begins the fields that Dovecot and Courier add.
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    visible = _FORBIDDEN.sub(lambda c: "".join(f"\\{octet:03o}" for octet in c[0].encode()), host)
    return f"{seconds}.Q{secrets.token_hex(8)}K{digest[:16]}.{visible or 'localhost'}"[:MAX_NAME]


def is_ours(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def checked(name: str) -> str:
    """`name`, if it is one of ours. Raises as `StagedName.parse`."""
    StagedName.parse(name)
    return name
