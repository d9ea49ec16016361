"""The headers of letters, by TOP n 0 (RFC 1939 section 7): how much is kept of one, and when it is not worth asking."""

import re

from fetchrules.remote.mailbox import HEAD_MAX
from fetchrules.remote.pop3.grammar import Capabilities

_BLANK_LINE = re.compile(rb"\A\r?\n|\n\r?\n")


class Head:
    """A header that comes in pieces of any size, with its blank line; of what is beyond it, or beyond HEAD_MAX, nothing is kept.

    Some servers ignore the number of lines and send the whole letter.
    """

    __slots__ = ("_ended", "_octets")

    def __init__(self) -> None:
        self._octets = bytearray()
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Take the next octets."""
        if self._ended:
            return
        searched = max(len(self._octets) - 2, 0)
        self._octets += data[: HEAD_MAX - len(self._octets)]
        if blank := _BLANK_LINE.search(self._octets, searched):
            del self._octets[blank.end() :]
        self._ended = blank is not None or len(self._octets) == HEAD_MAX

    def octets(self) -> bytes:
        """What was kept."""
        return bytes(self._octets)


class TopTrust:
    """Whether a server is worth asking for headers, learnt as it answers.

    Not one whose answer to CAPA lacks TOP. While no header has come, one at a time is asked for, and the server is left alone
    after the first refusal; if it announced TOP, after the second, since the first may be that letter's fault. A server that
    is over its limits is left alone at once.
    """

    def __init__(self, announced: Capabilities) -> None:
        self.proven = False
        self._refusals_left = 2 if announced.has("TOP") else 0 if announced.lines else 1

    @property
    def asks(self) -> bool:
        """Whether another header may be asked for."""
        return self._refusals_left > 0

    def came(self) -> None:
        """A header came: from now on a refusal is about its letter."""
        self.proven = True

    def refused(self, *, limited: bool) -> None:
        """No header came; `limited`: none would."""
        if limited:
            self._refusals_left = 0
        elif not self.proven:
            self._refusals_left -= 1
