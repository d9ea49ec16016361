"""The stream against peers that stall, drip, flood and hang up."""

import os
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network
from itertools import pairwise
from threading import Event, Timer
from time import monotonic

import pytest

from fetchrules.errors import (
    CertificateRejected,
    ConnectFailed,
    ConnectionLost,
    Exhausted,
    FetchError,
    HostNotFound,
    RunOvertaken,
    TargetForbidden,
    TimedOut,
    TlsFailed,
)
from fetchrules.remote import connecting
from fetchrules.remote.account import Deadlines, TargetPolicy
from fetchrules.remote.authorities import verifying
from fetchrules.remote.connecting import connect
from fetchrules.remote.memory import ServerMemory
from fetchrules.remote.net import Alive, Stream
from fetchrules.remote.resolver import Endpoint
from tests.certificates import Certificates
from tests.servers.loopback import Hangup, LoopbackServer, Peer

PATIENT = Deadlines(connect=10, idle=10, session=30, slowest=1)
ANYWHERE = TargetPolicy()


@contextmanager
def connected(serve: object, deadlines: Deadlines = PATIENT, alive: Alive | None = None) -> Iterator[Stream]:
    """A stream to a server that does `serve` with it."""
    assert callable(serve)
    with LoopbackServer(serve) as server:
        stream = connect(server.address, server.port, deadlines, ANYWHERE, alive)
        try:
            yield stream
        finally:
            stream.close()


def read(stream: Stream, octets: int) -> bytes:
    """The next `octets`; of many, the last million is enough."""
    data, count = b"", 0
    while count < octets:
        block = stream.read()
        count += len(block)
        data = (data + block)[-1_000_000:]
    return data


def test_it_reads_and_writes() -> None:
    def echo(peer: Peer) -> None:
        while True:
            peer.send(peer.read_line() + b"\n")

    with connected(echo) as stream:
        stream.write(b"one\ntwo\n")
        assert read(stream, 8) == b"one\ntwo\n"
        assert stream.address == "127.0.0.1"


@pytest.mark.parametrize("tls", [False, True])
def test_it_cannot_be_dead_locked_by_a_peer_that_writes_before_it_reads(tls: bool, certificates: Certificates) -> None:
    """Each side sends far more than all buffers between them hold, and the peer reads only when it has sent."""
    size = 16 * 1024 * 1024

    def stubborn(peer: Peer) -> None:
        if tls:
            peer.start_tls(certificates.good.context())
        peer.send(b"x" * size)
        assert peer.read(size) == b"y" * size
        peer.send(b"done")

    with connected(stubborn) as stream:
        if tls:
            stream.start_tls(trusting(certificates), "localhost")
        stream.write(b"y" * size)
        assert read(stream, size + 4).endswith(b"done")


def test_it_says_so_when_the_peer_hangs_up() -> None:
    with connected(lambda peer: peer.send(b"bye")) as stream:
        assert read(stream, 3) == b"bye"
        with pytest.raises(ConnectionLost):
            stream.read()


def test_it_hears_what_a_peer_said_before_it_hung_up_on_us() -> None:
    gone = Event()

    def rude(peer: Peer) -> None:
        peer.send(b"-ERR go away\r\n")
        peer.close()
        gone.set()

    with connected(rude) as stream:
        assert gone.wait(10)
        for _ in range(3):  # the first makes the kernel learn of it, the others are refused
            stream.write(b"USER petrov\r\n" * 1000)
        assert read(stream, 14) == b"-ERR go away\r\n"
        with pytest.raises(ConnectionLost):
            stream.read()


def test_it_notices_a_reset() -> None:
    def resetting(peer: Peer) -> None:
        peer.read(1)
        peer.reset()

    with connected(resetting) as stream:
        stream.write(b"x")
        with pytest.raises(ConnectionLost):
            stream.read()


def silent(peer: Peer) -> None:
    peer.stall()


def within(seconds: float, began: float) -> None:
    assert monotonic() - began < seconds


def test_it_gives_up_on_silence() -> None:
    began = monotonic()
    with (
        connected(silent, Deadlines(connect=10, idle=0.1, session=10)) as stream,
        pytest.raises(TimedOut, match="no answer"),
    ):
        stream.read()
    within(5, began)


def test_it_gives_up_on_a_long_session_of_short_silences() -> None:
    def slow(peer: Peer) -> None:
        peer.drip(b"x" * 1000, 0.02)

    began = monotonic()
    hurried = Deadlines(connect=10, idle=5, session=0.2, slowest=1)
    with connected(slow, hurried) as stream, pytest.raises(TimedOut, match="the session"):
        read(stream, 1000)
    within(5, began)


