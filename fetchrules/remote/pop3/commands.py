"""What we say to a POP3 server: its commands, their octets, and their form without secrets."""

from base64 import b64encode
from dataclasses import dataclass, field
from enum import StrEnum

from fetchrules.errors import LocalProtocolError
from fetchrules.remote.masking import MASKED


class Verb(StrEnum):
    CAPA = "CAPA"  # RFC 2449
    STLS = "STLS"  # RFC 2595
    UTF8 = "UTF8"  # RFC 6856
    USER = "USER"
    PASS = "PASS"  # noqa: S105 (a command, not a password)
    AUTH = "AUTH"  # RFC 5034
    CREDENTIALS = ""
    """The client's answer within AUTH: a line without a verb."""
    STAT = "STAT"
    LIST = "LIST"
    UIDL = "UIDL"
    RETR = "RETR"
    TOP = "TOP"
    DELE = "DELE"
    RSET = "RSET"
    QUIT = "QUIT"


_SECRET = frozenset({Verb.PASS, Verb.CREDENTIALS})


@dataclass(frozen=True, slots=True)
class Command:
    verb: Verb
    argument: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The line as a journal may show it."""
        argument = MASKED if self.verb in _SECRET else self.argument
        return f"{self.verb} {argument}".strip()


def encode(command: Command) -> bytes:
    """The octets of a command line, CRLF included.

    Text is UTF-8 (RFC 6856 section 2). CR, LF or NUL in an argument would begin another command: LocalProtocolError.
    """
    if not _FORBIDDEN.isdisjoint(command.argument):
        raise LocalProtocolError(f"CR, LF or NUL in the argument of {command.verb}")
    separator = " " if command.verb and command.argument else ""
    return f"{command.verb}{separator}{command.argument}\r\n".encode()


_FORBIDDEN = frozenset("\r\n\0")


def plain_credentials(user: str, password: str) -> Command:
    """The client's answer of SASL PLAIN (RFC 4616): authorization identity (none), NUL, user, NUL, password."""
    if not _FORBIDDEN.isdisjoint(user + password):
        raise LocalProtocolError("CR, LF or NUL in user or password")
    return Command(Verb.CREDENTIALS, b64encode(f"\0{user}\0{password}".encode()).decode())


CAPA = Command(Verb.CAPA)
STLS = Command(Verb.STLS)
UTF8 = Command(Verb.UTF8)
AUTH_PLAIN = Command(Verb.AUTH, "PLAIN")
STAT = Command(Verb.STAT)
LIST = Command(Verb.LIST)
UIDL = Command(Verb.UIDL)
RSET = Command(Verb.RSET)
QUIT = Command(Verb.QUIT)
