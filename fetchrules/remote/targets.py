"""Which network addresses a rule may reach.

Pure: it is told what the resolver said and answers before anything connects.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from fetchrules.errors import TargetForbidden
from fetchrules.remote.account import TargetPolicy

_NAT64 = IPv6Network("64:ff9b::/96")
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
    # `is_global` alone lets multicast through, and the IPv6 space that nobody has been given ("reserved").
    return address.is_global and not address.is_multicast and not address.is_reserved
