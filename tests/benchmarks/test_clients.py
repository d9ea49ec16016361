"""What the clients' inner parts take: taking letters from the wire, and long listings."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import pytest

from fetchrules.demo.pop3 import stuffed
from fetchrules.remote.account import Account
from fetchrules.remote.pop3.protocol import Command, Pop3Protocol, Verb
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.rule import Encryption, Protocol
from tests.benchmarks.report import Row
from tests.interop.dovecot import PASSWORD
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import Behaviour, Fault, Pop3Server, Say, Step

pytestmark = pytest.mark.benchmark

MIB = 1024 * 1024
SECTION = "Inside the POP3 client"


@contextmanager
def timed(what: str) -> Iterator[None]:
    before = perf_counter()
    yield
    Row(SECTION, what).tell({"ours": perf_counter() - before})


def account(port: int, user: str) -> Account:
    return Account(Protocol.POP3, "127.0.0.1", port, user, PASSWORD, encryption=Encryption.PLAINTEXT)


@pytest.mark.parametrize(
    ("name", "line"), [("usual lines", b"x" * 76 + b"\r\n"), ("dots alone", b".\r\n"), ("one line", b"x" * 1024)]
)
def test_it_unstuffs(name: str, line: bytes) -> None:
    body = stuffed(line * (64 * MIB // len(line)))
    protocol = Pop3Protocol()
    list(protocol.receive(b"+OK\r\n"))
    protocol.send([Command(Verb.USER, "a")])
    list(protocol.receive(b"+OK\r\n"))
    protocol.send([Command(Verb.PASS, "a")])
    list(protocol.receive(b"+OK\r\n"))
    protocol.send([Command(Verb.RETR, "1")])
    blocks = [body[start : start + 65536] for start in range(0, len(body), 65536)]
    with timed(f"{len(body) // MIB} MiB of {name} through the machine"):
        list(protocol.receive(b"+OK\r\n"))
        for block in blocks:
            for _ in protocol.receive(block):
                pass
    assert protocol.unanswered == 0


def test_it_lists_a_hundred_thousand_letters() -> None:
    numbers = range(1, 100_001)
    uidl = b"+OK\r\n" + b"".join(b"%d %040d\r\n" % (number, number) for number in numbers) + b".\r\n"
    sizes = b"+OK\r\n" + b"".join(b"%d 5000\r\n" % number for number in numbers) + b".\r\n"
    said = {Step.STAT: b"+OK 100000 500000000\r\n", Step.UIDL: uidl, Step.LIST: sizes}
    behaviour = Behaviour(faults=tuple(Fault(step, Say(octets)) for step, octets in said.items()))
    with Pop3Server(Maildrop(), behaviour) as server:
        with timed("a listing of 100,000 letters"):
            mailbox = open_pop3(account(server.port, "petrov"))
        assert mailbox.listing().complete
        mailbox.close()
        tracemalloc.start()  # takes its own time, so this one is not timed
        open_pop3(account(server.port, "petrov")).close()
        Row(SECTION, "memory for that listing", "MB").tell({"ours": tracemalloc.get_traced_memory()[1] / MIB})
        tracemalloc.stop()
