"""The end of the process in the middle of a wait: what is silent ends at once, what flows comes to its end, up to a time."""

from collections.abc import Callable, Iterator
from itertools import count
from threading import Timer

import pytest

from fetchrules.errors import Interrupted
from fetchrules.remote import net, stopping
from fetchrules.remote.account import Deadlines, TargetPolicy
from fetchrules.remote.authorities import verifying
from fetchrules.remote.connecting import connect
from fetchrules.remote.net import Stream
from fetchrules.remote.stopping import STOPPING
from tests.servers.loopback import LoopbackServer, Peer

PATIENT = Deadlines(connect=30, idle=300, session=600)


@pytest.fixture(autouse=True)
def goes_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests' own process ends no wait that comes later."""
    monkeypatch.setattr(net, "SILENCE_SECONDS", 0.5)
    yield
    STOPPING.clear()


@pytest.fixture
def dial() -> Iterator[Callable[[Callable[[Peer], None]], Stream]]:
    """Connect to a server that does so."""
    servers: list[LoopbackServer] = []

    def connected(serve: Callable[[Peer], None]) -> Stream:
        servers.append(LoopbackServer(serve).__enter__())
        return connect("127.0.0.1", servers[-1].port, PATIENT, TargetPolicy())

    yield connected
    for server in servers:
        server.__exit__(None, None, None)


Dial = Callable[[Callable[[Peer], None]], Stream]


def test_it_ends_the_wait_for_a_silent_server(dial: Dial) -> None:
    stream = dial(Peer.stall)
    Timer(0.1, STOPPING.set).start()
    with pytest.raises(Interrupted):
        stream.read()
    with pytest.raises(Interrupted):
        stream.read()
    stream.close()


def test_it_waits_for_what_still_flows(dial: Dial) -> None:
    """For longer than one silence may last."""

    def talking(peer: Peer) -> None:
        peer.read(1)
        for _ in range(10):
            peer.stopping.wait(0.1)
            peer.send(b"x")

    stream = dial(talking)
    STOPPING.set()
    stream.write(b"?")
    received = b""
    while len(received) < 10:
        received += stream.read()
    stream.close()


def test_it_ends_the_longest_answer_some_time(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "GRACE_SECONDS", 0.3)

    def endless(peer: Peer) -> None:
        while True:
            peer.send(b"x" * 1000)

    stream = dial(endless)
    STOPPING.set()
    with pytest.raises(Interrupted):
        any(not stream.read() for _ in count())
    stream.close()


def test_it_ends_a_handshake(dial: Dial) -> None:
    stream = dial(Peer.stall)
    Timer(0.1, STOPPING.set).start()
    with pytest.raises(Interrupted):
        stream.start_tls(verifying(), "localhost")
    stream.close()


def test_it_makes_no_connection_any_more(dial: Dial) -> None:
    STOPPING.set()
    with pytest.raises(Interrupted):
        dial(Peer.stall)
