"""One door for both protocols."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from fetchrules.errors import RunOvertaken
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.auth.ways import Way
from fetchrules.remote.imap.shared import SharedConnection
from fetchrules.remote.protocols import open_mailbox, probe
from fetchrules.remote.transcript import Transcript
from fetchrules.rule import Encryption, Protocol
from tests.servers.imap import Folder, ImapServer
from tests.servers.loopback import LoopbackServer
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, USER, Pop3Server


@contextmanager
def serving(protocol: Protocol) -> Iterator[Account]:
    """An account with one letter."""
    letters = [letter("one")]
    server = Pop3Server(Maildrop(letters)) if protocol is Protocol.POP3 else ImapServer(Folder(letters))
    with server:
        yield Account(protocol, server.host, server.port, USER, PASSWORD, encryption=Encryption.PLAINTEXT)


@pytest.mark.parametrize("protocol", Protocol)
def test_it_opens_a_mailbox(protocol: Protocol) -> None:
    with serving(protocol) as account:
        mailbox = open_mailbox(account, Transcript())
        assert len(mailbox.listing().letters) == 1
        assert mailbox.quit()


@pytest.mark.parametrize("protocol", Protocol)
def test_it_ends_a_session_of_which_nobody_wants_to_hear_any_more(
    protocol: Protocol,
) -> None:

    def overtaken() -> None:
        raise RunOvertaken

    with LoopbackServer(lambda peer: peer.stall()) as server:
        account = Account(protocol, server.address, server.port, USER, PASSWORD, encryption=Encryption.PLAINTEXT)
        account = replace(account, deadlines=Deadlines(alive=0.05))
        with pytest.raises(RunOvertaken):
            open_mailbox(account, Transcript(), overtaken)


@pytest.mark.parametrize("way", [Way.NATIVE, Way.PLAIN])
@pytest.mark.parametrize("protocol", Protocol)
def test_it_tells_by_which_way_it_logged_in(protocol: Protocol, way: Way) -> None:
    with serving(protocol) as account:
        mailbox = open_mailbox(replace(account, way=way), Transcript())
        assert mailbox.connection.way is way
        assert mailbox.quit()


def test_it_tells_it_of_every_folder_of_a_connection() -> None:
    folders = {"INBOX": Folder(), "Sent": Folder()}
    with ImapServer(folders) as server, closing(SharedConnection()) as shared:
        account = Account(Protocol.IMAP, server.host, server.port, USER, PASSWORD, encryption=Encryption.PLAINTEXT)
        for folder in folders:
            terms = replace(account, way=Way.PLAIN, folder=folder)
            mailbox = open_mailbox(terms, Transcript(), shared=shared)
            assert mailbox.connection.way is Way.PLAIN
            assert mailbox.quit()
        assert server.connections == 1


@pytest.mark.parametrize("protocol", Protocol)
def test_it_looks_at_a_server(protocol: Protocol) -> None:
    with serving(protocol) as account:
        seen = probe(account, Transcript())
        assert seen.capabilities
        assert seen.way is None
