"""Which remote mailbox to open and under what conditions: all that a protocol client is told."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import Encryption, Protocol


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. `connect` covers name, TCP and TLS; `idle` one silence; `session` all of it.

    `listing` is one silence while the server makes up a list of all letters, `idle` if that is more: large mailboxes take
    servers minutes, and fetchmail waits 300 seconds for anything. `slowest` is octets a second. `alive`: how often the caller is
    told that we wait.
    """

    connect: float = 20.0
    idle: float = 60.0
    session: float = 1800.0
    slowest: int = 256
    listing: float = 300.0
    alive: float = 2.0

    @property
    def for_a_list(self) -> float:
        """How long a server may be silent before it lists what there is."""
        return max(self.listing, self.idle)


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """Where a rule may connect to. The default (an administrator's rule) allows everything.

    With `public_only`, every resolved address has to be a public one (after unwrapping mapped, 6to4, NAT64 and
    Teredo forms) or in `allowed_networks`, and the port one of `ports`.
    """

    public_only: bool = False
    ports: frozenset[int] = frozenset()
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """A remote mailbox and how to reach it. `password` never appears in repr."""

    protocol: Protocol
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    encryption: Encryption = Encryption.AUTO
    verify: bool = True
    fingerprint: str = ""
    """SHA-256 of the pinned certificate, lower-case hex; replaces the chain's verification."""
    tls_seen: TlsLevel = TlsLevel.NONE
    """The best protection seen with this rule so far: never less than this again."""
    folder: str = ""
    deadlines: Deadlines = Deadlines()
    targets: TargetPolicy = TargetPolicy()
