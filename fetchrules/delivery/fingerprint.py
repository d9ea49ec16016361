"""The fingerprint of a letter, which the ledger compares when the server's unique-ids cannot be trusted.

SHA-256 without CRs and the header fields that mail programs change at rest: Status, X-Status, X-UIDL, X-Keywords, X-Mozilla-*.
"""

import hashlib
import re

MAX_HEAD = 16 * 1024
"""Octets of the header kept for the journal."""

MAX_HEADER = 256 * 1024
"""Octets (without CRs) searched for the header's end; what follows a longer header counts as body, volatile or not."""

_VOLATILE_FIELDS = re.compile(
    rb"^(?:status|x-status|x-uidl|x-keywords|x-mozilla-[!-9;-~]*)[ \t]*:.*(?:\n|\Z)(?:[ \t].*(?:\n|\Z))*",
    re.IGNORECASE | re.MULTILINE,
)
"""Whole fields, folded lines (RFC 5322 §2.2.3) included."""


class Fingerprint:
    """Takes a letter in pieces of any size."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._header = bytearray()
        self._head: bytes | None = None
        """Known once the header has ended."""
        self._header_print = ""

    @property
    def head(self) -> bytes:
        """The first octets of the header, at most MAX_HEAD, without CRs."""
        return bytes(self._header[:MAX_HEAD]) if self._head is None else self._head

    def update(self, data: bytes) -> None:
        text = data.replace(b"\r", b"")
        if self._head is None:
            self._collect(text)
        else:
            self._sha256.update(text)

    @property
    def header(self) -> str:
        """64 hex digits for the header alone, as `head_print`."""
        return self._header_print or _print(bytes(self._header))

    def hexdigest(self) -> str:
        """64 hex digits for the letter so far; the letter may go on afterwards."""
        digest = self._sha256.copy()
        digest.update(_stable(bytes(self._header)))
        return digest.hexdigest()

    def _collect(self, text: bytes) -> None:
        known = len(self._header)
        self._header += text
        end = _header_end(self._header, known)
        if end is None:
            return
        header, rest = bytes(self._header[:end]), bytes(self._header[end:])
        self._header.clear()
        self._head = header[:MAX_HEAD]
        self._header_print = _print(header)
        self._sha256.update(_stable(header))
        self._sha256.update(rest)


def head_print(octets: bytes) -> str:
    """64 hex digits for a header that was fetched alone; a blank line and text behind it do not count."""
    text = bytearray(octets.replace(b"\r", b""))
    return _print(bytes(text[: _header_end(text, 0)]))


def _print(header: bytes) -> str:
    """A missing line end at the end of a header is supplied."""
    complete = header if not header or header.endswith(b"\n") or len(header) == MAX_HEADER else header + b"\n"
    return hashlib.sha256(_stable(complete)).hexdigest()


def _header_end(text: bytearray, known: int) -> int | None:
    """Where the header ends, or None while it may go on. The first `known` octets were searched before."""
    if text.startswith(b"\n"):
        return 0
    blank = text.find(b"\n\n", max(known - 1, 0), MAX_HEADER + 1)
    if blank >= 0:
        return blank + 1
    return MAX_HEADER if len(text) > MAX_HEADER else None


def _stable(header: bytes) -> bytes:
    return _VOLATILE_FIELDS.sub(b"", header)
