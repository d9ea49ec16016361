"""What a rule line can say: its fields, its option words and their bounds (fetchmail's names; SPEC of the rule line in docs/)."""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Protocol(StrEnum):
    """How the remote mailbox is read."""

    POP3 = "pop3"
    IMAP = "imap"


class Encryption(StrEnum):
    """What the rule asks of the connection."""

    AUTO = "auto"
    """No word given: port 110/143, STARTTLS whenever the server offers it."""
    SSL = "ssl"
    """TLS from the first octet, port 995/993."""
    STARTTLS = "starttls"
    """STARTTLS, demanded."""
    PLAINTEXT = "plaintext"
    """Neither, by the administrator's own word."""

    @property
    def with_check(self) -> "Encryption":
        """What a written `sslcertck` makes of it: without TLS there is no certificate to verify, so TLS is demanded."""
        return Encryption.STARTTLS if self is Encryption.AUTO else self


class Spelling(StrEnum):
    """Which of the two spellings a line has."""

    BLANKS = "blanks"
    BARS = "bars"


DEFAULT_PORTS: dict[tuple[Protocol, bool], int] = {
    (Protocol.POP3, False): 110,
    (Protocol.POP3, True): 995,
    (Protocol.IMAP, False): 143,
    (Protocol.IMAP, True): 993,
}
"""Port by (protocol, implicit TLS)."""

MASK = "********"
"""What stands for a password that is not shown; reading it back means "the stored one"."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: a remote mailbox, the local mailbox that its letters go to, and how.

    `server` is as written, an IPv6 address without its brackets. `limit` is in octets, `interval` in minutes, `timeout` in seconds,
    `keepdays` in days. `None` means "not given". `sslfingerprint` is 64 lower-case hex digits, or empty.
    `folders` (IMAP only) empty means INBOX. `password` equal to MASK means "the stored one".
    """

    server: str
    protocol: Protocol
    user: str
    password: str
    recipient: str
    keep: bool = False
    flush: bool = False
    fetchall: bool = False
    encryption: Encryption = Encryption.AUTO
    sslcertck: bool = True
    sslfingerprint: str = ""
    port: int | None = None
    uidl: bool = False
    folders: tuple[str, ...] = ()
    limit: int | None = None
    fetchlimit: int | None = None
    interval: int | None = None
    timeout: int | None = None
    keepdays: int | None = None
    skip: bool = False

    @property
    def effective_port(self) -> int:
        """The port to connect to: the one given, else the protocol's."""
        return self.port or DEFAULT_PORTS[self.protocol, self.encryption is Encryption.SSL]

    @property
    def leaves(self) -> bool:
        """Whether a letter stays on the server after it was delivered."""
        return self.keep or self.keepdays is not None

    @property
    def judged_by_ledger(self) -> bool:
        """Whether our ledger alone says which letters were seen, and not the server's marks (IMAP without `uidl`)."""
        return self.protocol is Protocol.POP3 or self.uidl


class Takes(Enum):
    """What follows an option word."""

    NOTHING = "nothing"
    NUMBER = "number"
    OCTETS = "octets"
    """A number that may end in k, m or g (1024 each)."""
    FINGERPRINT = "fingerprint"
    """64 hex digits, colons between them or not."""
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Option:
    """An option word: the field of `Rule` that it sets, and to what (`sets`, when it takes no value of its own)."""

    word: str
    field: str
    takes: Takes = Takes.NOTHING
    sets: bool | Encryption = True
    only: Protocol | None = None
    """The one protocol that has this option; None: both."""


OPTIONS: dict[str, Option] = {
    option.word: option
    for option in (
        Option("keep", "keep"),
        Option("nokeep", "keep", sets=False),
        Option("flush", "flush"),
        Option("noflush", "flush", sets=False),
        Option("fetchall", "fetchall"),
        Option("nofetchall", "fetchall", sets=False),
        Option("ssl", "encryption", sets=Encryption.SSL),
        Option("starttls", "encryption", sets=Encryption.STARTTLS),
        Option("plaintext", "encryption", sets=Encryption.PLAINTEXT),
        Option("sslcertck", "sslcertck"),
        Option("nosslcertck", "sslcertck", sets=False),
        Option("sslfingerprint", "sslfingerprint", Takes.FINGERPRINT),
        Option("port", "port", Takes.NUMBER),
        Option("service", "port", Takes.NUMBER),
        Option("uidl", "uidl"),
        Option("folder", "folders", Takes.NAME, only=Protocol.IMAP),
        Option("limit", "limit", Takes.OCTETS),
        Option("fetchlimit", "fetchlimit", Takes.NUMBER),
        Option("interval", "interval", Takes.NUMBER),
        Option("timeout", "timeout", Takes.NUMBER),
        Option("keepdays", "keepdays", Takes.NUMBER),
        Option("skip", "skip"),
    )
}
"""Every option word, in the order in which we write them."""

PROTOCOL_WORDS: dict[str, tuple[Protocol, bool]] = {
    "pop3": (Protocol.POP3, False),
    "pop3s": (Protocol.POP3, True),
    "imap": (Protocol.IMAP, False),
    "imaps": (Protocol.IMAP, True),
}
"""What a protocol word says: the protocol, and whether it stands for `ssl` as well."""

BOUNDS: dict[str, tuple[int, int]] = {
    "port": (1, 65535),
    "limit": (1, 2**40),
    "fetchlimit": (1, 1_000_000),
    "interval": (1, 43_200),
    "timeout": (1, 3_600),
    "keepdays": (1, 3_650),
}
"""Least and greatest value of each numeric field of `Rule`."""

OCTET_SUFFIXES: dict[str, int] = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}

MAX_LENGTHS: dict[str, int] = {"server": 253, "user": 255, "password": 1024, "recipient": 320, "folders": 255}
"""Greatest length of each field of text, in characters; of `folders` that of one name."""

MAX_RULES = 20_000
"""Rules of an installation, and of any file or text of rules."""

MAX_FOLDERS = 32
