"""smtplib's client with bounded replies: no endless line or reply, and no drip of octets, holds it up."""

import math
import smtplib
from time import monotonic

MAX_REPLY_LINES = 100
MAX_REPLY_LINE = 8192


class BoundedReplies(smtplib.SMTP):
    """A silence may last for the socket's timeout, a reply for `reply_seconds`. No reply is read after `by` (monotonic clock)."""

    reply_seconds = 120.0
    by = math.inf

    def getreply(self) -> tuple[int, bytes]:
        """One reply: its code (-1 if it is none) and its lines. Raises SMTPServerDisconnected."""
        lines: list[bytes] = []
        until = min(monotonic() + self.reply_seconds, self.by)
        try:
            while len(lines) < MAX_REPLY_LINES:
                line = self._line(until)
                lines.append(line[4:].strip())
                if not line[:3].isdigit():
                    return -1, line.strip()
                if line[3:4] != b"-":
                    return int(line[:3]), b"\n".join(lines)
            raise TimeoutError("an endless reply")
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(str(error)) from error

    def _line(self, until: float) -> bytes:
        if self.sock is None:
            raise ConnectionResetError("not connected")
        if self.file is None:
            self.file = self.sock.makefile("rb")
        patience = self.sock.gettimeout() or self.reply_seconds
        line = b""
        while not line.endswith(b"\n"):
            if len(line) >= MAX_REPLY_LINE:
                raise ConnectionResetError("a line too long")
            if (left := until - monotonic()) <= 0:
                raise TimeoutError("an endless reply")
            self.sock.settimeout(min(patience, left))
            arrived = self.file.peek()
            if not arrived:
                raise ConnectionResetError("the connection was closed")
            line += self.file.readline(min(len(arrived), MAX_REPLY_LINE - len(line)))
        self.sock.settimeout(patience)
        return line
