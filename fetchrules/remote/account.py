"""The account of a remote mailbox, with the conditions under which it is opened."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network

from fetchrules.remote.auth.ways import Way
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import Encryption, Protocol


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. `connect` covers name, TCP and TLS; `idle` one silence; `session` the whole session.

    `listing` is one silence before a list of all letters: large mailboxes take servers minutes, and fetchmail waits 300
    seconds for anything. `slowest` is in octets a second. `alive` is the interval at which the caller is told that we wait.
    """

    connect: float = 20.0
    idle: float = 60.0
    session: float = 1800.0
    slowest: int = 256
    listing: float = 300.0
    alive: float = 2.0

    def within(self, seconds: float) -> "Deadlines":
        """As fetchmail's `timeout`: so long for connecting, and for each silence."""
        return replace(self, connect=seconds, idle=seconds)

    @property
    def for_a_list(self) -> float:
        return max(self.listing, self.idle)


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """Where a rule may connect to; by default (an administrator's rule) anywhere.

    With `public_only`, every resolved address is public (after unwrapping mapped, 6to4, NAT64 and Teredo forms) or in
    `allowed_networks`, and the port is one of `ports`.
    """

    public_only: bool = False
    ports: frozenset[int] = frozenset()
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A server with or without TLS, for it may announce other capabilities under TLS."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Account:
    """`fingerprints` are the SHA-256 of pinned certificates in lower-case hex; they replace the verification of the chain.

    `tls_seen` is the best protection that this rule has had so far; it never gets less again. `host_is_strong`:
    its host has been seen with strong ciphers, so it gets no weaker ones. `way`: the only way to log in that
    the rule allows.
    """

    protocol: Protocol
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    encryption: Encryption = Encryption.AUTO
    verify: bool = True
    fingerprints: tuple[str, ...] = ()
    tls_seen: TlsLevel = TlsLevel.NONE
    host_is_strong: bool = False
    folder: str = ""
    way: Way | None = None
    deadlines: Deadlines = Deadlines()
    targets: TargetPolicy = TargetPolicy()
