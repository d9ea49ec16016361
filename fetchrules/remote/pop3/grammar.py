"""The grammar of POP3 responses, each rule under its RFC line. Octets in, values out."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from fetchrules.errors import RemoteProtocolError
from fetchrules.remote.mailbox import MAX_UID

LINE_MAX = 2048
"""Octets in a response line, CRLF included. RFC 2449 section 4 allows 512; some servers are wordier."""

CAPABILITIES_MAX = 16 * 1024
"""Octets of an answer to CAPA that are read."""

LETTERS_MAX = 200_000
"""The last lines of a listing, which are read. A larger mailbox takes several polls; its listing is never complete."""

_SIZE_MAX = 2**62


class Status(Enum):
    OK = "+OK"
    ERR = "-ERR"
    CONTINUE = "+"


@dataclass(frozen=True, slots=True)
class StatusLine:
    """The first line of a response. `code` is the response code in upper case without its brackets, or empty."""

    status: Status
    text: str = ""
    code: str = ""


# RFC 1939 section 3: "There are currently two status indicators: positive ("+OK") and negative ("-ERR").
# Servers MUST send the "+OK" and "-ERR" in upper case." RFC 5034 section 4: continue-req = "+" SP [base64] CRLF
# Nothing that is or holds a bare LF or NUL is a line. Punctuation right behind the indicator has been met ("+OK,
# ready").
_STATUS_LINE = re.compile(rb"(\+OK(?![0-9A-Za-z])|-ERR(?![0-9A-Za-z])|\+(?= |\Z))[ \t]*([^\n\0]*)")

# RFC 2449 section 8: resp-code = "[" resp-level *("/" resp-level) "]"
#                     resp-level = 1*rchar, rchar = %x21-2E / %x30-5C / %x5E-7F
_RESPONSE_CODE = re.compile(rb"\[([\x21-\x5c\x5e-\x7f]+)\]")


def status_line(line: bytes) -> StatusLine | None:
    """Read a line without its CRLF; None if it is no response."""
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        return None
    coded = _RESPONSE_CODE.match(found[2])
    return StatusLine(Status(found[1].decode()), text(found[2]), coded[1].decode().upper() if coded else "")


def text(line: bytes) -> str:
    """A server's words, for people: UTF-8 by RFC 6856, but older servers send anything."""
    return line.decode("utf-8", "replace")


# RFC 2449 section 5: capa-resp = "+OK" ... *capability "." CRLF
#                     capability = capa-tag *(SP param)
@dataclass(frozen=True, slots=True)
class Capabilities:
    """The lines of an answer to CAPA."""

    lines: frozenset[str] = frozenset()

    def has(self, tag: str) -> bool:
        """Whether `tag` is announced."""
        return any(words[0] == tag for words in self._words())

    def parameters(self, tag: str) -> frozenset[str]:
        """What is announced behind `tag`, in upper case."""
        return frozenset(parameter for words in self._words() if words[0] == tag for parameter in words[1:])

    def _words(self) -> Iterator[list[str]]:
        return (words for line in self.lines if (words := line.upper().split()))


def capabilities(body: bytes) -> Capabilities:
    """Read the answer to CAPA, up to CAPABILITIES_MAX."""
    return Capabilities(frozenset(text(line) for line in body[:CAPABILITIES_MAX].split(b"\r\n") if line))


# RFC 1939 section 5, STAT: "+OK" SP number-of-messages SP size-in-octets
_DROP_LISTING = re.compile(r"([0-9]{1,19})[ \t]+[0-9]{1,19}(?:[ \t].*)?")


def drop_listing(line: str) -> int | None:
    """How many letters STAT announces, None if it does not say. The number is only ever compared, so any will do."""
    found = _DROP_LISTING.fullmatch(line)
    return int(found[1]) if found else None


# RFC 1939 section 5, LIST: scan-listing = message-number SP size-in-octets; more may follow
_SCAN_LISTING = re.compile(rb"[ \t]*([0-9]{1,9})[ \t]+([0-9]{1,19})(?:[ \t][^\n]*)?\r\n")


def scan_listings(body: bytes) -> dict[int, int]:
    """Size in octets by message number, from the answer to LIST. Raises RemoteProtocolError."""
    return {int(number): min(int(size), _SIZE_MAX) for number, size in deque(_fields(_SCAN_LISTING, body), LETTERS_MAX)}


# RFC 1939 section 7, UIDL: unique-id-listing = message-number SP unique-id
#                           unique-id: "one to 70 characters in the range 0x21 to 0x7E"
# Other octets exist, and name a letter as well; one blank name must not cost the other letters. Blanks are stripped later,
# since an expression for them takes quadratic time.
_UNIQUE_ID_LISTING = re.compile(rb"[ \t]*([0-9]{1,9})((?:[ \t][^\n]*)?)\r\n")
_UNIQUE_ID = re.compile(rb"[\x21-\x7e]{0,%d}" % MAX_UID)


def unique_id_listings(body: bytes) -> dict[int, str]:
    """Unique-id by message number, empty where the server names none. Raises RemoteProtocolError."""
    lines = deque(_fields(_UNIQUE_ID_LISTING, body), LETTERS_MAX)
    return {int(number): _unique_id(octets.strip(b" \t")) for number, octets in lines}


def _unique_id(octets: bytes) -> str:
    """A name that is too long, or not of RFC 1939's octets, is replaced by its hash, which fits a column."""
    return octets.decode("ascii") if _UNIQUE_ID.fullmatch(octets) else sha256(octets).hexdigest()


def _fields(form: re.Pattern[bytes], body: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(body):
        found = form.match(body, position)
        if found is None:
            # Not quoted: what a confused server says here may well be our own command, password and all.
            line = body.count(b"\r\n", 0, position) + 1
            raise RemoteProtocolError(f"line {line} of a listing is none")
        position = found.end()
        yield found[1], found[2]
