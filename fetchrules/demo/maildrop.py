"""Remote mailboxes: the interface that the servers use, and the demonstration's own, with a file for each letter."""

import json
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Protocol

CAPACITY = 200
"""Letters; the oldest leave when more arrive, so that a demonstration left alone does not fill the disk."""

INBOX = "INBOX"
SEEN, FLAGGED, DELETED = "\\Seen", "\\Flagged", "\\Deleted"

_LOCK = RLock()
"""Held while any maildrop is read or changed: each session, and the arrival of letters, has a thread."""


class LetterGone(Exception):
    """The letter was removed."""


@dataclass(frozen=True, slots=True)
class Held:
    """A letter in a maildrop: its unique-id (POP3) and UID (IMAP), its size in octets, when it came, and IMAP's flags."""

    unique_id: str
    uid: int
    size: int
    received: datetime
    flags: frozenset[str]


class Maildrop(Protocol):
    """A mailbox of POP3. A session lists the letters once."""

    def scan(self) -> Sequence[Held]:
        """All letters, oldest first."""

    def read(self, letter: Held) -> bytes:
        """The octets of a letter. Raises LetterGone."""

    def remove(self, letters: Iterable[Held]) -> object:
        """Remove these letters, as far as they are there."""


class Folder(Maildrop, Protocol):
    """A folder of IMAP. UIDs ascend and are not given twice while UIDVALIDITY stays."""

    @property
    def uidvalidity(self) -> int: ...
    @property
    def uidnext(self) -> int: ...

    def change_flags(self, uids: Collection[int], change: Callable[[frozenset[str]], frozenset[str]]) -> object:
        """Change the flags of these letters, as far as they are there."""


@dataclass(slots=True)
class _Index:
    """Flags by UID, for letters that have some, and the two numbers that the files do not hold."""

    uidvalidity: int
    uidnext: int = 1
    flags: dict[str, list[str]] = field(default_factory=dict)


class LetterDirectory:
    """A maildrop and folder with a file for each letter, named by its UID."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)

    @property
    def uidvalidity(self) -> int:
        return self._index().uidvalidity

    @property
    def uidnext(self) -> int:
        return self._index().uidnext

    def scan(self) -> list[Held]:
        with _LOCK, os.scandir(self._path) as entries:
            flags = self._index().flags
            found = [_held(entry, flags) for entry in entries if not entry.name.startswith(".")]
        return sorted(found, key=lambda letter: letter.uid)

    def read(self, letter: Held) -> bytes:
        try:
            return (self._path / letter.unique_id).read_bytes()
        except FileNotFoundError as error:
            raise LetterGone from error

    def add(self, letter: bytes, moment: datetime, *flags: str) -> None:
        with _LOCK:
            index = self._index()
            uid, index.uidnext = index.uidnext, index.uidnext + 1
            if flags:
                index.flags[str(uid)] = sorted(flags)
            self._write(index)
            name = f"{uid}.{secrets.token_hex(8)}"
            arriving = self._path / f".{name}"
            arriving.write_bytes(letter)
            os.utime(arriving, (moment.timestamp(), moment.timestamp()))
            arriving.rename(self._path / name)
            self.remove(self.scan()[:-CAPACITY])

    def remove(self, letters: Iterable[Held]) -> None:
        with _LOCK:
            index = self._index()
            for letter in letters:
                (self._path / letter.unique_id).unlink(missing_ok=True)
                index.flags.pop(str(letter.uid), None)
            self._write(index)

    def change_flags(self, uids: Collection[int], change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        with _LOCK:
            index = self._index()
            for letter in self.scan():
                if letter.uid in uids:
                    index.flags[str(letter.uid)] = sorted(change(letter.flags))
            self._write(index)

    def _index(self) -> _Index:
        path = self._path / ".index"
        with _LOCK:
            if not path.exists():
                uids = [_uid(file.name) for file in self._path.iterdir() if not file.name.startswith(".")]
                self._write(_Index(int(datetime.now(UTC).timestamp()), max(uids, default=0) + 1))
            return _Index(**json.loads(path.read_text()))

    def _write(self, index: _Index) -> None:
        (self._path / ".index.new").write_text(json.dumps(asdict(index)))
        (self._path / ".index.new").replace(self._path / ".index")


class Mailbox:
    """The folders of a user: INBOX, which POP3 serves, and others, by names in modified UTF-7."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def inbox(self) -> LetterDirectory:
        return LetterDirectory(self._path)

    def folders(self) -> dict[str, LetterDirectory]:
        """INBOX first."""
        names = [INBOX, *sorted(path.name for path in self._path.glob(".folders/*"))]
        return {name: self.made(name) for name in names}

    def made(self, name: str) -> LetterDirectory:
        """The folder, made if missing."""
        return self.inbox if name == INBOX else LetterDirectory(self._path / ".folders" / name)


def _held(entry: "os.DirEntry[str]", flags: dict[str, list[str]]) -> Held:
    stat, uid = entry.stat(), _uid(entry.name)
    received = datetime.fromtimestamp(stat.st_mtime, UTC)
    return Held(entry.name, uid, stat.st_size, received, frozenset(flags.get(str(uid), ())))


def _uid(unique_id: str) -> int:
    return int(unique_id.partition(".")[0])
