"""A remote mailbox's real state, behind every test server: letters, and what sessions did to them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A letter on the server. `data` has CRLF line ends unless a test wants to be nasty."""

    uid: str
    data: bytes


class Maildrop:
    """The letters of one mailbox. Sessions work on a snapshot and commit deletions by unique-id."""

    def __init__(self, letters: Iterable[bytes | StoredLetter] = ()) -> None:
        self._lock = Lock()
        self._letters: list[StoredLetter] = []
        self._made = 0
        self.commits = 0
        """How many sessions committed deletions, even none."""
        for letter in letters:
            self.add(letter)

    def add(self, letter: bytes | StoredLetter) -> str:
        """A letter arrives; its unique-id."""
        with self._lock:
            self._made += 1
            stored = letter if isinstance(letter, StoredLetter) else StoredLetter(f"uid-{self._made}", letter)
            self._letters.append(stored)
            return stored.uid

    @property
    def letters(self) -> tuple[StoredLetter, ...]:
        """What is there now."""
        with self._lock:
            return tuple(self._letters)

    @property
    def uids(self) -> list[str]:
        """The unique-ids of what is there now."""
        return [letter.uid for letter in self.letters]

    def commit(self, gone: Collection[StoredLetter]) -> None:
        """Remove the letters in `gone` for good."""
        with self._lock:
            self.commits += 1
            self._letters = [letter for letter in self._letters if letter not in gone]


def letter(subject: str, size: int = 0) -> bytes:
    """A small believable letter, its body filled up to about `size` octets."""
    head = (
        "From: Ivan <ivan@example.org>\r\nTo: petrov@example.net\r\n"
        f"Subject: {subject}\r\nMessage-ID: <{subject.replace(' ', '.')}@example.org>\r\n\r\n"
    ).encode()
    line = b"All work and no play makes Jack a dull boy.\r\n"
    return head + line * max(1, (size - len(head)) // len(line))
