"""Names of folders, as people write them and as servers spell them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.errors import FolderMissing, MailboxBusy, RemoteProtocolError, ServerRefused
from fetchrules.remote.imap.grammar import Folder, Literal, Piece, folder, values
from fetchrules.remote.imap.session import open_imap
from fetchrules.utf7 import decode_folder, encode_folder
from tests.remote.imap.sessions import account
from tests.servers import maildrop
from tests.servers.faults import Alter, Fault, Say
from tests.servers.imap import CAPABILITIES, Behaviour, ImapServer, Step
from tests.servers.maildrop import letter

NAMES = [
    ("INBOX", "INBOX"),
    ("Входящие", "&BBIERQQ+BDQETwRJBDgENQ-"),
    ("Архив/2024", "&BBAEQARFBDgEMg-/2024"),
    ("AT&T", "AT&-T"),
    ("a & Я", "a &- &BC8-"),
    ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("😀", "&2D3eAA-"),
    ('quo"te\\', 'quo"te\\'),
]


@pytest.mark.parametrize(("name", "written"), NAMES)
def test_it_writes_and_reads_modified_utf_7(name: str, written: str) -> None:
    assert encode_folder(name) == written
    assert decode_folder(written) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_it_reads_what_it_wrote(name: str) -> None:
    written = encode_folder(name)
    assert written.isascii()
    assert decode_folder(written) == name


@pytest.mark.parametrize("name", ["AT&T", "a&b", "&", "&!-", "Входящие", "&2D0-"])
def test_it_takes_a_name_that_is_no_modified_utf_7_as_it_is(name: str) -> None:
    assert decode_folder(name) == name


LISTED: list[tuple[list[Piece], Folder | None]] = [
    ([b'(\\HasNoChildren) "/" "INBOX"'], Folder("INBOX", "INBOX", "/")),
    ([b'(\\Noselect \\HasChildren) "/" "[Gmail]"'], None),
    ([b'(\\NOSELECT) "/" "[Gmail]"'], None),
    ([b'(\\NonExistent) "/" gone'], None),
    ([b"() NIL &BBAEQARFBDgEMg-"], Folder("Архив", "&BBAEQARFBDgEMg-")),
    ([b'() "/"', Literal(b'a "b"'), b""], Folder('a "b"', 'a "b"', "/")),
    ([b'(NIL) "." a.b ("CHILDINFO" ("SUBSCRIBED"))'], Folder("a.b", "a.b", ".")),
    ([b'() "\\\\" "a\\\\b"'], Folder("a\\b", "a\\b", "\\")),
    (['() "/" "Входящие"'.encode()], Folder("Входящие", "Входящие", "/")),
    ([b'() "/" "\xcf\xf0"'], Folder("\ufffd\ufffd", "\udccf\udcf0", "/")),
]


@pytest.mark.parametrize(("pieces", "expected"), LISTED)
def test_it_reads_a_folder(pieces: list[Piece], expected: Folder | None) -> None:
    assert folder(values(pieces)) == expected


@pytest.mark.parametrize("line", [b"", b'"/" INBOX', b'() "/" NIL', b"() INBOX", b'() "/" ()'])
def test_it_refuses_what_is_no_folder(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        folder(values([line]))


DOTS = Fault(Step.LIST, Alter(lambda answer: answer.replace(b'"/"', b'"."')), nth=0)
UTF8 = (*CAPABILITIES, "ENABLE", "UTF8=ACCEPT")
PERSONAL = Behaviour((*CAPABILITIES, "NAMESPACE"), namespace="INBOX.", faults=(DOTS,))

SELECTED: list[tuple[str, Behaviour, str, str, list[str]]] = [
    ("as it is written", Behaviour(), "Archive", "Archive", ["SELECT"]),
    ("in modified UTF-7", Behaviour(), "&BBAEQARFBDgEMg-", "Архив", ["SELECT"]),
    ("in raw UTF-8", Behaviour(), "Архив", "Архив", ["SELECT", "LIST", "SELECT"]),
    ("UTF8=ACCEPT", Behaviour(UTF8), "Архив", "Архив", ["ENABLE", "SELECT"]),
    ("UTF8=ONLY", Behaviour((*UTF8[:-1], "UTF8=ONLY")), "Архив", "Архив", ["ENABLE", "SELECT"]),
    ("UTF8=ACCEPT without ENABLE", Behaviour(("IMAP4rev1", "UTF8=ACCEPT")), "&BBAEQARFBDgEMg-", "Архив", ["SELECT"]),
    (
        "UTF8=ACCEPT that is not kept",
        Behaviour(UTF8),
        "&BBAEQARFBDgEMg-",
        "Архив",
        ["ENABLE", "SELECT", "LIST", "SELECT"],
    ),
    ("another delimiter", Behaviour(faults=(DOTS,)), "Archive.2024", "Archive/2024", ["SELECT", "LIST", "SELECT"]),
    (
        "no delimiter",
        Behaviour(faults=(replace(DOTS, action=Alter(lambda told: told.replace(b'"/"', b"NIL"))),)),
        "Archive/a",
        "Archive/a",
        ["SELECT"],
    ),
    ("a namespace", PERSONAL, "INBOX.Archive", "Archive", ["SELECT", "LIST", "NAMESPACE", "SELECT"]),
    (
        "a namespace, and another delimiter",
        PERSONAL,
        "INBOX.Archive.&BC8-",
        "Archive/Я",
        ["SELECT", "LIST", "NAMESPACE", "SELECT"],
    ),
    ("a namespace, all written", PERSONAL, "INBOX.Archive", "INBOX/Archive", ["SELECT", "LIST", "NAMESPACE", "SELECT"]),
]


@pytest.mark.parametrize(
    ("behaviour", "spelled", "name", "said"), [one[1:] for one in SELECTED], ids=[one[0] for one in SELECTED]
)
def test_it_selects_a_folder(behaviour: Behaviour, spelled: str, name: str, said: list[str]) -> None:
    folders = {"INBOX": maildrop.Folder(), spelled: maildrop.Folder([letter("old")])}
    with ImapServer(folders, behaviour) as server:
        mailbox = open_imap(replace(account(server), folder=name))
        assert len(mailbox.listing().letters) == 1
        assert [line.split()[0] for line in server.said[:-1] if not line.startswith(("CAPABILITY", "LOGIN"))] == said


NAMESPACES = [
    b"{tag} NO no\r\n",
    b"* NAMESPACE NIL NIL NIL\r\n{tag} OK\r\n",
    b"* NAMESPACE\r\n{tag} OK\r\n",
    b"{tag} BAD\r\n",
]


@pytest.mark.parametrize("told", NAMESPACES)
def test_it_names_the_folders_where_none_is_the_wanted_one(told: bytes) -> None:
    behaviour = replace(PERSONAL, faults=(Fault(Step.NAMESPACE, Say(told)),))
    folders = {"INBOX": maildrop.Folder(), "INBOX.Archive": maildrop.Folder()}
    with ImapServer(folders, behaviour) as server, pytest.raises(FolderMissing, match=r"INBOX\.Archive"):
        open_imap(replace(account(server), folder="Archive"))


def test_it_says_so_where_a_folder_that_is_there_is_refused() -> None:
    refusing = Fault(Step.SELECT, Say(b"{tag} NO no play today\r\n"), nth=0)
    folders = {"INBOX": maildrop.Folder(), "Archive": maildrop.Folder()}
    with ImapServer(folders, Behaviour(faults=(refusing,))) as server:
        for name in ("INBOX", "inbox", "Archive"):
            with pytest.raises(ServerRefused, match="no play today") as caught:
                open_imap(replace(account(server), folder=name))
            assert type(caught.value) is ServerRefused


def test_it_says_so_where_the_other_spelling_is_refused_too() -> None:
    refusing = Fault(Step.SELECT, Say(b"{tag} NO [INUSE] not now\r\n"), nth=2)
    folders = {"INBOX": maildrop.Folder(), "Архив": maildrop.Folder()}
    with ImapServer(folders, Behaviour(faults=(refusing,))) as server, pytest.raises(MailboxBusy):
        open_imap(replace(account(server), folder="Архив"))


def test_it_asks_for_no_folders_where_the_server_is_busy() -> None:
    busy = Fault(Step.SELECT, Say(b"{tag} NO [INUSE] not now\r\n"))
    with ImapServer(maildrop.Folder(), Behaviour(faults=(busy,))) as server:
        with pytest.raises(MailboxBusy):
            open_imap(replace(account(server), folder="Archive"))
        assert not [line for line in server.said if line.startswith("LIST")]


def test_it_says_what_was_refused_where_no_folders_are_told() -> None:
    nothing = Fault(Step.LIST, Say(b"{tag} OK done\r\n"))
    with ImapServer(maildrop.Folder(), Behaviour(faults=(nothing,))) as server, pytest.raises(ServerRefused) as caught:
        open_imap(replace(account(server), folder="Archive"))
    assert type(caught.value) is ServerRefused
