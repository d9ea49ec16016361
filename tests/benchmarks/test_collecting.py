"""One mailbox of 1,000 letters of 5 KB, collected and emptied by each collector over three networks. `make bench` prints the table.

The times are told, never judged: machines differ, and so do their moods. What is judged is that every
letter of ours arrived; how many of a peer's did is told beside its time.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import pytest

from tests.benchmarks.collectors import LIMIT_SECONDS, Job, Product, fetchmail, getmail, mpop
from tests.benchmarks.delay import distant
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installed import program

pytestmark = pytest.mark.benchmark

LETTERS = 1000
BODY = b"0123456789abcdef" * 4 + b"\r\n"
ROUND_TRIPS = (0, 20, 100)
PEERS: dict[str, tuple[Callable[[Job], list[str]], str]] = {
    "mpop": (mpop, "mpop"),
    "getmail": (getmail, "getmail6"),
    "fetchmail": (fetchmail, "fetchmail"),
}


def letters() -> Iterator[bytes]:
    for number in range(LETTERS):
        yield (
            f"From: a@example.org\r\nSubject: {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n".encode()
            + BODY * 76
        )


@pytest.fixture
def product(tmp_path: Path) -> Product:
    return Product(tmp_path / "product")


@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_it_collects_a_mailbox(
    dovecot: Dovecot, product: Product, tmp_path: Path, round_trip: int, protocol: str
) -> None:
    port = dovecot.pop3 if protocol == "pop3" else dovecot.imap
    rows: list[tuple[str, float]] = []
    with distant(port, round_trip, tmp_path) as near:
        user = f"ours{protocol}{round_trip}"
        dovecot.put(user, letters())
        product.add([f"127.0.0.1:{protocol} {user} {PASSWORD} {user}@mydomain.ru port {near} plaintext"])
        before = perf_counter()
        (row,) = product.poll()
        rows.append(("this product, command", perf_counter() - before))
        rows.append(("this product, engine", float(str(row["seconds"]))))
        assert len(list((product.mail / "mydomain.ru" / user / "new").iterdir())) == LETTERS
        for name, (command_of, package) in PEERS.items():
            if protocol == "imap" and name == "mpop":
                continue
            program(name, package)
            user = f"{name}{protocol}{round_trip}"
            dovecot.put(user, letters())
            job = Job(
                user, near, dovecot.mail / user / "copy", f"{user}@local.example", dovecot.lmtp, dovecot.mail, protocol
            )
            before = perf_counter()
            try:
                subprocess.run(command_of(job), check=False, capture_output=True, timeout=LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                name += ", given up"
            seconds = perf_counter() - before
            place = dovecot.maildir(job.recipient) if command_of is fetchmail else job.maildir
            arrived = len(list((place / "new").iterdir()))
            rows.append((name if arrived == LETTERS else f"{name}, {arrived} letters", seconds))
    print(f"\n{LETTERS} letters, {protocol.upper()}, round trip {round_trip} ms")
    for name, seconds in rows:
        print(f"  {name:24}{seconds:9.2f} s{seconds / rows[1][1]:9.1f} ×")
