"""From, Subject, Message-ID and Date of a letter, for the journal. No input raises, takes long or yields unprintable text."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fetchrules.errors import printable

MAX_FIELD = 4096
"""Octets of one field that are looked at: enough for 200 characters in any encoding."""

_ENCODED_WORD = re.compile(r"=\?([^\s?*]+)(?:\*[^\s?]*)?\?([BbQq])\?([^\s?]*)\?=")
"""RFC 2047 §2, with the language of RFC 2231 §5."""
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
"""Blanks that are not shown (RFC 2047 §6.2)."""
_CHARSET = re.compile(
    r"utf-?(?:7|8|16|16be|16le)|(?:us-)?ascii|iso-?8859-\d{1,2}|(?:windows-|cp)\d{3,4}|koi8-[rut]|"
    r"gb2312|gbk|gb18030|big5(?:-?hkscs)?|euc-(?:jp|kr)|shift_?jis|iso-2022-(?:jp|kr)|ks_c_5601-1987|tis-620",
    re.IGNORECASE,
)
"""Charsets of mail. Python knows more codecs, some of which raise, recur or take quadratic time."""


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Texts of at most 200 printable characters, empty where the field is missing."""

    sender: str = ""
    subject: str = ""
    message_id: str = ""


_SHOWN = re.compile(rb"(?:\A|\n)(from|subject|message-id)[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE)
_DATE = re.compile(rb"(?:\A|\n)date[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE)
_TRACE = re.compile(rb"(?:\A|\n)received[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""File systems know no earlier time for certain."""


def read_letterhead(head: bytes) -> Letterhead:
    """The letterhead in any octets; the first of repeated fields counts."""
    fields: dict[bytes, bytes] = {}
    for name, value in _SHOWN.findall(head):
        fields.setdefault(name.lower(), value[:MAX_FIELD])
    return Letterhead(
        sender=_shown(fields.get(b"from", b"")),
        subject=_shown(fields.get(b"subject", b"")),
        message_id=_shown(fields.get(b"message-id", b"")),
    )


def read_date(head: bytes) -> datetime | None:
    """The date that the sender wrote, aware (RFC 5322 section 3.6.1); None for what is no date."""
    found = _DATE.search(head)
    return _date(found[1][:MAX_FIELD]) if found else None


def arrival(told: datetime | None, head: bytes, now: datetime) -> datetime | None:
    """When the letter arrived at the remote server: what that told, else by the topmost Received field, else when it was sent.

    None if none of them is a time between 1970 and `now`.
    """
    for read in (read_trace, read_date):
        if told is not None and _EARLIEST <= told <= now:
            return told
        told = read(head)
    return told if told is not None and _EARLIEST <= told <= now else None


def read_trace(head: bytes) -> datetime | None:
    """The time of the topmost Received field, the last server's (RFC 5321 §4.4)."""
    found = _TRACE.search(head)
    return _date(found[1].rpartition(b";")[2][:MAX_FIELD]) if found else None


def header_fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a header: names in lower case, values as they stand, folded lines included (RFC 5322 §2.2)."""
    for field in re.split(rb"\r?\n(?![ \t])", head):
        name, _, value = field.partition(b":")
        yield name.rstrip(b" \t").lower(), value


def _shown(value: bytes) -> str:
    text = _guessed(value)
    return printable(" ".join((_decoded(text) if "=?" in text else text).split()))


def _decoded(text: str) -> str:
    """Decode encoded words; neighbouring words of one charset together, for a character may be cut in two."""
    result: list[str] = []
    pending, charset, end = b"", "", 0
    text = _BETWEEN_WORDS.sub("", text)
    for word in _ENCODED_WORD.finditer(text):
        if word.start() > end or word[1].lower() != charset:
            result += [_in_charset(pending, charset), text[end : word.start()]]
            pending, charset = b"", word[1].lower()
        pending += _octets(word[2], word[3])
        end = word.end()
    return "".join([*result, _in_charset(pending, charset), text[end:]])


def _octets(encoding: str, text: str) -> bytes:
    """Broken Base64 is decoded as far as possible."""
    if encoding in "Qq":
        return binascii.a2b_qp(text.encode(), header=True)
    digits = re.sub("[^A-Za-z0-9+/]", "", text)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


def _in_charset(octets: bytes, charset: str) -> str:
    if not _CHARSET.fullmatch(charset):
        return _guessed(octets)
    try:
        return octets.decode(charset, "replace")
    except LookupError:
        return _guessed(octets)


def _guessed(octets: bytes) -> str:
    """UTF-8, else KOI8-R or Windows-1251: the one in which more letters are small, since each has them at the other's capitals."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        koi8 = sum(0xC0 <= octet <= 0xDF for octet in octets)
        windows = sum(octet >= 0xE0 for octet in octets)
        return octets.decode("koi8-r" if koi8 > windows else "cp1251", "replace")


def _date(value: bytes) -> datetime | None:
    """RFC 5322 §3.3; None for what is no date. A date without a zone is taken as UTC."""
    try:
        date = parsedate_to_datetime(" ".join(value[:100].decode("ascii", "replace").split()))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
