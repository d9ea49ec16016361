"""From a recipient's address to the directory of their mailbox.

Local part and domain are folded to lower case and to Unicode's composed form (NFC), as Dovecot, Postfix's virtual(8) and Cyrus
do by default: to the server that reads the mailboxes, `I.Petrov@` and `i.petrov@` are one.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from fetchrules.errors import RecipientInvalid
from fetchrules.ruletext.sources import address_key

MAX_LOCAL_PART, MAX_DOMAIN = 64, 255
"""Octets (RFC 5321 §4.5.3.1)."""
MAX_NAME = 255
"""Octets of one directory's name (NAME_MAX)."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_ATEXT = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-=?^_`{|}~")
"""RFC 5322 §3.2.3, folded, and without the slash."""
_LETTER_DIGIT_HYPHEN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True)
class RootedPath:
    """A directory: the administrator's `root`, which may be a symlink, and below it `parts`, which may not."""

    root: Path
    parts: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.parts)

    def below(self, name: str) -> "RootedPath":
        return RootedPath(self.root, (*self.parts, name))


@dataclass(frozen=True, slots=True)
class Recipient:
    """A local mailbox's address, validated and folded. `domain` is empty for a bare user name."""

    local: str
    domain: str = ""

    @classmethod
    def parse(cls, address: str) -> "Recipient":
        """Raises RecipientInvalid for anything but a dot-string without slashes, with or without `@` and a domain."""
        local, at, domain = address_key(address).partition("@")
        if not _is_dot_string(local, _ATEXT) or len(local.encode()) > MAX_LOCAL_PART:
            raise RecipientInvalid(address)
        if at and (not _is_dot_string(domain, _LETTER_DIGIT_HYPHEN) or len(domain.encode()) > MAX_DOMAIN):
            raise RecipientInvalid(address)
        return cls(local, domain)


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """Where mailboxes are, e.g. `/var/mail/{domain}/{local}`. Raises ValueError for a template that cannot be one."""

    text: str

    def __post_init__(self) -> None:
        if not self.text.startswith("/") or "\0" in self.text:
            raise ValueError(f"not an absolute path: {self.text!r}")
        if any(step in {".", ".."} for step in self.text.split("/")):
            raise ValueError(f"a path through . or ..: {self.text!r}")
        fields = set(_FIELD.findall(self.text))
        if "local" not in fields or fields - {"local", "domain"} or re.search("[{}]", _FIELD.sub("", self.text)):
            raise ValueError(f"needs {{local}}, may have {{domain}}, and nothing else in braces: {self.text!r}")

    def place(self, address: str) -> RootedPath:
        """The mailbox of this recipient. Raises RecipientInvalid."""
        recipient = Recipient.parse(address)
        if not recipient.domain and "{domain}" in self.text:
            raise RecipientInvalid(f"{address}: no domain")
        steps = [step for step in self.text.split("/") if step]
        fixed = next(index for index, step in enumerate(steps) if "{" in step)
        values = {"local": recipient.local, "domain": recipient.domain}
        parts = tuple(_FIELD.sub(lambda field: values[field[1]], step) for step in steps[fixed:])
        if any(len(part.encode()) > MAX_NAME for part in parts):
            raise RecipientInvalid(address)
        return RootedPath(Path("/", *steps[:fixed]), parts)


def _is_dot_string(text: str, ascii_allowed: frozenset[str]) -> bool:
    """Atoms parted by dots, of `ascii_allowed` and printable characters beyond ASCII (RFC 5321 §4.1.2, 6531 §3.3)."""
    return all(
        atom and all(c in ascii_allowed if c.isascii() else c.isprintable() for c in atom) for atom in text.split(".")
    )
