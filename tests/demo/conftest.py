"""The demonstration's IMAP server with mailboxes that a test fills itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from fetchrules.demo.imap import ImapServer
from fetchrules.demo.maildrop import Mailbox
from fetchrules.demo.server import DemoServer

USER, PASSWORD = "sklad", "skladpasswd"


@contextmanager
def serving(server: DemoServer) -> Iterator[None]:
    """Let it serve while the block lasts."""
    with server:
        thread = Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def imap(tmp_path: Path) -> Iterator[ImapServer]:
    server = ImapServer(0, tmp_path, {USER: PASSWORD})
    with serving(server):
        yield server


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    """What USER has."""
    return Mailbox(tmp_path / USER)
