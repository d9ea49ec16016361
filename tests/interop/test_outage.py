"""PostgreSQL is away for a while in the middle of polls: none of them stays open, and collecting goes on when it is back."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest

from tests.faults.cutter import Cutter
from tests.interop.installation import Installation
from tests.interop.postgres import Postgres
from tests.servers.faults import Alter, Fault
from tests.servers.loopback import Hangup, Peer
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, Behaviour, Mailbox, Pop3Server, Step
from tests.waiting import until

pytestmark = pytest.mark.interop

AT_A_TIME = 4
"""Polls of one server, where the worker does sixteen."""
STATES = "from fetchrules.models import Run; print(*Run.objects.values_list('state', flat=True))"


class Wire(Cutter):
    """The way to the database, which can be taken away."""

    def __init__(self, target: int) -> None:
        super().__init__()
        self.target = target
        self.away = False

    def cut(self) -> None:
        """Nobody gets through any more, and those who did are cut off."""
        self.away = True
        for peer in list(self._peers):
            with suppress(OSError):
                peer._socket.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Whoever comes gets through."""
        self.away = False

    def _carry(self, peer: Peer) -> None:
        if self.away:
            raise Hangup
        super()._carry(peer)


def states_of(installation: Installation) -> list[str]:
    """The states of all runs."""
    return installation.manage("shell", "-v0", "-c", STATES).stdout.split()


@pytest.fixture
def wire(postgres: Postgres) -> Iterator[Wire]:
    with Wire(postgres.port) as wire:
        yield wire


def test_it_leaves_no_dead_poll_behind(tmp_path: Path, postgres: Postgres, wire: Wire) -> None:
    name = urlsplit(postgres.new_database()).path
    installation = Installation(
        tmp_path,
        {"UTM_MAIL_DATABASE_URL": f"postgres://tests@127.0.0.1:{wire.port}{name}", "UTM_MAIL_CONCURRENCY": "16"},
    )
    installation.prepare()
    answered = Event()

    def think(answer: bytes) -> bytes:
        answered.wait(60)
        return answer

    users = [f"petrov{number}" for number in range(2 * AT_A_TIME)]
    mailboxes = {user: Mailbox(PASSWORD, Maildrop([letter(user)])) for user in users}
    with Pop3Server(mailboxes, Behaviour(faults=(Fault(Step.UIDL, Alter(think)),))) as server:
        line = f"127.0.0.1:pop3 {{0}} {PASSWORD} {{0}}@mydomain.ru port {server.port}\n"
        installation.paste("".join(line.format(user) for user in users))
        with installation.up() as panel:
            until(lambda: server.connections >= AT_A_TIME)
            wire.cut()
            answered.set()
            until(lambda: panel.log.read_text().count("database does not work") >= 3 * AT_A_TIME)
            wire.mend()
            until(lambda: sum(bool(mailbox.maildrop.letters) for mailbox in mailboxes.values()) <= AT_A_TIME, 60)
            until(lambda: states_of(installation).count("running") == 0)
    assert states_of(installation).count("failed") == AT_A_TIME
