"""A maildrop of the demonstration's mail server: a directory with a file for each letter."""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

CAPACITY = 200
"""Letters; the oldest leave when more arrive, so that a demonstration left alone does not fill the disk."""


@dataclass(frozen=True, slots=True)
class Held:
    """A letter in a maildrop: its unique-id and its size in octets."""

    uid: str
    size: int


class Maildrop:
    """The letters of one user."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def letters(self) -> list[Held]:
        """Oldest first."""
        with os.scandir(self._directory) as entries:
            found = [Held(entry.name, entry.stat().st_size) for entry in entries if not entry.name.startswith(".")]
        return sorted(found, key=lambda letter: letter.uid)

    def read(self, uid: str) -> bytes:
        """The octets of a letter."""
        return (self._directory / uid).read_bytes()

    def add(self, letter: bytes, moment: datetime) -> None:
        """Let a letter arrive at this moment."""
        uid = f"{moment.timestamp():.6f}-{secrets.token_hex(4)}"
        (self._directory / f".{uid}").write_bytes(letter)
        (self._directory / f".{uid}").rename(self._directory / uid)
        self.remove(held.uid for held in self.letters()[:-CAPACITY])

    def remove(self, uids: Iterable[str]) -> None:
        """Remove these letters."""
        for uid in uids:
            (self._directory / uid).unlink(missing_ok=True)
