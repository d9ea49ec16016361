"""What a rule line can say: its fields, its option words and their bounds (fetchmail's names; SPEC of the rule line in docs/)."""

from dataclasses import dataclass
from enum import StrEnum


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

    `limit` is in octets, `interval` in minutes, `timeout` in seconds, `keepdays` in days. `None` means "not given".
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