def test_it_gives_up_on_a_session_that_never_pauses() -> None:
    def flooding(peer: Peer) -> None:
        while True:
            peer.send(b"x" * 100_000)

    hurried = Deadlines(connect=10, idle=5, session=0.2)
    with connected(flooding, hurried) as stream, pytest.raises(TimedOut, match="the session"):
        read(stream, 10**12)


def test_it_gives_up_on_a_reply_that_drips() -> None:
    def dripping(peer: Peer) -> None:
        peer.drip(b"x" * 10_000, 0.01)

    began = monotonic()
    hurried = Deadlines(connect=10, idle=0.2, session=20, slowest=1000)
    with connected(dripping, hurried) as stream, pytest.raises(TimedOut, match="octets a second"):
        read(stream, 10_000)
    within(5, began)


def test_it_lets_a_slow_reply_go_on_that_is_fast_enough() -> None:
    def dripping(peer: Peer) -> None:
        peer.drip(b"x" * 40, 0.01)

    with connected(dripping, Deadlines(connect=10, idle=0.1, session=20, slowest=1)) as stream:
        assert read(stream, 40) == b"x" * 40


def test_it_measures_each_reply_on_its_own() -> None:
    def thinking(peer: Peer) -> None:
        peer.drip(b"x" * 100, 0.01)

    with connected(thinking, Deadlines(connect=10, idle=0.7, session=20, slowest=1000)) as stream:
        for _ in range(95):
            read(stream, 1)
            stream.reply_ended()


def test_it_waits_longer_where_it_was_told_to() -> None:
    def thinking(peer: Peer) -> None:
        peer.stopping.wait(0.4)
        peer.send(b"done")
        peer.stall()

    with connected(thinking, Deadlines(connect=10, idle=0.1, session=20)) as stream:
        with stream.patience(10):
            assert read(stream, 4) == b"done"
        with pytest.raises(TimedOut, match=r"no answer in 0\.1 s"):
            stream.read()


def test_it_says_what_it_waited_for_and_how_long() -> None:
    with connected(silent, Deadlines(connect=10, idle=10, session=20)) as stream:
        with stream.patience(0.1, "UIDL"), pytest.raises(TimedOut) as caught:
            stream.read()
        assert caught.value.detail == "no answer to UIDL in 0.1 s"


def thinking_midway(peer: Peer) -> None:
    peer.send(b"+OK\r\n")
    peer.stopping.wait(0.4)
    peer.send(b"1 uid\r\n.\r\n")


def test_it_lets_a_reply_think_behind_its_beginning_as_long_as_before_it() -> None:
    with (
        connected(thinking_midway, Deadlines(connect=10, idle=0.1, session=20, slowest=1000)) as stream,
        stream.patience(10),
    ):
        assert read(stream, 15) == b"+OK\r\n1 uid\r\n.\r\n"


def test_it_lets_no_reply_think_longer_than_a_silence_may_last() -> None:
    with (
        connected(thinking_midway, Deadlines(connect=10, idle=0.1, session=20, slowest=1000)) as stream,
        pytest.raises(TimedOut, match="no answer"),
    ):
        read(stream, 15)


def test_it_says_that_it_is_alive_while_a_peer_is_silent() -> None:
    told, often_enough = [], Event()

    def alive() -> None:
        told.append(monotonic())
        if len(told) == 3:
            often_enough.set()

    def thinking(peer: Peer) -> None:
        assert often_enough.wait(10)
        peer.send(b"done")

    with connected(thinking, replace(PATIENT, alive=0.05), alive=alive) as stream:
        assert read(stream, 4) == b"done"
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(told))


def test_it_says_that_it_is_alive_while_a_peer_drips() -> None:
    """No silence is as long as the time between two signs of life."""
    told: list[None] = []

    def dripping(peer: Peer) -> None:
        while not told:
            peer.drip(b"x", 0.01)
        peer.send(b"done")

    with connected(dripping, replace(PATIENT, alive=0.1), alive=lambda: told.append(None)) as stream:
        data = b""
        while not data.endswith(b"done"):
            data += stream.read()
    assert told


def test_it_says_nothing_where_nobody_has_to_wait() -> None:
    def alive() -> None:
        raise AssertionError

    with connected(lambda peer: peer.send(b"x" * 1000), alive=alive) as stream:
        read(stream, 1000)


def test_it_times_out_where_it_said_that_it_is_alive() -> None:
    told: list[None] = []
    hurried = Deadlines(connect=10, idle=0.2, session=10, alive=0.05)
    with (
        connected(silent, hurried, alive=lambda: told.append(None)) as stream,
        pytest.raises(TimedOut, match="no answer"),
    ):
        stream.read()
    assert told


