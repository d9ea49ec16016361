"""The body of a multi-line response: dots unstuffed, its end found, block by block.

RFC 1939 section 3: "When examining a multi-line response, the client checks to see if the line begins with the
termination octet. If so and if octets other than CRLF follow, the first octet of the line (the termination octet) is
stripped away. If so and if CRLF immediately follows the termination character, then the response from the POP server
is ended and the line containing ".CRLF" is not considered part of the multi-line response."

Lines are "each terminated by a CRLF pair", so one begins behind CRLF and nowhere else: a bare LF or CR is data. Two
searches in C do the work, whatever the lines are like.
"""

_LINE_END = b"\r\n"
_END = b"\r\n.\r\n"


class MultilineBody:
    """Reads one body. Feed it blocks until `ended`."""

    __slots__ = ("_held", "_owed", "ended")

    def __init__(self) -> None:
        # The body begins at a line's start. A CRLF that is not part of it stands before it, so that this needs no
        # case of its own; `_owed` octets of it are still to be dropped.
        self._held = _LINE_END
        self._owed = len(_LINE_END)
        self.ended = False

    def feed(self, block: bytes) -> tuple[bytes, bytes]:
        """(what of the body is certain now, what lies behind its end)."""
        block = self._held + block
        end = block.find(_END)
        if end >= 0:
            self.ended = True
            body, rest = block[: end + len(_LINE_END)], block[end + len(_END) :]
        else:
            cut = len(block) - _overlap(block)
            body, self._held, rest = block[:cut], block[cut:], b""
        # Every CRLF-dot before the end begins a stuffed line: the end itself would have been found first.
        body = body.replace(b"\r\n.", _LINE_END)
        if self._owed and body:
            body, self._owed = body[self._owed :], 0
        return body, rest


def _overlap(block: bytes) -> int:
    """How many of the last octets of `block` may be the beginning of the end."""
    return next((size for size in (4, 3, 2, 1) if block.endswith(_END[:size])), 0)
