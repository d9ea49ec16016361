"""Maildrops of the demonstration's mail server: a directory with a file for each letter, and what IMAP knows of them."""

import json
import os
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock

CAPACITY = 200
"""Letters; the oldest leave when more arrive, so that a demonstration left alone does not fill the disk."""

INBOX = "INBOX"
SEEN, DELETED = "\\Seen", "\\Deleted"

_LOCK = RLock()
"""Held while any maildrop is looked over or changed: sessions, and letters that arrive, each have a thread."""


@dataclass(frozen=True, slots=True)
class Held:
    """A letter in a maildrop: its unique-id (POP3) and UID (IMAP), its size in octets, when it came, and IMAP's flags."""

    unique_id: str
    uid: int
    size: int
    received: datetime
    flags: frozenset[str]


@dataclass(slots=True)
class Index:
    """What the files do not tell. Letters without flags have no entry in `flags`, whose keys are UIDs."""

    uidvalidity: int
    uidnext: int = 1
    flags: dict[str, list[str]] = field(default_factory=dict)


class Maildrop:
    """The letters of one user, or those in one folder of his. The files are called by their UIDs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def letters(self) -> list[Held]:
        """Oldest first."""
        with _LOCK, os.scandir(self._directory) as entries:
            flags = self.index().flags
            found = [_held(entry, flags) for entry in entries if not entry.name.startswith(".")]
        return sorted(found, key=lambda letter: letter.uid)

    def index(self) -> Index:
        """Its UIDVALIDITY, the UID that comes next, and the flags."""
        path = self._directory / ".index"
        with _LOCK:
            if not path.exists():
                uids = [_uid(file.name) for file in self._directory.iterdir() if not file.name.startswith(".")]
                self._write(Index(int(datetime.now(UTC).timestamp()), max(uids, default=0) + 1))
            return Index(**json.loads(path.read_text()))

    def read(self, unique_id: str) -> bytes:
        """The octets of a letter. Raises FileNotFoundError when it has gone."""
        return (self._directory / unique_id).read_bytes()

    def add(self, letter: bytes, moment: datetime, *flags: str) -> None:
        """Let a letter arrive at this moment."""
        with _LOCK:
            index = self.index()
            uid, index.uidnext = index.uidnext, index.uidnext + 1
            if flags:
                index.flags[str(uid)] = sorted(flags)
            self._write(index)
            name = f"{uid}.{secrets.token_hex(8)}"
            arriving = self._directory / f".{name}"
            arriving.write_bytes(letter)
            os.utime(arriving, (moment.timestamp(), moment.timestamp()))
            arriving.rename(self._directory / name)
            self.remove(held.unique_id for held in self.letters()[:-CAPACITY])

    def remove(self, unique_ids: Iterable[str]) -> None:
        """Remove these letters."""
        with _LOCK:
            index = self.index()
            for unique_id in unique_ids:
                (self._directory / unique_id).unlink(missing_ok=True)
                index.flags.pop(str(_uid(unique_id)), None)
            self._write(index)

    def flag(self, uids: Collection[int], change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        """Give these letters, as far as they are there, the flags that `change` makes of those they have."""
        with _LOCK:
            index = self.index()
            for letter in self.letters():
                if letter.uid in uids:
                    index.flags[str(letter.uid)] = sorted(change(letter.flags))
            self._write(index)

    def expunge(self, uids: Collection[int]) -> None:
        """Remove those of these letters that are flagged \\Deleted."""
        with _LOCK:
            doomed = [one.unique_id for one in self.letters() if one.uid in uids and DELETED in one.flags]
            self.remove(doomed)

    def _write(self, index: Index) -> None:
        (self._directory / ".index.new").write_text(json.dumps(asdict(index)))
        (self._directory / ".index.new").replace(self._directory / ".index")


class Mailbox:
    """All that a user has: INBOX, which is his maildrop by POP3, and other folders by names in modified UTF-7."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def inbox(self) -> Maildrop:
        """What POP3 serves."""
        return Maildrop(self._directory)

    def folders(self) -> list[str]:
        """INBOX first."""
        return [INBOX, *sorted(path.name for path in self._directory.glob(".folders/*"))]

    def folder(self, name: str) -> Maildrop | None:
        """None: there is none of this name. INBOX may be written in any case (RFC 3501 §5.1)."""
        if name.upper() == INBOX:
            return self.inbox
        return self.made(name) if name in self.folders() else None

    def made(self, name: str) -> Maildrop:
        """The folder, which is made if there is none yet."""
        return self.inbox if name == INBOX else Maildrop(self._directory / ".folders" / name)


def _held(entry: "os.DirEntry[str]", flags: dict[str, list[str]]) -> Held:
    stat, uid = entry.stat(), _uid(entry.name)
    received = datetime.fromtimestamp(stat.st_mtime, UTC)
    return Held(entry.name, uid, stat.st_size, received, frozenset(flags.get(str(uid), ())))


def _uid(unique_id: str) -> int:
    return int(unique_id.partition(".")[0])
