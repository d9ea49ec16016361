"""The mbox "From " line that some servers put in front of a letter (RFC 4155): it is no part of the letter, and is not delivered.

Mail programs would take it for the end of an empty header. A first line is one only if it holds a date in one of the forms of
mboxes, and a line that may begin a header field follows.
"""

import re

MAX_LINE = 1000
"""Octets of a first line that are looked at; an mbox line is far shorter."""

_BEGINNINGS = (b"From ", b">From ")
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = rb"\d{1,2}:\d\d(?::\d\d)?"
_FROM_LINE = re.compile(
    rb">?From [^\n]*\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ \t]+"
    rb"(?:" + _MONTH + rb"[ \t]+\d{1,2}[ \t]+" + _TIME + rb"(?:[ \t]+[A-Za-z0-9+-]{1,8}){0,2}?[ \t]+\d{4}"
    rb"|\d{1,2}[ \t]+" + _MONTH + rb"[ \t]+\d{4}[ \t]+" + _TIME + rb")\b[^\n]*\n(?=[!-9;-~])"
)
"""The date as asctime writes it, with a zone or without, or as RFC 5322 has it."""


class FromLine:
    """Takes a letter with LF as its line end, in pieces of any size, and gives it back without its mbox line."""

    def __init__(self) -> None:
        self._held = b""
        self._decided = False

    def without(self, text: bytes) -> bytes:
        """What is known to belong to the letter by now."""
        if self._decided or not text:
            return text
        self._held += text
        if _may_go_on(self._held):
            return b""
        return self.rest()

    def rest(self) -> bytes:
        """What was held back; nothing follows, or nothing that matters."""
        held, self._held, self._decided = self._held, b"", True
        found = _FROM_LINE.match(held, 0, MAX_LINE)
        return held[found.end() :] if found else held


def _may_go_on(held: bytes) -> bool:
    """Whether it is open yet how the first line, or the one behind it, begins."""
    if not any(held.startswith(words) or words.startswith(held) for words in _BEGINNINGS):
        return False
    return len(held) < MAX_LINE and b"\n" not in held[:-1]
