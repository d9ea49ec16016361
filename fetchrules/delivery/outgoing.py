"""A staged letter on its way to a mail server. A letter that is sent again is sent with the same octets."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import BinaryIO

from fetchrules.delivery.fingerprint import MAX_HEADER
from fetchrules.delivery.letterhead import header_fields
from fetchrules.delivery.staging import StagedName

COLLECTED = "X-Collected-Id"
"""Our header field: a hash of the letter's key and a hash of the recipient."""
MAX_HOPS = 50
"""Received fields that mean a mail loop (Postfix's hopcount_limit)."""
BLOCK = 64 * 1024

_PATH = re.compile(rb"\s*<([^\s<>\x00-\x1f\x7f\"\\]{1,250}@[^\s<>\x00-\x1f\x7f\"\\@]{1,250})>\s*")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """`octets` is the letter's size on the wire (RFC 1870), trace fields included."""

    sender: str
    """From Return-Path; empty where there is none (the null reverse-path, RFC 5321 §4.5.5)."""
    trace: bytes
    """Our header fields before the letter, with CRLF."""
    octets: int
    eight_bit: bool
    loop: str
    """Why this seems a mail loop, else empty."""


def read_outgoing(file: BinaryIO, name: StagedName, recipient: str, host: str) -> Outgoing:
    """Read `file`, a staged letter, and rewind it. Raises OSError."""
    head = file.read(MAX_HEADER)
    fields = list(header_fields((b"\n" + head).partition(b"\n\n")[0]))
    collected = f"{name.key_hash}.{hashlib.sha256(recipient.lower().encode()).hexdigest()[:16]}"
    trace = (
        f"Received: by {host} (utm-mail) id {name.unique};\r\n\t{format_datetime(datetime.fromtimestamp(name.seconds, UTC))}\r\n"
        f"{COLLECTED}: {collected}\r\n"
    ).encode()
    octets, eight_bit = len(trace), False
    file.seek(0)
    while block := file.read(BLOCK):
        octets += len(block) + block.count(b"\n") - block.count(b"\r")
        eight_bit = eight_bit or not block.isascii()
    file.seek(0)
    return Outgoing(_sender(fields), trace, octets, eight_bit, _loop(fields, collected))


def on_the_wire(trace: bytes, file: BinaryIO) -> Iterator[bytes]:
    """The octets after DATA: CRLF at line ends only (RFC 5321 §2.3.8), dots doubled, the terminator in the last piece.

    A lone CR may not be sent. It is left out, as for the fingerprint: a line end in its place could split a header field, and a
    blank could hide the header's end (CR CR LF). Raises OSError.
    """
    piece, line_begins = trace, True
    while block := file.read(BLOCK):
        text = block.replace(b"\r", b"")
        dotted = b"." + text if line_begins and text.startswith(b".") else text
        line_begins = text.endswith(b"\n") if text else line_begins
        piece += dotted.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
        if len(piece) > BLOCK:
            yield piece
            piece = b""
    yield piece + (b".\r\n" if line_begins else b"\r\n.\r\n")


def _sender(fields: list[tuple[bytes, bytes]]) -> str:
    path = next((value for name, value in fields if name == b"return-path"), b"")
    found = _PATH.fullmatch(path)
    try:
        return found[1].decode() if found else ""
    except UnicodeDecodeError:
        return ""


def _loop(fields: list[tuple[bytes, bytes]], collected: str) -> str:
    hops = sum(name == b"received" for name, _ in fields)
    if hops >= MAX_HOPS:
        return f"mail loop: {hops} hops"
    recipient = collected.partition(".")[2].encode()
    if any(name == COLLECTED.lower().encode() and value.strip().endswith(b"." + recipient) for name, value in fields):
        return "mail loop: collected for this mailbox before"
    return ""
