"""What opens a mailbox: a password."""

import stringprep
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest
from secrets import token_bytes
from unicodedata import ucd_3_2_0

from fetchrules.errors import LocalProtocolError

_FORBIDDEN = frozenset("\r\n\0")
_PROCESS_KEY = token_bytes(32)


def checked(text: str) -> str:
    """`text`, a user's name or a password. Raises LocalProtocolError for CR, LF or NUL, which could hide a command."""
    if not _FORBIDDEN.isdisjoint(text):
        raise LocalProtocolError("CR, LF or NUL in user or password")
    return text


@dataclass(frozen=True, slots=True)
class Password:
    """Raises LocalProtocolError for CR, LF or NUL."""

    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        checked(self.secret)

    @property
    def prepared(self) -> bytes:
        """Its octets for SCRAM (RFC 5802 section 2.2)."""
        return saslprep(self.secret).encode()

    @property
    def mark(self) -> bytes:
        """Tells this password from others. It means nothing outside this process."""
        return digest(_PROCESS_KEY, self.secret.encode(), sha256)


def plain(user: str, password: Password) -> bytes:
    """The message of PLAIN (RFC 4616): no authorization identity, user, password. The server prepares both, not the client."""
    return f"\0{checked(user)}\0{password.secret}".encode()


def encoded(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")


def secrets_of(user: str, password: Password) -> tuple[str, ...]:
    """What has to be masked wherever a server repeats it: the password as each way that shows it sends it."""
    return (password.secret, encoded(plain(user, password)), encoded(password.secret.encode()))


def saslprep(text: str) -> str:
    """`text` by RFC 4013, and as it is where RFC 4013 forbids it: a server may have taken it all the same."""
    mapped = "".join(_mapped(character) for character in text)
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    return text if _is_prohibited(prepared) or _mixes_directions(prepared) else prepared


def _mapped(character: str) -> str:
    """RFC 4013 section 2.1."""
    if stringprep.in_table_c12(character):
        return " "
    return "" if stringprep.in_table_b1(character) else character


_PROHIBITED = (  # RFC 4013 section 2.3
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _is_prohibited(text: str) -> bool:
    return any(prohibits(character) for character in text for prohibits in _PROHIBITED)


def _mixes_directions(text: str) -> bool:
    """Whether right-to-left text has left-to-right characters in it, or other characters at its ends (RFC 3454 section 6)."""
    if not any(stringprep.in_table_d1(character) for character in text):
        return False
    enclosed = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return not enclosed or any(stringprep.in_table_d2(character) for character in text)
