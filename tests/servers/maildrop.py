"""Remote mailboxes in memory, for the servers of the tests: letters, and what sessions did to them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock

from fetchrules.demo.maildrop import DELETED, Held, LetterGone

ARRIVED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A letter on a POP3 server. `data` has CRLF line ends unless a test wants to be nasty."""

    uid: str
    data: bytes


class Maildrop:
    """The letters of one POP3 mailbox, their unique-ids as a test likes. A session can read what was there when it began."""

    def __init__(self, letters: Iterable[bytes | StoredLetter] = ()) -> None:
        self._lock = Lock()
        self._letters: dict[int, StoredLetter] = {}
        self._gone: set[int] = set()
        self.commits = 0
        """How many sessions committed deletions, even none."""
        for letter in letters:
            self.add(letter)

    def add(self, letter: bytes | StoredLetter) -> str:
        """A letter arrives; its unique-id."""
        with self._lock:
            number = len(self._letters) + 1
            self._letters[number] = (
                letter if isinstance(letter, StoredLetter) else StoredLetter(f"uid-{number}", letter)
            )
            return self._letters[number].uid

    @property
    def letters(self) -> tuple[StoredLetter, ...]:
        """What is there now."""
        with self._lock:
            return tuple(letter for number, letter in self._letters.items() if number not in self._gone)

    @property
    def uids(self) -> list[str]:
        """The unique-ids of what is there now."""
        return [letter.uid for letter in self.letters]

    def commit(self, gone: Collection[StoredLetter]) -> None:
        """Somebody removes the letters in `gone`."""
        with self._lock:
            self._gone |= {number for number, letter in self._letters.items() if letter in gone}

    def scan(self) -> list[Held]:
        with self._lock:
            there = [(number, letter) for number, letter in self._letters.items() if number not in self._gone]
        return [Held(letter.uid, number, len(letter.data), ARRIVED, frozenset()) for number, letter in there]

    def read(self, letter: Held) -> bytes:
        return self._letters[letter.uid].data

    def remove(self, letters: Iterable[Held]) -> None:
        with self._lock:
            self.commits += 1
            self._gone.update(letter.uid for letter in letters)


@dataclass(frozen=True, slots=True)
class ImapLetter:
    """A letter in a folder. `flags` are spelt as in RFC 3501."""

    uid: int
    data: bytes
    flags: frozenset[str] = frozenset()


class Folder:
    """A folder's letters, its UIDs never given twice while `uidvalidity` stays."""

    def __init__(self, letters: Iterable[bytes] = (), uidvalidity: int = 1_700_000_000) -> None:
        self._lock = Lock()
        self._letters: dict[int, ImapLetter] = {}
        self.uidnext = 1
        self.uidvalidity = uidvalidity
        self.modseq = 1
        """HIGHESTMODSEQ: more after every change (RFC 7162)."""
        for data in letters:
            self.add(data)

    def add(self, data: bytes, *flags: str) -> int:
        """A letter arrives; its UID."""
        with self._lock:
            uid, self.uidnext = self.uidnext, self.uidnext + 1
            self.modseq += 1
            self._letters[uid] = ImapLetter(uid, data, frozenset(flags))
            return uid

    @property
    def letters(self) -> tuple[ImapLetter, ...]:
        """What is there now."""
        with self._lock:
            return tuple(self._letters.values())

    @property
    def uids(self) -> list[int]:
        """The UIDs of what is there now."""
        return [letter.uid for letter in self.letters]

    def flag(self, uid: int, flag: str) -> None:
        """Set a flag."""
        self.change_flags([uid], lambda flags: flags | {flag})

    def renumber(self, first: int = 1) -> None:
        """The server loses its index: another UIDVALIDITY, and new UIDs from `first` on. Flags stay."""
        with self._lock:
            self.uidvalidity += 1
            self.modseq += 1
            letters = enumerate(self._letters.values(), start=first)
            self._letters = {uid: replace(one, uid=uid) for uid, one in letters}
            self.uidnext = first + len(self._letters)

    def expunge(self, uids: Iterable[int] | None = None) -> None:
        """Remove what is flagged \\Deleted, of `uids` or of all."""
        chosen = self.uids if uids is None else set(uids)
        self.remove([one for one in self.scan() if one.uid in chosen and DELETED in one.flags])

    def scan(self) -> Sequence[Held]:
        return [Held(str(one.uid), one.uid, len(one.data), ARRIVED, one.flags) for one in self.letters]

    def read(self, letter: Held) -> bytes:
        with self._lock:
            if letter.uid not in self._letters:
                raise LetterGone
            return self._letters[letter.uid].data

    def change_flags(self, uids: Collection[int], change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        with self._lock:
            for uid in self._letters.keys() & set(uids):
                before = self._letters[uid]
                self._letters[uid] = replace(before, flags=change(before.flags))
                self.modseq += self._letters[uid] != before

    def remove(self, letters: Iterable[Held]) -> None:
        with self._lock:
            for letter in letters:
                self.modseq += self._letters.pop(letter.uid, None) is not None


def letter(subject: str, size: int = 0) -> bytes:
    """A small believable letter, its body filled up to about `size` octets."""
    head = (
        "From: Ivan <ivan@example.org>\r\nTo: petrov@example.net\r\n"
        f"Subject: {subject}\r\nMessage-ID: <{subject.replace(' ', '.')}@example.org>\r\n\r\n"
    ).encode()
    line = b"All work and no play makes Jack a dull boy.\r\n"
    return head + line * max(1, (size - len(head)) // len(line))
