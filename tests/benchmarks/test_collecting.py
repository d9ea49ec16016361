"""One mailbox of 1,000 letters of 5 KB, collected and emptied by each collector over three networks: a table for each protocol.

`make bench` prints them; `tests.benchmarks.scale` says how to measure less. The times are told, never judged: machines differ,
and so do their moods. What is judged is that every letter of ours arrived; a peer that did not bring them all, or not in time,
is told with the number of those that it brought.

All read the same letters from the same Dovecot, in plain text, and begin with a mailbox that it has not looked at before. Ours,
mpop and getmail write Maildirs; fetchmail hands over by LMTP, as UTM had it, and ours is measured so too.
"""

from collections.abc import Iterator
from pathlib import Path
from shutil import which
from time import perf_counter

import pytest

from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import Complete
from fetchrules.remote.protocols import open_mailbox
from fetchrules.remote.transcript import Transcript
from fetchrules.rule import Encryption, Protocol
from tests.benchmarks.collectors import PEERS, Job, Product, run
from tests.benchmarks.delay import distant
from tests.benchmarks.scale import LETTERS, LIMIT_SECONDS
from tests.benchmarks.table import Measured, Table
from tests.interop.dovecot import PASSWORD, Dovecot

pytestmark = pytest.mark.benchmark

BODY = b"0123456789abcdef" * 4 + b"\r\n"
ROUND_TRIPS = (0, 20, 100)


def letters() -> Iterator[bytes]:
    for number in range(LETTERS):
        yield (
            f"From: a@example.org\r\nSubject: {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n".encode()
            + BODY * 76
        )


class Race:
    """One protocol over one network: everybody starts from a mailbox of his own, full of the same letters."""

    def __init__(self, dovecot: Dovecot, protocol: Protocol, near: int) -> None:
        self.protocol = protocol
        self._dovecot = dovecot
        self._near = near

    def client(self) -> Measured:
        """Our client alone; the letters are thrown away, and stay."""
        user = self._mailbox("client")
        terms = Account(self.protocol, "127.0.0.1", self._near, user, PASSWORD, encryption=Encryption.PLAINTEXT)
        before = perf_counter()
        mailbox = open_mailbox(terms, Transcript())
        whole = sum(isinstance(event, Complete) for event in mailbox.retrieve(mailbox.listing().letters))
        assert mailbox.quit()
        assert whole == LETTERS
        return Measured(perf_counter() - before, whole, LETTERS)

    def product(self, name: str, product: Product) -> tuple[Measured, Measured]:
        """The whole engine, without and with the start of the command."""
        user = self._mailbox(name)
        line = f"127.0.0.1:{self.protocol} {user} {PASSWORD} {user}@mydomain.ru port {self._near} plaintext"
        product.add([line])
        before = perf_counter()
        (row,) = product.poll()
        seconds = perf_counter() - before
        assert row["fetched"] == row["deleted"] == LETTERS
        return Measured(float(str(row["seconds"])), LETTERS, LETTERS), Measured(seconds, LETTERS, LETTERS)

    def peer(self, name: str) -> Measured:
        """Another collector."""
        user, peer = self._mailbox(name), PEERS[name]
        local = f"{user}@local.example"
        job = Job(
            user, self._near, self._dovecot.mail / user / "copy", local, self._dovecot.lmtp, self._dovecot.mail,
            self.protocol,
        )  # fmt: skip
        seconds, _ = run(peer.command(job), LIMIT_SECONDS)
        new = (self._dovecot.maildir(local) if peer.by_lmtp else job.maildir) / "new"
        return Measured(seconds, len(list(new.iterdir())) if new.is_dir() else 0, LETTERS)

    def _mailbox(self, name: str) -> str:
        user = f"{name}{self.protocol}{self._near}"
        self._dovecot.put(user, letters())
        return user


@pytest.mark.parametrize("protocol", Protocol)
def test_it_collects_a_mailbox(dovecot: Dovecot, tmp_path: Path, protocol: Protocol) -> None:
    table = Table(f"{LETTERS} letters of 5 KB, {protocol.upper()}", [f"{one} ms" for one in ROUND_TRIPS])
    try:
        for round_trip in ROUND_TRIPS:
            with distant(getattr(dovecot, protocol), round_trip, tmp_path) as near:
                fill(table, f"{round_trip} ms", Race(dovecot, protocol, near), dovecot, tmp_path)
    finally:
        print(table)


def fill(table: Table, column: str, race: Race, dovecot: Dovecot, directory: Path) -> None:
    """Everybody in turn."""
    table.tell("this product, the client alone", column, race.client())
    for name, delivery in (("Maildir", ""), ("LMTP", f"lmtp://127.0.0.1:{dovecot.lmtp}")):
        product = Product(directory / f"product{name}{column.split()[0]}", delivery)
        engine, command = race.product(f"ours{name.lower()}", product)
        table.tell(f"this product, the engine → {name}", column, engine)
        table.tell(f"this product, the command → {name}", column, command)
    for name, peer in PEERS.items():
        if race.protocol in peer.protocols:
            told = race.peer(name) if which(name) else f"not installed (Debian: {peer.package})"
            table.tell(f"{peer.package} → {'LMTP' if peer.by_lmtp else 'Maildir'}", column, told)
