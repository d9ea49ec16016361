"""The demonstration's mail server as a part of `manage.py up`: a POP3 server, and letters that keep arriving in it."""

from datetime import datetime
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

from django.utils import timezone

from fetchrules.demo.letters import MAILBOXES, SKETCHES, TURN, letter
from fetchrules.demo.maildrop import Maildrop
from fetchrules.demo.pop3_server import Pop3Server

PORTS = range(11110, 11210)
"""Where it looks for a free one: below the ports that systems give to outgoing connections."""


def password(user: str) -> str:
    """What opens this mailbox."""
    return f"{user}passwd"


class PostOffice:
    """Serves the mailboxes and lets letters arrive in one after the other."""

    name = "demo"

    def __init__(self, directory: Path, port: int | None) -> None:
        """On `port` if it is given, else on the first free one of PORTS. Raises OSError."""
        passwords = {user: password(user) for user in MAILBOXES}
        self._directory = directory
        self._server = _first_free([port] if port else PORTS, directory, passwords)
        self._stopping = Event()
        self._fill()

    @property
    def port(self) -> int:
        """Where it serves POP3."""
        return self._server.port

    def run(self) -> None:
        """Serve until told to stop."""
        server = Thread(target=self._server.serve_forever, name="demo POP3", daemon=True)
        server.start()
        users = cycle(MAILBOXES)
        while not self._stopping.wait(TURN.total_seconds() / len(MAILBOXES)):
            self._deliver(next(users), timezone.localtime())
        self._server.shutdown()
        self._server.server_close()

    def stop(self) -> None:
        """Ask it to end."""
        self._stopping.set()

    def _fill(self) -> None:
        """Every mailbox that has never had a letter gets one of each kind."""
        for user in MAILBOXES:
            if not (self._directory / user).is_dir():
                for turns in range(len(SKETCHES[user]), 0, -1):
                    self._deliver(user, timezone.localtime() - turns * TURN)

    def _deliver(self, user: str, moment: datetime) -> None:
        Maildrop(self._directory / user).add(letter(user, moment), moment)


def _first_free(ports: "range | list[int]", directory: Path, passwords: dict[str, str]) -> Pop3Server:
    *others, last = ports
    for port in others:
        try:
            return Pop3Server(port, directory, passwords)
        except OSError:
            continue
    return Pop3Server(last, directory, passwords)
