"""A small world to break things in: a server with letters, a local mailbox, a user who takes letters away, and an oracle.

The oracle knows every letter and counts copies: in the local mailbox, taken by the user, left on the server. Nothing else is
evidence.
"""

import os
import re
import ssl
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import Any, Protocol

from tests.faults.engine import Act, Ended, Engine, Stop
from tests.servers.imap import Folder, ImapServer
from tests.servers.maildrop import ARRIVED, Maildrop, StoredLetter
from tests.servers.pop3 import PASSWORD, Behaviour, Mailbox, Pop3Server

DOMAIN = "mydomain.ru"
DEADLINES = {"connect": 10.0, "idle": 5.0, "session": 60.0}
"""Of connections, in seconds: shorter than the usual ones, long enough for a busy machine."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many letters were sent, and what became of them. `left` are on the server, whether collected or not."""

    letters: int = 0
    collected: int = 0
    left: int = 0
    lost: int = 0
    twice: int = 0
    corrupt: int = 0
    misdated: int = 0
    """Their files have another time than that of their arrival on the server."""

    def __add__(self, other: "Tally") -> "Tally":
        mine, theirs = self.as_tuple(), other.as_tuple()
        return Tally(*(one + two for one, two in zip(mine, theirs, strict=True)))

    def as_tuple(self) -> tuple[int, ...]:
        """The counters in their order."""
        return (self.letters, self.collected, self.left, self.lost, self.twice, self.corrupt, self.misdated)

    @property
    def sound(self) -> bool:
        """Nothing lost, nothing twice, nothing corrupt, nothing with a wrong time."""
        return not (self.lost or self.twice or self.corrupt or self.misdated)


class Oracle:
    """Knows every letter that was ever sent, by what a true copy of it looks like, and what may become of it besides."""

    def __init__(self) -> None:
        self._sent: Counter[bytes] = Counter()
        self._copies: Counter[bytes] = Counter()
        self._short: dict[bytes, bytes] = {}
        self._came_short: Counter[bytes] = Counter()
        self._wanted_again: Counter[bytes] = Counter()
        self._given_up: Counter[bytes] = Counter()
        self._corrupt = 0
        self._misdated = 0

    def sent(self, data: bytes) -> None:
        """A letter is on its way."""
        self._sent[_expected(data)] += 1

    def may_come_short(self, data: bytes, octets: int) -> None:
        """The server gives only so many octets of this letter, at times: that is a copy to keep beside the whole one."""
        for end in (b"", b"\r\n"):
            self._short[_expected(data[:octets] + end)] = _expected(data)

    def may_come_again(self, data: bytes) -> None:
        """The rule, or somebody, wants this letter once more."""
        self._wanted_again[_expected(data)] += 1

    def given_up(self, data: bytes) -> None:
        """People, or the rule, did away with this letter uncollected."""
        self._given_up[_expected(data)] += 1

    def found(self, data: bytes, *, right_time: bool = True) -> None:
        """A local copy."""
        self._misdated += not right_time
        digest = sha256(data).digest()
        if digest in self._sent:
            self._copies[digest] += 1
        elif digest in self._short:
            self._came_short[digest] += 1
        else:
            self._corrupt += 1

    def has_copy(self, data: bytes) -> bool:
        """Whether a copy of this letter was found."""
        return self._copies[_expected(data)] > 0

    def has_short_copy(self, data: bytes) -> bool:
        """Whether a copy of its beginning was found, such as may be."""
        return any(self._short[digest] == _expected(data) for digest in self._came_short)

    def tally(self, left: list[bytes]) -> Tally:
        """The count, with what the server still has."""
        there = Counter(map(_expected, left))
        once = Counter(dict.fromkeys(self._short, 1)) + Counter(
            {digest: self._wanted_again[whole] for digest, whole in self._short.items()}
        )
        return Tally(
            letters=self._sent.total(),
            collected=(self._sent & self._copies).total(),
            left=len(left),
            lost=(self._sent - self._copies - there - self._given_up).total(),
            twice=(self._copies - self._sent - self._wanted_again).total() + (self._came_short - once).total(),
            corrupt=self._corrupt,
            misdated=self._misdated,
        )


def _expected(data: bytes) -> bytes:
    """The digest of a true local copy: CRLF has become LF, and nothing else has changed."""
    return sha256(data.replace(b"\r\n", b"\n")).digest()


class Server(Protocol):
    """A remote server. How it behaves is said in its protocol's own words."""

    behaviour: Any
    port: int
    said: list[str]
    connections: int

    @property
    def open_connections(self) -> int:
        """How many are being served now."""
        ...


class Drop(Protocol):
    """The letters of one mailbox on it."""

    @property
    def letters(self) -> tuple[StoredLetter, ...]:
        """What is there now."""
        ...

    @property
    def uids(self) -> list[str]:
        """The unique-ids of what is there now."""
        ...

    def add(self, letter: bytes | StoredLetter) -> str:
        """A letter arrives; its unique-id."""
        ...

    def commit(self, gone: Collection[StoredLetter]) -> None:
        """Remove the letters in `gone` for good."""
        ...


