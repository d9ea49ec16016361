"""Which network addresses a rule may reach.

Pure: it is told what the resolver said and answers before anything connects.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from fetchrules.errors import TargetForbidden
from fetchrules.remote.account import TargetPolicy

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out for use by everybody: what lies outside is internal, reserved or of another kind."""
_SPECIAL = tuple(
    ip_network(network)
    for network in (
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
    )
)
"""IANA's registries of special-purpose addresses (RFC 6890 and later), with multicast; nobody's mail server is there."""
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
    """Where a packet to `address` may end up: the addresses inside a mapped, 6to4, NAT64 or Teredo one, else itself."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64:
        return (IPv4Address(int(address) & _LAST_32_BITS),)
    return (address,)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    # A table of our own: what `is_global` says changes with the version of Python, and lacks several of these.
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _SPECIAL)
