"""The part that the POP3 and IMAP servers share: connections, users, SASL PLAIN."""

from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Protocol

from fetchrules.demo.maildrop import Mailbox

MAX_LINE = 8192
"""Octets of a command's line."""
IDLE_SECONDS = 30 * 60
"""RFC 3501 §5.4; RFC 1939 §3 asks for ten minutes or more."""


class Refusal(Exception):
    """A command that is refused. The message follows -ERR or NO."""


class Bad(Refusal):
    """A command that cannot be understood. IMAP says BAD."""


class LineTooLong(Exception):
    """The client has sent a line of more than MAX_LINE octets."""


class Wire(Protocol):
    """The server's end of a connection. A session ends with whatever these raise when the client is gone."""

    def read_line(self) -> bytes:
        """The next line without its end. Raises LineTooLong."""

    def read(self, size: int) -> bytes:
        """The next `size` octets."""

    def send(self, data: bytes) -> None:
        """Send all of it."""


class DemoServer(ThreadingTCPServer):
    """Serves the mailboxes below `directory` to the users in `passwords`. Making one takes the port: raises OSError."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, directory: Path, passwords: Mapping[str, str]) -> None:
        self._directory = directory
        self._passwords = passwords
        super().__init__(("127.0.0.1", port), _Connection)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def serve(self, wire: Wire) -> None:
        """Speak with one client until the session ends."""
        raise NotImplementedError

    def mailbox(self, user: str, password: str) -> Mailbox | None:
        """None: there is no such user, or the password is wrong."""
        if not password or self._passwords.get(user) != password:
            return None
        return Mailbox(self._directory / user)


class _Connection(StreamRequestHandler):
    server: DemoServer
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with suppress(EOFError, TimeoutError, ConnectionError):
            self.server.serve(self)

    def read_line(self) -> bytes:
        line = self.rfile.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise LineTooLong
        if not line.endswith(b"\n"):
            raise EOFError
        return line.rstrip(b"\r\n")

    def read(self, size: int) -> bytes:
        return self.rfile.read(size)

    def send(self, data: bytes) -> None:
        self.wfile.write(data)


def plain_credentials(response: bytes) -> tuple[str, str]:
    """User and password of a response to SASL PLAIN (RFC 4616). Raises Refusal, and Bad also for `*`, which cancels."""
    try:
        identity, user, password = b64decode(response, validate=True).decode().split("\0")
    except ValueError as error:
        raise Bad("not what PLAIN expects") from error
    if identity not in {"", user}:
        raise Refusal("nobody acts for others here")
    return user, password