@dataclass
class World:
    """One remote mailbox, one rule, one local mailbox. Made by `new_world`."""

    engine: Engine
    name: str
    random: Random
    server: Server
    maildrop: Drop
    rule: int
    oracle: Oracle = field(default_factory=Oracle)
    keep: bool = False
    told: datetime | None = None
    """When all letters arrived, if the server tells it; else their headers do."""
    change: str = ""
    """The variant of the engine that polls; the usual one if empty."""
    rest_change: str = ""
    """The same for the polls that bring it to rest."""
    deadlines: dict[str, float] = field(default_factory=lambda: dict(DEADLINES))
    reused_names: list[str] = field(default_factory=list)
    """Unique-ids that the next letters get although other letters had them once."""
    _serial: int = 0
    _sizes: set[int] = field(default_factory=set)

    @property
    def maildir(self) -> Path:
        """The local mailbox."""
        return self.engine.mail / DOMAIN / self.name

    def send(self, count: int = 1, octets: int = 0) -> list[str]:
        """So many letters arrive on the server; their unique-ids."""
        return [self._send(octets) for _ in range(count)]

    def _send(self, octets: int) -> str:
        self._serial += 1
        data = make_letter(self.random, f"{self.name} {self._serial}", octets)
        while len(data) in self._sizes:
            data = data[:-2] + b"x\r\n"
        self._sizes.add(len(data))
        self.oracle.sent(data)
        # Letters are like no other in size too: one that got the name of another of its size could be told by nobody.
        if self.reused_names:
            return self.maildrop.add(StoredLetter(self.reused_names.pop(), data))
        return self.maildrop.add(data)

    def put(self, letter: StoredLetter) -> None:
        """A letter with a name of the test's choice arrives."""
        self.oracle.sent(letter.data)
        self.maildrop.add(letter)

    def begin_poll(
        self,
        *,
        alone: bool = False,
        change: str = "",
        stop: tuple[Stop, ...] = (),
        wait: bool = False,
        kill_after: float | None = None,
    ) -> Act:
        """Start `manage.py poll` for the rule. `alone`: whoever polls already loses his claim."""
        return self.engine.begin(
            "poll",
            change=change or self.change,
            stop=stop,
            wait=wait,
            kill_after=kill_after,
            rule=self.rule,
            deadlines=self.deadlines,
            alone=alone,
        )

    def poll(self, *, alone: bool = False, change: str = "", stop: tuple[Stop, ...] = ()) -> Ended:
        """A whole poll; its `result` is the JSON of the command, None if it died."""
        return self.begin_poll(alone=alone, change=change, stop=stop).wait()

    def poll_until_quiet(self, most: int = 8) -> dict[str, Any]:
        """Let the sound engine poll until a poll succeeds and does nothing; its row. What stood in the way is gone by now."""
        self.change = self.rest_change
        self.engine.do("outlive_leases", rule=self.rule)
        row: dict[str, Any] | None = None
        for _ in range(most):
            row = self.poll().result
            if row and row["error"] is None and not row["fetched"] + row["deleted"]:
                return row
        raise AssertionError(f"{self.name} does not come to rest: {row}\n{self.engine.log[-3000:]}")

    def somebody_deletes(self, share: float) -> list[str]:
        """Another program of the user's deletes letters on the server, but none that was not collected; their unique-ids."""
        self.count()
        letters = [letter for letter in self.maildrop.letters if self.oracle.has_copy(letter.data)]
        gone = [letter for letter in letters if self.random.random() < share]
        self.maildrop.commit(gone)
        return [letter.uid for letter in gone]

    def rename_all(self) -> None:
        """Every letter on the server gets another unique-id."""
        self.rename([f"{uid}-{self.random.getrandbits(32):x}" for uid in self.maildrop.uids])

    def rename(self, uids: Sequence[str]) -> None:
        """The letters on the server get these unique-ids, in their order."""
        letters = self.maildrop.letters
        self.maildrop.commit(letters)
        for uid, letter in zip(uids, letters, strict=True):
            self.maildrop.add(StoredLetter(uid, letter.data))

    def user_takes(self, share: float = 1.0) -> int:
        """The user takes letters out of new/ and keeps them elsewhere; how many."""
        taken = sum(self._take(path) for path in self._arrived() if self.random.random() < share)
        if taken:  # for good: what a power cut would give back would be counted twice
            new = os.open(self.maildir / "new", os.O_RDONLY)
            os.fsync(new)
            os.close(new)
        return taken

    @contextmanager
    def restless_user(self) -> Iterator[None]:
        """While the block lasts, the user moves every letter away as soon as he sees it."""
        leaving, lock = Event(), Lock()

        def moves() -> None:
            while not leaving.wait(0.005):
                with lock:
                    self.user_takes()

        thread = Thread(target=moves, name=f"user of {self.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            leaving.set()
            thread.join()

    def count(self) -> Tally:
        """What became of every letter so far. Local copies are taken along, so that each is counted once."""
        self.user_takes()
        return self.oracle.tally([letter.data for letter in self.maildrop.letters])

    def staged(self) -> list[str]:
        """Files of ours that wait beside the mailbox."""
        waiting = self.maildir / "tmp" / "utm-mail"
        return (
            [path.name for path in waiting.iterdir() if path.name not in {"marker", "seal"}] if waiting.is_dir() else []
        )

    def _arrived(self) -> list[Path]:
        new = self.maildir / "new"
        return list(new.iterdir()) if new.is_dir() else []

    def _take(self, path: Path) -> bool:
        octets = path.read_bytes()
        arrived = self.told or read_time(octets)
        self.oracle.found(octets, right_time=path.stat().st_mtime == arrived.timestamp())
        path.unlink()
        return True


@dataclass(frozen=True, slots=True)
class FolderDrop:
    """An IMAP folder as a Drop."""

    folder: Folder

    @property
    def letters(self) -> tuple[StoredLetter, ...]:
        """As Drop."""
        return tuple(StoredLetter(str(one.uid), one.data) for one in self.folder.letters)

    @property
    def uids(self) -> list[str]:
        """As Drop."""
        return [letter.uid for letter in self.letters]

    def add(self, letter: bytes | StoredLetter) -> str:
        """As Drop; no letter has a name of its own choice."""
        return str(self.folder.add(letter.data if isinstance(letter, StoredLetter) else letter))

    def commit(self, gone: Collection[StoredLetter]) -> None:
        """As Drop."""
        for letter in gone:
            self.folder.flag(int(letter.uid), "\\Deleted")
        self.folder.expunge(int(letter.uid) for letter in gone)


@contextmanager
def new_world(
    engine: Engine,
    name: str,
    seed: int,
    behaviour: Behaviour | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    implicit: bool = False,
    folder: Folder | None = None,
    **columns: Any,
) -> Iterator[World]:
    """A world of its own in `engine`; `name` is lower case, `columns` are the rule's. `folder`: it is one of an IMAP server."""
    maildrop: Drop
    server: Server
    with ExitStack() as stack:
        if folder is not None:
            maildrop = FolderDrop(folder)
            server = stack.enter_context(ImapServer(folder, user=name))
            columns = {"protocol": "imap", **columns}
        else:
            maildrop = pop3 = Maildrop()
            server = stack.enter_context(
                Pop3Server({name: Mailbox(PASSWORD, pop3)}, behaviour, tls=tls, implicit=implicit)
            )
        place = {"server": "localhost", "port": server.port, "user": name, "recipient": f"{name}@{DOMAIN}"}
        rule = engine.do("make_rule", **{**place, **columns})
        keep = bool(columns.get("keep"))
        told = None if folder is None else ARRIVED
        yield World(engine, name, Random(f"{seed}/{name}"), server, maildrop, rule, keep=keep, told=told)


FIRST = datetime(2015, 1, 1, tzinfo=UTC)


def read_time(letter: bytes) -> datetime:
    """When a letter of `make_letter` arrived; some other time for any other letter."""
    found = re.match(rb"Received: [^\n]*\n\t[^\n]*; ([^\r\n]*)", letter)
    return parsedate_to_datetime(found[1].decode()) if found else FIRST


def make_letter(random: Random, name: str, octets: int = 0) -> bytes:
    """A letter like no other, full of what is hard to carry: dots, bare line ends, octets of all kinds, lines without end.

    It arrived within ten years.
    """
    arrived = FIRST + timedelta(seconds=random.randrange(10 * 365 * 24 * 3600))
    head = (
        f"Received: from a.example (HELO;a)\r\n\tby b.example id 1; {format_datetime(arrived)}\r\n"
        f"From: Sender <sender@example.org>\r\nTo: petrov@example.org\r\nSubject: {name}\r\n"
        f"Message-ID: <{re.sub('[^a-z0-9]', '.', name)}.{random.getrandbits(64):x}@example.org>\r\n\r\n"
    ).encode()
    wanted = octets or random.choice((0, 200, 700, 3000))
    body = bytearray()
    while len(body) < wanted:
        body += random.choice(_PIECES) * random.randint(1, 3) + random.randbytes(random.randint(0, 40))
        body += b"\r\n" if random.random() < 0.7 else b""
    return head + bytes(body) + b"\r\n"


_PIECES = (
    b".",
    b"..",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r",
    b"\n",
    b"\0",
    b"From ",
    b"+OK\r\n",
    b"text " * 20,
    b"x" * 500,
)
