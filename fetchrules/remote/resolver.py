"""Names to addresses, within a deadline, and which addresses a rule may reach."""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from fetchrules.errors import HostNotFound, Interrupted, TargetForbidden
from fetchrules.remote.account import TargetPolicy
from fetchrules.remote.stopping import STOPPING

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The only IPv6 range for public use; everything outside it is internal or reserved."""
_SPECIAL = tuple(
    ip_network(network)
    for network in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    ]
)
"""IANA's special-purpose addresses (RFC 6890 and later) and multicast; `is_global` varies with Python's version and lacks some."""
_LAST_32_BITS = 0xFFFF_FFFF


def check_port(port: int, policy: TargetPolicy) -> None:
    """Raise TargetForbidden unless `policy` lets a rule use `port`."""
    if policy.public_only and port not in policy.ports:
        raise TargetForbidden(f"port {port}")


def check_address(address: str, policy: TargetPolicy) -> None:
    """Raise TargetForbidden unless `policy` lets a rule connect to `address`, a numeric one as the resolver gave it."""
    if not policy.public_only:
        return
    outer = ip_address(address)
    for inner in embedded(outer):
        allowed = any(inner in network or outer in network for network in policy.allowed_networks)
        if not allowed and not _is_public(inner):
            raise TargetForbidden(address)


def embedded(address: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """The addresses inside a mapped, 6to4, NAT64 or Teredo address, where a packet may end up; else `address` itself."""
    if isinstance(address, IPv4Address):
        return (address,)
    if inner := address.ipv4_mapped or address.sixtofour:
        return (inner,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64:
        return (IPv4Address(int(address) & _LAST_32_BITS),)
    return (address,)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _SPECIAL)


_LOOK_SECONDS = 0.5
"""How often a wait for the resolver checks whether the process is to end."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address to try; `address` is the one in `sockaddr`."""

    family: int
    address: str
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def ascii_name(host: str) -> str:
    """`host` as DNS and TLS know it: an international name in its xn-- form, no dot at the end. Raises HostNotFound."""
    name = host.removesuffix(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise HostNotFound(f"not a host name: {host}") from error


def resolve(host: str, port: int, seconds: float) -> list[Endpoint]:
    """The addresses of `host`, in the order to try them.

    Raises HostNotFound, also when `seconds` pass without an answer, and Interrupted where the process ends meanwhile.
    """
    name = ascii_name(host)
    # The system's resolver has no deadline, so it runs in a thread that is abandoned after `seconds`.
    answers: SimpleQueue[list[Endpoint] | HostNotFound] = SimpleQueue()
    Thread(target=lambda: answers.put(_lookup(name, port)), name=f"resolve {name}", daemon=True).start()
    by = monotonic() + seconds
    while (left := by - monotonic()) > 0:
        try:
            found = answers.get(timeout=min(left, _LOOK_SECONDS))
        except Empty:
            if STOPPING.is_set():
                raise Interrupted("the process ends") from None
        else:
            if isinstance(found, HostNotFound):
                raise found
            return found
    raise HostNotFound("the resolver did not answer")


def _lookup(name: str, port: int) -> list[Endpoint] | HostNotFound:
    """Errors are returned, because they cross from one thread to another."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: a label too long, a NUL
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return HostNotFound(f"{name}: {reason}")
    return [Endpoint(family, str(sockaddr[0]), sockaddr) for family, _, _, _, sockaddr in found]
