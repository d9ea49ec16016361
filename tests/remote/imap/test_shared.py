"""One connection for several folders of an account."""

from dataclasses import replace

import pytest

from fetchrules.errors import ConnectionLost, FolderMissing
from fetchrules.remote.account import Account
from fetchrules.remote.imap.session import ImapMailbox, open_imap
from fetchrules.remote.imap.shared import SharedConnection
from tests.remote.imap.sessions import account
from tests.servers.faults import Cut, Fault, Say
from tests.servers.imap import Behaviour, Folder, ImapServer, Step
from tests.servers.maildrop import letter
from tests.waiting import until

FOLDERS = {"INBOX": Folder([letter("one")]), "Archive": Folder([letter("two"), letter("three")])}


def serving(*faults: Fault) -> ImapServer:
    return ImapServer(FOLDERS, Behaviour(faults=faults))


def opened(terms: Account, folder: str, shared: SharedConnection) -> ImapMailbox:
    return open_imap(replace(terms, folder=folder), shared=shared)


def test_it_serves_one_folder_after_the_other() -> None:
    shared = SharedConnection()
    with serving() as server:
        for folder, letters in (("INBOX", 1), ("Archive", 2), ("INBOX", 1)):
            mailbox = opened(account(server), folder, shared)
            assert len(mailbox.listing().letters) == letters
            assert mailbox.quit()
            assert not mailbox.quit()
            mailbox.close()
        shared.close()
        shared.close()
        assert until(lambda: server.said.count("LOGOUT"), seconds=10) == 1
        assert server.connections == 1


def test_it_serves_the_next_folder_where_one_is_missing() -> None:
    shared = SharedConnection()
    with serving() as server:
        with pytest.raises(FolderMissing):
            opened(account(server), "Nowhere", shared)
        assert shared.worked
        assert opened(account(server), "INBOX", shared).quit()
        assert server.connections == 1


def test_it_serves_no_other_folder_once_it_broke() -> None:
    shared = SharedConnection()
    with serving(Fault(Step.LISTING, Cut())) as server:
        mailbox = opened(account(server), "INBOX", shared)
        with pytest.raises(ConnectionLost):
            mailbox.listing()
        assert not mailbox.quit()
        assert opened(account(server), "Archive", shared).quit()
        assert server.connections == 2


def test_it_serves_no_other_folder_where_letters_are_still_to_come() -> None:
    shared = SharedConnection()
    with serving() as server:
        mailbox = opened(account(server), "Archive", shared)
        next(mailbox.retrieve(mailbox.listing().letters))
        assert not mailbox.quit()
        assert opened(account(server), "INBOX", shared).quit()
        assert server.connections == 2


def test_it_connects_again_where_the_server_hung_up_meanwhile() -> None:
    shared = SharedConnection()
    with serving(Fault(Step.SELECT, Cut(), nth=2)) as server:
        assert opened(account(server), "INBOX", shared).quit()
        mailbox = opened(account(server), "Archive", shared)
        assert len(mailbox.listing().letters) == 2
        assert mailbox.quit()
        assert server.connections == 2


def test_it_connects_again_once_only() -> None:
    shared = SharedConnection()
    with serving(Fault(Step.SELECT, Cut(), nth=2)) as server:
        assert opened(account(server), "INBOX", shared).quit()
        server.behaviour = Behaviour(faults=(Fault(Step.SELECT, Cut()),))
        with pytest.raises(ConnectionLost):
            opened(account(server), "Archive", shared)
        assert server.connections == 2


def test_it_knows_what_the_server_can_where_the_first_folder_is_missing() -> None:
    shared = SharedConnection()
    before_login = Say(b"* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n")
    behaviour = Behaviour(tells_capabilities=False, faults=(Fault(Step.CAPABILITY, before_login),))
    with ImapServer(FOLDERS, behaviour) as server:
        with pytest.raises(FolderMissing):
            opened(account(server), "Nowhere", shared)
        mailbox = opened(account(server), "INBOX", shared)
        assert "UIDPLUS" in mailbox.connection.capabilities
        assert mailbox.quit()


def test_it_is_closed_without_ado_where_it_never_served() -> None:
    SharedConnection().close()
