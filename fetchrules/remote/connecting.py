"""Connecting to a host that may have several addresses, IPv6 and IPv4 side by side (RFC 8305).

An address that does not answer costs the next one HEAD_START, and the host's next connections nothing: the address that won is
tried first from then on.
"""

import math
import select
import socket
from collections import deque
from collections.abc import Sequence
from errno import EADDRNOTAVAIL, EINPROGRESS
from itertools import chain, zip_longest
from os import strerror
from time import monotonic

from fetchrules.errors import ConnectFailed, Exhausted, FetchError, Interrupted, TimedOut
from fetchrules.remote.account import Deadlines, TargetPolicy
from fetchrules.remote.memory import SERVERS, ServerMemory
from fetchrules.remote.net import EXHAUSTED, Alive, Stream, translated
from fetchrules.remote.resolver import Endpoint, check_address, check_port, resolve
from fetchrules.remote.stopping import STOPPING

HEAD_START = 0.25
"""Seconds that one address has before the next is tried too (RFC 8305 section 5)."""


def connect(
    host: str,
    port: int,
    deadlines: Deadlines,
    targets: TargetPolicy,
    alive: Alive | None = None,
    memory: ServerMemory = SERVERS,
) -> Stream:
    """Connect to the address of `host` that answers first, once all of them are allowed by `targets`.

    `alive` is called every few seconds while the stream waits; the stream raises what it raises. Raises TargetForbidden,
    HostNotFound, ConnectFailed, TimedOut or, where the process ends, Interrupted.
    """
    began = monotonic()
    endpoints = allowed_endpoints(host, port, targets, deadlines.connect)
    sock, winner = _race(in_order(endpoints, memory.addresses.recall(host)), began + deadlines.connect)
    memory.addresses.remember(host, winner.address)
    return Stream(sock, winner.address, deadlines, began, alive)


def allowed_endpoints(host: str, port: int, targets: TargetPolicy, seconds: float) -> list[Endpoint]:
    """The addresses of `host`. Raises TargetForbidden unless all of them are allowed, HostNotFound."""
    check_port(port, targets)
    endpoints = resolve(host, port, seconds)
    for endpoint in endpoints:
        check_address(endpoint.address, targets)
    return endpoints


def in_order(endpoints: Sequence[Endpoint], won_before: str | None) -> list[Endpoint]:
    """The winner of before first, then the families in turn, each in the resolver's order."""
    first = [one for one in endpoints if one.address == won_before]
    rest = [one for one in endpoints if one.address != won_before]
    family = rest[0].family if rest else None
    same, other = [one for one in rest if one.family == family], [one for one in rest if one.family != family]
    turns = chain.from_iterable(zip_longest(same, other))
    return [*first, *(one for one in turns if one is not None)]


def _race(endpoints: Sequence[Endpoint], by: float) -> tuple[socket.socket, Endpoint]:
    """The socket that is connected first. The others are closed."""
    waiting, begun = deque(endpoints), dict[int, tuple[socket.socket, Endpoint]]()
    poll = select.poll()
    poll.register(STOPPING, select.POLLIN)
    failure: FetchError = ConnectFailed("no address")
    next_at = monotonic()
    try:
        while waiting or begun:
            if waiting and (not begun or monotonic() >= next_at):
                endpoint, next_at = waiting.popleft(), monotonic() + HEAD_START
                try:
                    sock = _begin(endpoint)
                    begun[sock.fileno()] = sock, endpoint
                    poll.register(sock, select.POLLOUT)
                except ConnectFailed as error:
                    failure = error
                    continue
            until = min(by, next_at) if waiting else by
            ready = [descriptor for descriptor, _ in poll.poll(max(0, math.ceil((until - monotonic()) * 1000)))]
            if STOPPING.fileno() in ready:
                raise Interrupted("the process ends")
            for descriptor in ready:
                poll.unregister(descriptor)
                sock, endpoint = begun.pop(descriptor)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return sock, endpoint
                sock.close()
                failure, next_at = _failure(code, endpoint), monotonic()
            if monotonic() >= by:
                raise TimedOut("connecting")
        raise failure
    finally:
        for sock, _ in begun.values():
            sock.close()


def _begin(endpoint: Endpoint) -> socket.socket:
    with translated(ConnectFailed):  # a kernel without IPv6
        sock = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        _dial(sock, endpoint)
    except FetchError:
        sock.close()
        raise
    return sock


def _dial(sock: socket.socket, endpoint: Endpoint) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex(endpoint.sockaddr)
    if code not in (0, EINPROGRESS):
        raise _failure(code, endpoint)


def _failure(code: int, endpoint: Endpoint) -> FetchError:
    # Without IPv6 its addresses are not available either; that is no lack of ports.
    no_port_left = code == EADDRNOTAVAIL and endpoint.family == socket.AF_INET
    return (Exhausted if no_port_left or code in EXHAUSTED else ConnectFailed)(strerror(code))
