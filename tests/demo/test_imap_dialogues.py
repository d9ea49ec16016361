"""The built-in IMAP server's answers, line by line, as RFC 3501 and RFC 4315 have them."""

import re
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fetchrules.demo.imap import ImapServer, ImapSession
from fetchrules.demo.maildrop import Mailbox
from fetchrules.demo.server import MAX_LINE
from tests.demo.conftest import PASSWORD, USER

MOMENT = datetime(2026, 8, 1, 11, 28, 5, tzinfo=UTC)
ORDERS = "&BBcEMAQ6BDAENwRL-"
LETTER = (
    b"Subject: one\r\nFrom: a@b.example,\r\n c@d.example\r\nDate: Fri, 31 Jul 2026 10:00:00 +0000\r\n\r\n.\r\nbody\r\n"
)


class Dialogue:
    """A client that knows no IMAP: it sends lines and reads lines."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._answers = self._socket.makefile("rb")
        assert self.line().startswith("* OK [CAPABILITY IMAP4rev1 ")

    def line(self) -> str:
        """The next line, or nothing when the server has hung up."""
        return self._answers.readline().decode().removesuffix("\r\n")

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode())

    def ask(self, command: str) -> list[str]:
        """The lines of the answer, the last one with the tag t."""
        self.send(f"t {command}\r\n")
        answer = [self._answers.readline()]
        while answer[-1] and not answer[-1].startswith(b"t "):
            answer.append(self._answers.readline())
        return [line.decode().removesuffix("\r\n") for line in answer]

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


@pytest.fixture
def client(imap: ImapServer) -> Iterator[Dialogue]:
    dialogue = Dialogue(imap.port)
    yield dialogue
    dialogue.close()


@pytest.fixture
def other(imap: ImapServer) -> Iterator[Dialogue]:
    dialogue = Dialogue(imap.port)
    dialogue.ask(f"LOGIN {USER} {PASSWORD}")
    dialogue.ask("SELECT INBOX")
    yield dialogue
    dialogue.close()


@pytest.fixture
def letters(mailbox: Mailbox) -> Mailbox:
    """Three letters in INBOX, the second read; one in another folder."""
    for number, flags in enumerate(((), ("\\Seen",), ())):
        text = LETTER.replace(b"one", (b"one", b"two", b"=?utf-8?b?0KLRgNC4?=")[number])
        mailbox.inbox.add(text, MOMENT + timedelta(days=number), *flags)
    mailbox.made(ORDERS).add(LETTER, MOMENT)
    return mailbox


LOGIN = f"LOGIN {USER} {PASSWORD}"
PLAIN = b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
LOGGED_IN = "t OK [CAPABILITY IMAP4rev1 AUTH=PLAIN UIDPLUS UNSELECT] logged in"


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (f"t {LOGIN}\r\n", [LOGGED_IN]),
        (f't login "{USER}" "{PASSWORD}"\r\n', [LOGGED_IN]),
        (f"t LOGIN {{5}}\r\n{USER} {{11}}\r\n{PASSWORD}\r\n", ["+ go on", "+ go on", LOGGED_IN]),
        (f"t AUTHENTICATE PLAIN\r\n{PLAIN}\r\n", ["+ ", LOGGED_IN]),
        ("t AUTHENTICATE PLAIN\r\n*\r\n", ["+ ", "t BAD not what PLAIN expects"]),
        ("t AUTHENTICATE CRAM-MD5\r\n", ["t NO [CANNOT] PLAIN is all that there is"]),
        (f"t LOGIN {USER} wrong\r\n", ["t NO [AUTHENTICATIONFAILED] wrong user or password"]),
        ("t LOGIN nobody x\r\n", ["t NO [AUTHENTICATIONFAILED] wrong user or password"]),
        ('t LOGIN nobody ""\r\n', ["t NO [AUTHENTICATIONFAILED] wrong user or password"]),
        ("t LOGIN (a) b\r\n", ["t BAD other arguments are expected"]),
        ("t SELECT INBOX\r\n", ["t BAD no such command, or log in first"]),
        ("t LOGOUT\r\n", ["* BYE until next time", "t OK done", ""]),
        ("t LOGIN {65536}\r\nt NOOP\r\n", ["t NO [TOOBIG] too long a command", "t OK done"]),
        ("t NOOP " + "x" * MAX_LINE + "\r\n", ["* BYE too long a line", ""]),
        ("\r\n", ["* BAD a command begins with a tag"]),
        ("t\r\n", ["t BAD other arguments are expected"]),
        ("t NOOP (\r\n", ["t BAD a list does not end"]),
        ("t NOOP )\r\n", ["t BAD a list ends that did not begin"]),
        ("t NOOP " + "(" * 30 + "\r\n", ["t BAD lists too deep"]),
        ('t LOGIN "a\r\n', ["t BAD not an argument"]),
        ("t LOGOUT\r\nt NOOP\r\n", ["* BYE until next time", "t OK done", ""]),
    ],
)
def test_it_lets_in_who_knows_the_password(client: Dialogue, said: str, answered: list[str]) -> None:
    client.send(said)
    assert [client.line() for _ in answered] == answered


AUTHENTICATED = [
    ("CAPABILITY", ["* CAPABILITY IMAP4rev1 AUTH=PLAIN UIDPLUS UNSELECT", "t OK done"]),
    (LOGIN, ["t BAD no such command, or select a folder first"]),
    ('LIST "" ""', ['* LIST (\\Noselect) "/" ""', "t OK done"]),
    ('LIST "" "*"', ['* LIST (\\HasNoChildren) "/" "INBOX"', f'* LIST (\\HasNoChildren) "/" "{ORDERS}"', "t OK done"]),
    ('LIST "" *', ['* LIST (\\HasNoChildren) "/" "INBOX"', f'* LIST (\\HasNoChildren) "/" "{ORDERS}"', "t OK done"]),
    ('LIST "" inbox', ['* LIST (\\HasNoChildren) "/" "INBOX"', "t OK done"]),
    ('LIST "" In%', ['* LIST (\\HasNoChildren) "/" "INBOX"', "t OK done"]),
    ('LSUB "" "%BD*"', [f'* LSUB (\\HasNoChildren) "/" "{ORDERS}"', "t OK done"]),
    ('LIST "" nothing', ["t OK done"]),
    ("LIST INBOX", ["t BAD other arguments are expected"]),
    ("STATUS inbox (MESSAGES unseen)", ['* STATUS "inbox" (MESSAGES 3 UNSEEN 2)', "t OK done"]),
    ("STATUS INBOX (UIDNEXT RECENT)", ['* STATUS "INBOX" (UIDNEXT 4 RECENT 0)', "t OK done"]),
    ("STATUS INBOX (SIZES)", ["t BAD no such status item"]),
    ("STATUS INBOX", ["t BAD a folder and a list are expected"]),
    ("SELECT ../petrov", ["t NO [NONEXISTENT] there is no such folder"]),
    ("SELECT .folders", ["t NO [NONEXISTENT] there is no such folder"]),
    ("FETCH 1 FLAGS", ["t BAD no such command, or select a folder first"]),
    ("CREATE new", ["t NO [CANNOT] folders stay as they are here, and letters where they are"]),
]


@pytest.mark.parametrize(("command", "answer"), AUTHENTICATED)
def test_it_answers_who_is_logged_in(client: Dialogue, letters: Mailbox, command: str, answer: list[str]) -> None:
    client.ask(LOGIN)
    assert client.ask(command) == answer


SIZE = len(LETTER)
SELECTED = [
    ("FETCH 2 FLAGS", ["* 2 FETCH (FLAGS (\\Seen))", "t OK done"]),
    ("FETCH 1:2 (UID)", ["* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)", "t OK done"]),
    ("FETCH 3:*,*:3 UID", ["* 3 FETCH (UID 3)", "t OK done"]),
    ("UID FETCH 9:* FLAGS", ["* 3 FETCH (UID 3 FLAGS ())", "t OK done"]),
    ("UID FETCH 7,2 RFC822.SIZE", [f"* 2 FETCH (UID 2 RFC822.SIZE {SIZE})", "t OK done"]),
    ("UID FETCH 7 FLAGS", ["t OK done"]),
    (
        "FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)",
        [f'* 1 FETCH (FLAGS () INTERNALDATE "01-Aug-2026 11:28:05 +0000" RFC822.SIZE {SIZE})', "t OK done"],
    ),
    ("FETCH 1 BODY.PEEK[]<0.9>", ["* 1 FETCH (BODY[]<0> {9}", "Subject: )", "t OK done"]),
    (f"FETCH 1 BODY.PEEK[]<{SIZE - 3}.9>", [f"* 1 FETCH (BODY[]<{SIZE - 3}> {{3}}", "y", ")", "t OK done"]),
    ("FETCH 1 BODY.PEEK[]<4000.9>", ["* 1 FETCH (BODY[]<4000> {0}", ")", "t OK done"]),
    ("FETCH 1 body.peek[text]", ["* 1 FETCH (BODY[text] {9}", ".", "body", ")", "t OK done"]),
    (
        "FETCH 1 BODY.PEEK[HEADER.FIELDS (FROM Subject)]",
        [
            "* 1 FETCH (BODY[HEADER.FIELDS (FROM Subject)] {50}",
            "Subject: one",
            "From: a@b.example,",
            " c@d.example",
            "",
            ")",
            "t OK done",
        ],
    ),
    (
        "FETCH 1 RFC822.TEXT",
        ["* 1 FETCH (RFC822.TEXT {9}", ".", "body", ")", "* 1 FETCH (UID 1 FLAGS (\\Seen))", "t OK done"],
    ),
    ("FETCH 4 FLAGS", ["t BAD there is no letter of that number"]),
    ("FETCH 0 FLAGS", ["t BAD not a sequence set"]),
    ("FETCH 1:x FLAGS", ["t BAD not a sequence set"]),
    ("FETCH 1 X-GM-MSGID", ["t BAD no such data item"]),
    ("FETCH 1 BODY[", ["t BAD not an argument"]),
    ("FETCH 1 BODY.PEEK[]<0.0>", ["t BAD no such data item"]),
    ("FETCH 1 BODYSTRUCTURE", ["t NO [CANNOT] this server does not look into the structure of its letters"]),
    ("FETCH 1 BODY[1.MIME]", ["t NO [CANNOT] this server does not look into the parts of its letters"]),
    ("FETCH 1", ["t BAD letters and what to fetch of them are expected"]),
    ("STORE 1 +FLAGS (\\seen $Junk)", ["* 1 FETCH (UID 1 FLAGS ($Junk \\Seen))", "t OK done"]),
    ("STORE 1:2 FLAGS \\Draft", [f"* {n} FETCH (UID {n} FLAGS (\\Draft))" for n in (1, 2)] + ["t OK done"]),
    ("UID STORE 2 -FLAGS.SILENT (\\Seen)", ["t OK done"]),
    ("STORE 1 +FLAGS (\\Recent)", ["t BAD not a flag that can be set"]),
    ("STORE 1 +FLAGS", ["t BAD letters, FLAGS and flags are expected"]),
    ("STORE 1 LABELS (x)", ["t BAD no such data item"]),
    ("COPY 1 INBOX", ["t NO [CANNOT] folders stay as they are here, and letters where they are"]),
    ("EXPUNGE", ["t OK done"]),
    ("EXPUNGE 1", ["t BAD other arguments are expected"]),
    ("SEARCH ALL", ["* SEARCH 1 2 3", "t OK done"]),
    ("UID SEARCH UNSEEN", ["* SEARCH 1 3", "t OK done"]),
    ("SEARCH NOT UNSEEN", ["* SEARCH 2", "t OK done"]),
    ("SEARCH DELETED", ["* SEARCH", "t OK done"]),
    ("UID SEARCH UID 2:* NOT SEEN", ["* SEARCH 3", "t OK done"]),
    ("SEARCH SEEN UNSEEN", ["* SEARCH", "t OK done"]),
    ("SEARCH SUBJECT two", ["t NO [CANNOT] this server looks for flags and UIDs only"]),
    ("SEARCH UID", ["t BAD not a sequence set"]),
    ("SEARCH", ["t BAD search keys are expected"]),
    ("SEARCH (SEEN)", ["t BAD other arguments are expected"]),
    ("UNSELECT", ["t OK done"]),
    ("NOOP", ["t OK done"]),
]


@pytest.mark.parametrize(("command", "answer"), SELECTED)
def test_it_answers_who_has_selected(client: Dialogue, letters: Mailbox, command: str, answer: list[str]) -> None:
    client.ask(LOGIN)
    client.ask("SELECT INBOX")
    assert client.ask(command) == answer


def test_it_tells_what_is_in_a_folder(client: Dialogue, letters: Mailbox) -> None:
    client.ask(LOGIN)
    letters.made(ORDERS).change_flags({1}, lambda _: frozenset({"$Junk"}))
    told = client.ask(f"SELECT {ORDERS}")
    validity = letters.made(ORDERS).uidvalidity
    flags = "(\\Answered \\Deleted \\Draft \\Flagged \\Seen)"
    assert told[:3] == [f"* FLAGS ($Junk {flags[1:]}", "* 1 EXISTS", "* 0 RECENT"]
    codes = [re.sub(r".*\[(.*)\].*", r"\1", line) for line in told[3:]]
    assert codes == [
        "UNSEEN 1",
        f"PERMANENTFLAGS (\\* {flags[1:]}",
        "UIDNEXT 2",
        f"UIDVALIDITY {validity}",
        "READ-WRITE",
    ]


class FromMemory:
    """A wire whose client has said all its lines before it reads an answer. `answered` is called with each answer."""

    def __init__(self, *lines: str, answered: Callable[[bytes], None]) -> None:
        self._lines = iter(lines)
        self._answered = answered

    def read_line(self) -> bytes:
        return next(self._lines).encode()

    def read(self, size: int) -> bytes:
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        self._answered(data)


def test_it_does_not_take_back_what_it_has_just_told(letters: Mailbox) -> None:
    told: list[bytes] = []

    def answered(line: bytes) -> None:
        told.append(line)
        if line == b"* 3 EXISTS\r\n":
            letters.inbox.remove(letters.inbox.scan()[:1])

    wire = FromMemory(f"a {LOGIN}", "b SELECT INBOX", "c NOOP", "d LOGOUT", answered=answered)
    ImapSession(wire, lambda *_: letters.folders()).run()
    selected = told.index(b"b OK [READ-WRITE] selected\r\n")
    assert told[selected - 1].startswith(b"* OK [UIDVALIDITY")
    assert told[selected + 1 : selected + 3] == [b"* 1 EXPUNGE\r\n", b"c OK done\r\n"]


def test_it_leaves_the_folder_when_the_next_one_is_not_there(client: Dialogue, letters: Mailbox) -> None:
    client.ask(LOGIN)
    client.ask("SELECT INBOX")
    client.ask("SELECT nowhere")
    assert client.ask("CHECK") == ["t BAD no such command, or select a folder first"]


def test_it_changes_nothing_in_a_folder_that_is_examined(client: Dialogue, letters: Mailbox) -> None:
    client.ask(LOGIN)
    before = letters.inbox.scan()
    assert client.ask("EXAMINE INBOX")[-1] == "t OK [READ-ONLY] selected"
    client.ask("FETCH 1 BODY[]")
    for command in ("STORE 1 +FLAGS (\\Deleted)", "EXPUNGE", "UID EXPUNGE 1"):
        assert client.ask(command) == ["t NO [READ-ONLY] the folder was opened by EXAMINE"]
    assert client.ask("CLOSE") == ["t OK done"]
    assert letters.inbox.scan() == before


def test_it_expunges_what_is_named_and_flagged(client: Dialogue, letters: Mailbox) -> None:
    client.ask(LOGIN)
    client.ask("SELECT INBOX")
    client.ask("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    assert client.ask("UID EXPUNGE 2:3") == ["* 2 EXPUNGE", "t OK done"]
    assert client.ask("UID SEARCH ALL") == ["* SEARCH 1 3", "t OK done"]
    assert client.ask("EXPUNGE") == ["* 1 EXPUNGE", "t OK done"]
    assert [letter.uid for letter in letters.inbox.scan()] == [3]


def test_it_expunges_silently_when_a_folder_is_closed(client: Dialogue, letters: Mailbox) -> None:
    client.ask(LOGIN)
    client.ask("SELECT INBOX")
    client.ask("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert client.ask("UNSELECT") == ["t OK done"]
    assert len(letters.inbox.scan()) == 3
    client.ask("SELECT INBOX")
    assert client.ask("CLOSE") == ["t OK done"]
    assert [letter.uid for letter in letters.inbox.scan()] == [2, 3]


def test_it_tells_what_others_did_and_renumbers_when_it_may(
    client: Dialogue, other: Dialogue, letters: Mailbox
) -> None:
    client.ask(LOGIN)
    client.ask("SELECT INBOX")
    other.ask("NOOP")
    other.ask("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    other.ask("EXPUNGE")
    letters.inbox.add(LETTER, MOMENT)
    assert client.ask("FETCH 3 UID") == ["* 3 FETCH (UID 3)", "* 4 EXISTS", "t OK done"]
    assert client.ask("FETCH 1 UID") == ["* 1 FETCH (UID 1)", "t OK done"]
    assert client.ask("FETCH 1,3 BODY.PEEK[TEXT]")[-1] == "t NO [EXPUNGEISSUED] some of these letters have gone"
    assert client.ask("UID FETCH 1 BODY.PEEK[]") == ["* 2 EXPUNGE", "* 1 EXPUNGE", "t OK done"]
    assert client.ask("SEARCH ALL") == ["* SEARCH 1 2", "t OK done"]
    other.ask("NOOP")
    other.ask("STORE 2 +FLAGS (\\Flagged)")
    assert client.ask("NOOP") == ["* 2 FETCH (UID 4 FLAGS (\\Flagged))", "t OK done"]
    assert client.ask("NOOP") == ["t OK done"]


def test_it_gives_no_uid_twice(letters: Mailbox) -> None:
    inbox = letters.inbox
    inbox.remove(inbox.scan())
    letters.inbox.add(LETTER, MOMENT)
    assert [letter.uid for letter in letters.inbox.scan()] == [4]
