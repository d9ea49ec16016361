"""The demonstration's mail server as a part of `manage.py up`: POP3, IMAP, and letters that keep arriving."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from django.utils import timezone

from fetchrules.demo.imap.server import ImapServer
from fetchrules.demo.imap.syntax import modified_utf7
from fetchrules.demo.letters import MAILBOXES, SKETCHES, TURN, letter, sketch
from fetchrules.demo.maildrop import SEEN, Mailbox
from fetchrules.demo.pop3_server import Pop3Server
from fetchrules.demo.server import MailServer

POP3_PORTS = range(11110, 11210)
"""Where it looks for a free one: below the ports that systems give to outgoing connections."""
IMAP_PORTS = range(11143, 11243)

Server = TypeVar("Server", bound=MailServer)


def password(user: str) -> str:
    """What opens this mailbox."""
    return f"{user}passwd"


class PostOffice:
    """Serves the mailboxes and lets letters arrive in one after the other."""

    name = "demo"

    def __init__(self, directory: Path, pop3_port: int | None, imap_port: int | None) -> None:
        """On these ports as far as they are given, else on free ones. Raises OSError."""
        passwords = {user: password(user) for user in MAILBOXES}
        self._directory = directory
        self.pop3 = _first_free(
            [pop3_port] if pop3_port else POP3_PORTS, lambda port: Pop3Server(port, directory, passwords)
        )
        self.imap = _first_free(
            [imap_port] if imap_port else IMAP_PORTS, lambda port: ImapServer(port, directory, passwords)
        )
        self._stopping = Event()
        self._fill()

    def run(self) -> None:
        """Serve until told to stop."""
        servers = (self.pop3, self.imap)
        for server in servers:
            Thread(target=server.serve_forever, name=type(server).__name__, daemon=True).start()
        users = cycle(MAILBOXES)
        while not self._stopping.wait(TURN.total_seconds() / len(MAILBOXES)):
            self._deliver(next(users), timezone.localtime())
        for server in servers:
            server.shutdown()
            server.server_close()

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
        drawn = sketch(user, moment)
        folder = Mailbox(self._directory / user).made(modified_utf7(drawn.folder))
        folder.add(letter(user, moment), moment, *([SEEN] if drawn.read else []))


def _first_free(ports: Iterable[int], make: Callable[[int], Server]) -> Server:
    """A server on the first port that can be had. Raises the last port's OSError."""
    *others, last = ports
    for port in others:
        try:
            return make(port)
        except OSError:
            continue
    return make(last)
