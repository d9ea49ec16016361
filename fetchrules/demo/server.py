"""What the demonstration's two mail servers have in common: they listen on the loopback address, and know the users."""

import hmac
from collections.abc import Mapping
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

from fetchrules.demo.maildrop import Mailbox


class MailServer(ThreadingTCPServer):
    """Serves the mailboxes below `directory` to the users in `passwords`. Making one takes the port: raises OSError."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self, port: int, directory: Path, passwords: Mapping[str, str], connection: type[StreamRequestHandler]
    ) -> None:
        self._directory = directory
        self._passwords = passwords
        super().__init__(("127.0.0.1", port), connection)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def mailbox(self, user: str, password: str) -> Mailbox | None:
        """None: there is no such user, or that is not his password."""
        expected = self._passwords.get(user, "")
        if not expected or not hmac.compare_digest(expected.encode(), password.encode()):
            return None
        return Mailbox(self._directory / user)