def test_it_ends_a_wait_that_has_become_useless() -> None:

    def overtaken() -> None:
        raise RunOvertaken

    with connected(silent, replace(PATIENT, alive=0.05), alive=overtaken) as stream, pytest.raises(RunOvertaken):
        stream.read()


def test_it_waits_as_long_as_the_peer_still_takes_what_we_say() -> None:
    """Not an octet comes for longer than a silence may last, but ours are still going out."""
    rounds, part = 40, 1024 * 1024

    def taking(peer: Peer) -> None:
        for _ in range(rounds):
            peer.read(part)
            peer.stopping.wait(0.02)
        peer.send(b"done")

    with connected(taking, Deadlines(connect=10, idle=0.5, session=20)) as stream:
        stream.write(b"y" * (rounds * part))
        assert read(stream, 4) == b"done"


def test_it_is_no_longer_there_when_closed() -> None:
    with connected(silent) as stream:
        stream.close()
        stream.close()
        with pytest.raises(FetchError):
            stream.read()


# Connecting


def test_it_says_that_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed):
        connect("127.0.0.1", port, PATIENT, ANYWHERE)


def test_it_says_that_there_is_no_way_to_an_address() -> None:
    with pytest.raises(ConnectFailed):
        connect("255.255.255.255", 110, PATIENT, ANYWHERE)


def test_it_blames_no_server_where_this_machine_has_no_descriptors_left() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(Exhausted):
            connect("127.0.0.1", 110, PATIENT, ANYWHERE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_takes_no_server_for_dead_when_there_are_no_ports_left() -> None:
    """To one address and port no two connections go from the same port: here both have no choice."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as first, socket.socket() as second:
        endpoint = Endpoint(socket.AF_INET, "127.0.0.1", listener.getsockname())
        for sock in (first, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        connecting._dial(first, endpoint)
        with pytest.raises(Exhausted):
            connecting._dial(second, endpoint)


def test_it_gives_up_connecting() -> None:
    with deaf_address() as (address, port), pytest.raises(TimedOut, match="connecting"):
        connect(address, port, Deadlines(connect=0.2), ANYWHERE)


def test_it_tries_each_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(lambda peer: peer.send(b"here")) as server:
        with socket.create_server(("127.0.0.2", 0)) as listener:
            deaf = listener.getsockname()[1]
        addresses = (("127.0.0.2", deaf), ("127.0.0.1", server.port))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        stream = connect("mailserver.ru", server.port, PATIENT, ANYWHERE)
        assert stream.read() == b"here"
        stream.close()


@contextmanager
def deaf_address() -> Iterator[tuple[str, int]]:
    """A listener whose backlog is full: the kernel answers no further SYN."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            yield address
        finally:
            for filler in fillers:
                filler.close()


def test_a_dead_address_costs_a_quarter_of_a_second_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with deaf_address() as deaf, LoopbackServer(lambda peer: peer.send(b"here")) as server:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (deaf, ("127.0.0.1", server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        memory = ServerMemory()
        seconds = []
        for _ in range(2):
            began = monotonic()
            connect("mailserver.ru", server.port, PATIENT, ANYWHERE, memory=memory).close()
            seconds.append(monotonic() - began)
    assert connecting.HEAD_START <= seconds[0] < 5
    assert seconds[1] < connecting.HEAD_START


def test_it_takes_the_families_in_turn_and_the_winner_first() -> None:
    six, four = (
        [Endpoint(family, f"{name}{number}", ("", 0)) for number in (1, 2)]
        for family, name in ((socket.AF_INET6, "six"), (socket.AF_INET, "four"))
    )
    assert connecting.in_order([*six, *four], None) == [six[0], four[0], six[1], four[1]]
    assert connecting.in_order([*six, *four], "four2") == [four[1], six[0], four[0], six[1]]
    assert connecting.in_order(four, "gone") == four
    assert connecting.in_order([], None) == []


def test_it_goes_on_where_the_kernel_does_not_know_a_kind_of_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(lambda peer: peer.send(b"here")) as server:
        found = [(family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)) for family in (999, socket.AF_INET)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        stream = connect("mailserver.ru", server.port, PATIENT, ANYWHERE)
        assert stream.read() == b"here"
        stream.close()


def test_it_says_that_a_name_is_unknown() -> None:
    with pytest.raises(HostNotFound):
        connect("no-such-host.invalid", 110, PATIENT, ANYWHERE)


def test_it_says_that_a_name_has_not_a_single_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(ConnectFailed):
        connect("mailserver.ru", 110, PATIENT, ANYWHERE)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "::1", "::ffff:127.0.0.1"]
)
def test_it_does_not_connect_where_it_may_not(host: str) -> None:
    def serve(peer: Peer) -> None:
        raise AssertionError

    with LoopbackServer(serve) as server:
        policy = TargetPolicy(public_only=True, ports=frozenset({server.port}))
        with pytest.raises((TargetForbidden, HostNotFound)):
            connect(host, server.port, PATIENT, policy)
        assert server.connections == 0


def test_it_does_not_connect_to_a_name_with_one_private_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 995)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(TargetForbidden, match=r"10\.0\.0\.1"):
        connect("rebinding.example", 995, PATIENT, TargetPolicy(public_only=True, ports=frozenset({995})))


