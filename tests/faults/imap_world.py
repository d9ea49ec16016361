"""A world to break things in, with an IMAP server in it, and a Maildir or a mail server that letters arrive at.

As in `world`, the oracle knows every letter and counts copies. A mail server may be handed a letter twice, for its reply can be
lost; those letters are to be marked in the ledger.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any, Protocol

from tests.faults.engine import Act, Engine
from tests.faults.world import DEADLINES, DOMAIN, Oracle, Tally, make_letter
from tests.servers.imap import Folder, ImapServer
from tests.servers.lmtp import MailSink, Taken
from tests.servers.maildrop import ARRIVED


class Arrivals(Protocol):
    """Where letters arrive."""

    def take(self) -> list[bytes]:
        """The letters that arrived since the last time, without what was put before them."""
        ...

    def carried(self, letter: bytes) -> bytes:
        """The octets of `letter` that are to be found there again; the oracle minds line ends."""
        ...


@dataclass(frozen=True, slots=True)
class MaildirArrivals:
    """The user takes letters out of a Maildir and keeps them elsewhere. Each lies where its marks want it."""

    maildir: Path

    def take(self) -> list[bytes]:
        """As Arrivals."""
        parts = [part for part in (self.maildir / "new", self.maildir / "cur") if part.is_dir()]
        return [self._take(path) for part in parts for path in part.iterdir()]

    def _take(self, path: Path) -> bytes:
        octets = path.read_bytes()
        assert path.stat().st_mtime == ARRIVED.timestamp()
        marks = _marks(octets)
        assert (path.parent.name, path.name.partition(":2,")[2]) == ("cur" if marks else "new", marks)
        path.unlink()
        return octets

    def carried(self, letter: bytes) -> bytes:
        """All of them."""
        return letter


_MARKS = {"F": "\\Flagged", "R": "\\Answered", "S": "\\Seen"}
_SAYS_MARKS = b"X-Marks: "
"""Begins a letter's first line, which names the marks that it has on the server."""


def _marks(letter: bytes) -> str:
    return letter.partition(b"\n")[0].removeprefix(_SAYS_MARKS).decode() if letter.startswith(_SAYS_MARKS) else ""


_TRACE = re.compile(rb"Received: by [^\n]*\n\t[^\n]*\nX-Collected-Id: [^\n]*\n")


@dataclass(slots=True)
class SinkArrivals:
    """What a mail server has taken for one recipient, whether it could say so or not."""

    sink: MailSink
    recipient: str
    _seen: int = 0

    def take(self) -> list[bytes]:
        """As Arrivals."""
        taken = self.sink.taken[self._seen :]
        self._seen += len(taken)
        return [self._without_trace(one) for one in taken if f"<{self.recipient}>" in one.rcpt]

    def _without_trace(self, taken: Taken) -> bytes:
        text = self.carried(taken.octets)
        trace = _TRACE.match(text)
        assert trace, text[:300]
        return text[trace.end() :]

    def carried(self, letter: bytes) -> bytes:
        """A mail server is given no CR without its LF: such a CR is left out, and which ones the line ends had is not seen."""
        return letter.replace(b"\r", b"")


@dataclass
class ImapWorld:
    """One folder on an IMAP server, one rule that empties it, one place where its letters arrive."""

    engine: Engine
    name: str
    random: Random
    folder: Folder
    rule: int
    arrivals: Arrivals
    marks: bool = False
    """Whether letters have marks on the server, which the rule takes along."""
    oracle: Oracle = field(default_factory=Oracle)
    _serial: int = 0

    def send(self, count: int) -> None:
        """So many letters arrive on the server."""
        for _ in range(count):
            self._serial += 1
            data = make_letter(self.random, f"{self.name} {self._serial}")
            marks = [mark for mark in _MARKS if self.marks and self.random.random() < 0.3]
            if marks:
                data = _SAYS_MARKS + "".join(marks).encode() + b"\r\n" + data
            self.oracle.sent(self.arrivals.carried(data))
            self.folder.add(data, *(_MARKS[mark] for mark in marks))

    def begin_poll(self, *, kill_after: float | None = None) -> Act:
        """Start `manage.py poll`; whoever polls already loses his claim."""
        return self.engine.begin("poll", kill_after=kill_after, rule=self.rule, deadlines=DEADLINES, alone=True)

    def come_to_rest(self, most: int = 8) -> None:
        """Poll undisturbed until nothing is left to do."""
        row: dict[str, Any] | None = None
        for _ in range(most):
            row = self.begin_poll().wait().result
            if row and row["error"] is None and not row["fetched"] + row["deleted"]:
                break
        else:
            raise AssertionError(f"{self.name} does not come to rest: {row}\n{self.engine.log[-3000:]}")
        tally = self.count()
        assert (tally.collected, tally.left, tally.lost) == (tally.letters, 0, 0), (tally, row)

    @contextmanager
    def restless_user(self) -> Iterator[None]:
        """While the block lasts, letters are taken away as soon as they are there."""
        leaving = Event()

        def takes() -> None:
            while not leaving.wait(0.001):
                self._look()

        thread = Thread(target=takes, name=f"user of {self.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            leaving.set()
            thread.join()

    def count(self) -> Tally:
        """What became of every letter so far."""
        self._look()
        return self.oracle.tally([self.arrivals.carried(letter.data) for letter in self.folder.letters])

    def _look(self) -> None:
        for copy in self.arrivals.take():
            self.oracle.found(copy)

    def marked(self) -> set[str]:
        """The subjects of the letters that the ledger calls possible doubles. Only on SQLite."""
        database = sqlite3.connect(self.engine.data / "utm_mail.sqlite3")
        try:
            query = "SELECT subject FROM fetchrules_letter WHERE maybe_twice AND subject LIKE ?"
            return {subject for (subject,) in database.execute(query, [f"{self.name} %"])}
        finally:
            database.close()


def doubles(sink: MailSink, recipient: str) -> Counter[str]:
    """By subject, how many copies too many of a letter the mail server has taken."""
    mine = (one.octets for one in sink.taken if f"<{recipient}>" in one.rcpt)
    found = (re.search(rb"^Subject: ([^\r\n]*)", octets, re.MULTILINE) for octets in mine)
    copies = Counter(subject[1].decode() for subject in found if subject)
    return Counter({subject: number - 1 for subject, number in copies.items() if number > 1})


@contextmanager
def new_imap_world(
    engine: Engine,
    name: str,
    seed: int,
    arrivals: Callable[[str], Arrivals] | None = None,
    *,
    marks: bool = False,
    **columns: Any,
) -> Iterator[ImapWorld]:
    """A world of its own in `engine`; `name` is lower case. `arrivals` finds where a recipient's letters arrive: his Maildir.

    `marks`: letters have marks on the server, which the rule takes along.
    """
    recipient = f"{name}@{DOMAIN}"
    here = arrivals(recipient) if arrivals else MaildirArrivals(engine.data / "mail" / DOMAIN / name)
    with ImapServer(folder := Folder(), user=name) as server:
        place = {"server": "127.0.0.1", "port": server.port, "protocol": "imap", "user": name, "recipient": recipient}
        rule = engine.do("make_rule", **{**place, "flags": marks, "uidl": marks, **columns})
        yield ImapWorld(engine, name, Random(f"{seed}/{name}"), folder, rule, here, marks)