def test_it_connects_where_the_administrator_allowed_it() -> None:
    with LoopbackServer(lambda peer: peer.send(b"here")) as server:
        policy = TargetPolicy(True, frozenset({server.port}), (ip_network("127.0.0.0/8"),))
        stream = connect("127.0.0.1", server.port, PATIENT, policy)
        assert stream.read() == b"here"
        stream.close()


# TLS


def trusting(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificates.cafile)
    return context


def test_it_shakes_hands(certificates: Certificates) -> None:
    def serve(peer: Peer) -> None:
        peer.start_tls(certificates.good.context())
        peer.send(b"secret")

    with connected(serve) as stream:
        version, certificate = stream.start_tls(trusting(certificates), "localhost")
        assert version == "TLSv1.3"
        assert certificate
        assert read(stream, 6) == b"secret"


def test_it_says_what_is_left_to_say_before_it_shakes_hands(certificates: Certificates) -> None:
    heard, begins_to_read = [], Event()

    def serve(peer: Peer) -> None:
        assert begins_to_read.wait(60)
        heard.append(peer.read(16_000_000))
        peer.start_tls(certificates.good.context())
        peer.send(b"secret")

    with connected(serve) as stream:
        stream.write(b"x" * 16_000_000)
        Timer(0.2, begins_to_read.set).start()  # by then there is no room left on the line
        stream.start_tls(trusting(certificates), "localhost")
        assert read(stream, 6) == b"secret"
    assert heard == [b"x" * 16_000_000]


def test_it_refuses_a_certificate_that_does_not_verify(certificates: Certificates) -> None:
    expired = certificates.expired.context()
    with connected(lambda peer: peer.start_tls(expired)) as stream, pytest.raises(CertificateRejected, match="expired"):
        stream.start_tls(trusting(certificates), "localhost")


def test_it_refuses_what_is_no_tls(certificates: Certificates) -> None:
    with connected(lambda peer: peer.send(b"+OK this is POP3\r\n" * 10)) as stream, pytest.raises(TlsFailed):
        stream.start_tls(trusting(certificates), "localhost")


def test_it_refuses_tls_older_than_1_2(certificates: Certificates) -> None:
    old = certificates.good.context()
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with connected(lambda peer: peer.start_tls(old)) as stream, pytest.raises(TlsFailed):
        stream.start_tls(verifying(str(certificates.cafile)), "localhost")


@pytest.mark.parametrize("octets", [0, 50])
def test_it_says_so_when_the_peer_hangs_up_while_shaking_hands(octets: int, certificates: Certificates) -> None:
    def serve(peer: Peer) -> None:
        peer.read(octets)
        raise Hangup

    with connected(serve) as stream, pytest.raises(ConnectionLost):
        stream.start_tls(trusting(certificates), "localhost")


def test_it_gives_up_shaking_hands(certificates: Certificates) -> None:
    began = monotonic()
    with connected(silent, Deadlines(connect=0.2, idle=10, session=10)) as stream, pytest.raises(TimedOut):
        stream.start_tls(trusting(certificates), "localhost")
    within(5, began)


def test_it_gives_a_handshake_in_mid_session_its_own_time(certificates: Certificates) -> None:
    def serve(peer: Peer) -> None:
        peer.stopping.wait(0.4)
        peer.send(b"go on")
        peer.start_tls(certificates.good.context())

    with connected(serve, Deadlines(connect=0.3, idle=10, session=10)) as stream:
        assert read(stream, 5) == b"go on"
        assert stream.start_tls(trusting(certificates), "localhost")[0]


def test_it_says_so_when_tls_breaks(certificates: Certificates) -> None:
    def serve(peer: Peer) -> None:
        peer.start_tls(certificates.good.context())
        peer.send_in_the_clear(b"these are no TLS records" * 100)

    with connected(serve) as stream:
        stream.start_tls(trusting(certificates), "localhost")
        with pytest.raises(TlsFailed):
            read(stream, 10)
