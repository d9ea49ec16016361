"""The machine on its own: what it says, what it hears, and that cutting the octets changes nothing."""

import itertools
import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.remote.imap.grammar import Status, StatusLine, Streamed
from fetchrules.remote.imap.protocol import (
    ALONE,
    BELIEVED,
    COMMANDS,
    LETTER_LINES,
    LETTER_OCTETS,
    LINE_MAX,
    LINES_MAX,
    OCTETS_MAX,
    TRANSITIONS,
    Challenge,
    Command,
    Data,
    Event,
    Fetched,
    Greeting,
    ImapProtocol,
    LetterBegan,
    LetterData,
    LetterEnded,
    Notice,
    Reply,
    SessionState,
    Text,
    Verb,
)

CAPABILITY = Command(Verb.CAPABILITY)
STARTTLS = Command(Verb.STARTTLS)
LOGIN = Command(Verb.LOGIN, (Text("petrov"), Text("secret")))
AUTHENTICATE = Command(Verb.AUTHENTICATE, ("PLAIN",))
NAMESPACE = Command(Verb.NAMESPACE)
LIST = Command(Verb.LIST, ('""', '"*"'), letters=10)
SELECT = Command(Verb.SELECT, (Text("INBOX"),))
FETCH = Command(Verb.FETCH, ("1:*", "(UID FLAGS)"), letters=10)
UID1 = Command(Verb.UID_FETCH, ("1", "(UID BODY.PEEK[])"), letters=1)
UID2 = Command(Verb.UID_FETCH, ("2", "(UID BODY.PEEK[])"), letters=1)
STORE = Command(Verb.UID_STORE, ("1", "+FLAGS.SILENT", "(\\Deleted)"))
SEARCH = Command(Verb.UID_SEARCH, ("DELETED",))
EXPUNGE = Command(Verb.EXPUNGE)
LOGOUT = Command(Verb.LOGOUT)

OK, NO, BAD, BYE = StatusLine(Status.OK), StatusLine(Status.NO), StatusLine(Status.BAD), StatusLine(Status.BYE)


class Broken:
    """Stands at the end of a list of events: then the server broke the protocol."""


Events = list[Event | type[Broken]]
Start = Callable[[], ImapProtocol]


def hear(protocol: ImapProtocol, blocks: Iterable[bytes]) -> Events:
    """The events of `blocks`, the data of a letter put together."""
    events: Events = []
    try:
        for block in blocks:
            for event in protocol.receive(block):
                if isinstance(event, LetterData) and events and isinstance(before := events[-1], LetterData):
                    events[-1] = LetterData(before.data + event.data)
                else:
                    events.append(event)
    except RemoteProtocolError:
        events.append(Broken)
    return events


def told(protocol: ImapProtocol, octets: bytes) -> ImapProtocol:
    """The machine once it has heard `octets`."""
    assert Broken not in hear(protocol, [octets])
    return protocol


def greeted(*commands: Command) -> ImapProtocol:
    """A machine in the not authenticated state that has sent `commands`, tagged from A1."""
    protocol = told(ImapProtocol(), b"* OK ready\r\n")
    protocol.pipelining = True
    protocol.send(commands)
    return protocol


def entered(*commands: Command) -> ImapProtocol:
    """The same in the authenticated state; tags begin at A2."""
    protocol = told(greeted(LOGIN), b"A1 OK\r\n")
    protocol.send(commands)
    return protocol


def selected(*commands: Command) -> ImapProtocol:
    """The same in the selected state; tags begin at A3."""
    protocol = told(entered(SELECT), b"A2 OK\r\n")
    protocol.send(commands)
    return protocol


def with_utf8() -> ImapProtocol:
    protocol = greeted()
    protocol.utf8 = True
    return protocol


def fetched(uid: int, **items: bytes) -> Fetched:
    named = {name.encode(): value for name, value in items.items()}
    return Fetched(uid, {b"UID": b"%d" % uid, b"BODY[]": Streamed.VALUE, **named})


TOLD: list[tuple[str, Start, bytes, Events]] = [
    ("greeting", ImapProtocol, b"* OK ready\r\n", [Greeting(StatusLine(Status.OK, "ready"))]),
    ("greeting without text", ImapProtocol, b"* OK\r\n", [Greeting(OK)]),
    (
        "greeting of BYE, and more",
        ImapProtocol,
        b"* BYE [UNAVAILABLE] no\r\nwhatever",
        [Greeting(StatusLine(Status.BYE, "[UNAVAILABLE] no", "UNAVAILABLE"))],
    ),
    ("greeting of PREAUTH", ImapProtocol, b"* PREAUTH hello\r\n", [Broken]),
    ("greeting of NO", ImapProtocol, b"* NO\r\n", [Broken]),
    ("greeting of POP3", ImapProtocol, b"+OK ready\r\n", [Broken]),
    ("greeting of SMTP", ImapProtocol, b"220 ESMTP\r\n", [Broken]),
    ("greeting with a tag", ImapProtocol, b"A1 OK\r\n", [Broken]),
    ("greeting of data", ImapProtocol, b"* 5 EXISTS\r\n", [Broken]),
    ("greeting with a literal", ImapProtocol, b"* LIST () {3}\r\nabc\r\n", [Broken]),
    ("greeting without end", ImapProtocol, b"* OK " + b"x" * LINE_MAX, [Broken]),
    ("greeting with a bare LF", ImapProtocol, b"* OK\n* OK\r\n", [Broken]),
    (
        "capabilities",
        lambda: greeted(CAPABILITY),
        b"* CAPABILITY IMAP4rev1 ID\r\nA1 OK done\r\n",
        [Data("CAPABILITY", None, [b"IMAP4rev1", b"ID"]), Reply(CAPABILITY, StatusLine(Status.OK, "done"))],
    ),
    (
        "names in lower case",
        lambda: greeted(CAPABILITY),
        b"* capability IMAP4rev1\r\nA1 ok\r\n",
        [Data("CAPABILITY", None, [b"IMAP4rev1"]), Reply(CAPABILITY, OK)],
    ),
    (
        "login",
        lambda: greeted(LOGIN, SELECT),
        b"A1 OK\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 5]\r\nA2 OK\r\n",
        [
            Reply(LOGIN, OK),
            Data("EXISTS", 3, []),
            Notice(StatusLine(Status.OK, "[UIDVALIDITY 5]", "UIDVALIDITY", "5")),
            Reply(SELECT, OK),
        ],
    ),
    (
        "login refused",
        lambda: greeted(LOGIN, SELECT),
        b"A1 NO\r\nA2 BAD\r\n",
        [Reply(LOGIN, NO), Reply(SELECT, BAD)],
    ),
    ("blanks before the status", lambda: greeted(LOGIN), b"A1   OK \r\n", [Reply(LOGIN, OK)]),
    (
        "answers in another order",
        lambda: selected(UID1, UID2),
        b"A4 OK\r\nA3 NO\r\n",
        [Reply(UID2, OK), Reply(UID1, NO)],
    ),
    ("an unknown tag", lambda: greeted(LOGIN), b"A2 OK\r\n", [Broken]),
    ("a tag twice", lambda: greeted(LOGIN), b"A1 OK\r\nA1 OK\r\n", [Reply(LOGIN, OK), Broken]),
    ("a tag in lower case", lambda: greeted(LOGIN), b"a1 OK\r\n", [Broken]),
    ("unasked", greeted, b"A1 OK\r\n", [Broken]),
    ("a tag and no status", lambda: greeted(LOGIN), b"A1 FINE\r\n", [Broken]),
    ("a tag and nothing", lambda: greeted(LOGIN), b"A1\r\n", [Broken]),
    ("a tag and BYE", lambda: greeted(LOGIN), b"A1 BYE\r\n", [Broken]),
    ("a tag and a literal", lambda: greeted(LOGIN), b"A1 OK {3}\r\nabc", [Reply(LOGIN, StatusLine(Status.OK, "{3}"))]),
    ("an empty line", lambda: greeted(LOGIN), b"\r\nA1 OK\r\n", [Broken]),
    ("a bare LF", lambda: greeted(LOGIN), b"A1 OK\nA1 OK\r\n", [Broken]),
    ("a lone asterisk", lambda: greeted(LOGIN), b"*\r\n", [Broken]),
    ("an asterisk and blanks", lambda: greeted(LOGIN), b"*  \r\n", [Broken]),
    ("a name that is none", lambda: greeted(LOGIN), b"* ()\r\n", [Broken]),
    ("a NUL in a status", lambda: greeted(LOGIN), b"* OK \0\r\n", [Broken]),
    ("notices", greeted, b"* OK\r\n* NO\r\n* BAD\r\n* BYE\r\n", [Notice(one) for one in (OK, NO, BAD, BYE)]),
    (
        "words that look like a literal",
        lambda: greeted(LOGIN),
        b"* OK [ALERT] used {90}\r\nA1 OK\r\n",
        [Notice(StatusLine(Status.OK, "[ALERT] used {90}", "ALERT")), Reply(LOGIN, OK)],
    ),
    (
        "a challenge",
        lambda: greeted(AUTHENTICATE),
        b"+ \r\n+\r\n+ eA==\r\n",
        [
            Challenge(AUTHENTICATE, b""),
            Challenge(AUTHENTICATE, b""),
            Challenge(AUTHENTICATE, b"eA=="),
        ],
    ),
    ("a challenge that nobody asked for", lambda: greeted(LOGIN), b"+ \r\n", [Broken]),
    ("a challenge out of nothing", greeted, b"+ \r\n", [Broken]),
    ("STARTTLS", lambda: greeted(STARTTLS), b"A1 OK\r\n", [Reply(STARTTLS, OK)]),
    ("STARTTLS and injection", lambda: greeted(STARTTLS), b"A1 OK\r\n* OK hello\r\n", [Reply(STARTTLS, OK), Broken]),
    ("STARTTLS refused", lambda: greeted(STARTTLS), b"A1 NO\r\n* OK\r\n", [Reply(STARTTLS, NO), Notice(OK)]),
    (
        "folders",
        lambda: entered(LIST),
        b'* LIST (\\Marked) "/" INBOX\r\n* LIST () NIL {3}\r\na"b\r\n* LIST () "." "x {3}"\r\nA2 OK\r\n',
        [
            Data("LIST", None, [[b"\\Marked"], b"/", b"INBOX"]),
            Data("LIST", None, [[], None, b'a"b']),
            Data("LIST", None, [[], b".", b"x {3}"]),
            Reply(LIST, OK),
        ],
    ),
    (
        "literals of other kinds",
        lambda: entered(LIST),
        b'* LIST () "/" {1+}\r\na\r\n* LIST () "/" ~{1}\r\nb\r\n* LIST () "/" {0}\r\n\r\n',
        [Data("LIST", None, [[], b"/", name]) for name in (b"a", b"b", b"")],
    ),
    (
        "a name that begins like a literal",
        lambda: entered(LIST),
        b'* LIST () "/" {x}\r\n* LIST () "/" a{}\r\n',
        [Data("LIST", None, [[], b"/", b"{x}"]), Data("LIST", None, [[], b"/", b"a{}"])],
    ),
    ("a broken list", lambda: entered(LIST), b"* LIST (\r\n", [Broken]),
    (
        "namespaces",
        lambda: entered(NAMESPACE),
        b'* NAMESPACE (("INBOX." ".")) NIL NIL\r\nA2 OK\r\n',
        [Data("NAMESPACE", None, [[[b"INBOX.", b"."]], None, None]), Reply(NAMESPACE, OK)],
    ),
    (
        "search",
        lambda: selected(SEARCH),
        b"* SEARCH 1 5\r\n* SEARCH\r\nA3 OK\r\n",
        [Data("SEARCH", None, [b"1", b"5"]), Data("SEARCH", None, []), Reply(SEARCH, OK)],
    ),
    (
        "data that nobody asked for",
        greeted,
        b"* 5 EXISTS\r\n* LIST (\r\n* 1 FETCH (\r\n* SEARCH x\r\n* ESEARCH\r\n",
        [],
    ),
    ("data that is unknown", lambda: selected(FETCH), b"* VANISHED 1:5\r\n* 5 RECENT\r\n* FLAGS ()\r\n", []),
    ("an unknown literal", greeted, b"* X {5}\r\n\r\n\r\n) {2}\r\nab\r\n* OK\r\n", [Notice(OK)]),
    (
        "a listing",
        lambda: selected(FETCH),
        b"* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n*   953 EXISTS\r\n* 2 EXPUNGE\r\n*  2 fetch(uid 8)\r\nA3 OK\r\n",
        [
            Fetched(1, {b"UID": b"7", b"FLAGS": [b"\\Seen"]}),
            Data("EXISTS", 953, []),
            Data("EXPUNGE", 2, []),
            Fetched(2, {b"UID": b"8"}),
            Reply(FETCH, OK),
        ],
    ),
    (
        "a listing with literals and keywords like literals",
        lambda: selected(FETCH),
        b"* 1 FETCH (X {3}\r\n)( UID 7)\r\n* 2 FETCH (UID 8 FLAGS ($a{5}))\r\n",
        [Fetched(1, {b"X": b")( ", b"UID": b"7"}), Fetched(2, {b"UID": b"8", b"FLAGS": [b"$a{5}"]})],
    ),
    ("a number too long", lambda: selected(FETCH), b"* 12345678901 EXISTS\r\n", []),
    ("FETCH without a number", lambda: selected(FETCH), b"* FETCH (UID 7)\r\n", [Fetched(0, {b"UID": b"7"})]),
    ("a UID that is none", lambda: selected(UID1), b'* 1 FETCH (UID x BODY[] "")\r\n', [Broken]),
    (
        "letters",
        lambda: selected(UID1, UID2),
        b"* 2 FETCH (UID 2 BODY[] {4}\r\nb\r\n))\r\nA4 OK\r\n* 1 FETCH (UID 1 BODY[] {5+}\r\n{1}\r\n)\r\nA3 OK\r\n",
        [
            LetterBegan(2),
            LetterData(b"b\r\n)"),
            LetterEnded(2),
            fetched(2),
            Reply(UID2, OK),
            LetterBegan(1),
            LetterData(b"{1}\r\n"),
            LetterEnded(1),
            fetched(1),
            Reply(UID1, OK),
        ],
    ),
    (
        "the UID behind the letter",
        lambda: selected(UID1),
        b"* 1 FETCH (BODY[] {1}\r\nx UID 1)\r\n",
        [LetterBegan(None), LetterData(b"x"), LetterEnded(1), fetched(1)],
    ),
    (
        "an empty letter",
        lambda: selected(UID1),
        b"* 1 FETCH (UID 1 BODY[] {0}\r\n)\r\n",
        [LetterBegan(1), LetterEnded(1), fetched(1)],
    ),
    (
        "a quoted letter",
        lambda: selected(UID1),
        b'* 1 FETCH (UID 1 BODY[] "a \\"b\\"")\r\n* 1 FETCH (UID 1 BODY[] "")\r\n',
        [
            LetterBegan(1),
            LetterData(b'a "b"'),
            LetterEnded(1),
            Fetched(1, {b"UID": b"1", b"BODY[]": b'a "b"'}),
            LetterBegan(1),
            LetterData(b""),
            LetterEnded(1),
            Fetched(1, {b"UID": b"1", b"BODY[]": b""}),
        ],
    ),
    (
        "no letter",
        lambda: selected(UID1),
        b"* 1 FETCH (UID 1 BODY[] NIL)\r\n* 1 FETCH (UID 1 BODY[] )\r\n",
        [Fetched(1, {b"UID": b"1", b"BODY[]": None})] * 2,
    ),
    (
        "a header, blanks, and a literal of eight bits",
        lambda: selected(UID1),
        b"* 1 FETCH (uid  1   body[header]  ~{1}\r\nx  )\r\n",
        [
            LetterBegan(1, header=True),
            LetterData(b"x"),
            LetterEnded(1),
            Fetched(1, {b"UID": b"1", b"BODY[HEADER]": Streamed.VALUE}),
        ],
    ),
    (
        "a blank line behind a letter",
        lambda: selected(UID1),
        b"* 1 FETCH (UID 1 BODY[] {1}\r\nx\r\n \r\n)\r\nA3 OK\r\n",
        [LetterBegan(1), LetterData(b"x"), LetterEnded(1), fetched(1), Reply(UID1, OK)],
    ),
    (
        "a list that ends too early",
        lambda: selected(UID1),
        b"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n FLAGS (\\Seen) RFC822.SIZE 1)\r\nUID 1)\r\nA3 OK\r\n",
        [LetterBegan(1), LetterData(b"x"), LetterEnded(1), fetched(1), Reply(UID1, OK)],
    ),
    (
        "a list that ends too early, in one line",
        lambda: selected(UID1),
        b"* 1 FETCH (BODY[] {1}\r\nx) UID 1 X 5)\r\nA3 OK\r\n",
        [LetterBegan(None), LetterData(b"x"), LetterEnded(1), fetched(1, X=b"5"), Reply(UID1, OK)],
    ),
    (
        "a rest without a letter",
        lambda: selected(UID1),
        b"* 1 FETCH (UID 1)\r\nFLAGS ())\r\n",
        [
            Fetched(1, {b"UID": b"1"}),
            Broken,
        ],
    ),
    (
        "a rest that is no more behind a letter",
        lambda: selected(UID1),
        b"* 1 FETCH (BODY[] {0}\r\n)\r\n* OK\r\nFLAGS ())\r\n",
        [LetterBegan(None), LetterEnded(None), Fetched(1, {b"BODY[]": Streamed.VALUE}), Notice(OK), Broken],
    ),
    (
        "part of a letter",
        lambda: selected(UID1),
        b"* 1 FETCH (UID 1 BODY[]<0> {1}\r\nx)\r\n",
        [Fetched(1, {b"UID": b"1", b"BODY[]<0>": b"x"})],
    ),
    (
        "a letter among flags",
        lambda: selected(FETCH),
        b"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n",
        [LetterBegan(1), LetterData(b"x"), LetterEnded(1), Fetched(1, {b"UID": b"1", b"BODY[]": b"x"})],
    ),
    ("a letter among nothing", selected, b"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n* OK\r\n", [Notice(OK)]),
    (
        "a letter in a list that breaks",
        lambda: selected(UID1),
        b"* 1 FETCH (UID 1 BODY[] {1}\r\nx\r\nA3 OK\r\n",
        [LetterBegan(1), LetterData(b"x"), Broken],
    ),
    ("a literal of 19 digits", lambda: selected(UID1), b"* 1 FETCH (BODY[] {1000000000000000000}\r\n", [Broken]),
    (
        "a literal of 18 digits",
        lambda: selected(UID1),
        b"* 1 FETCH (BODY[] {999999999999999999}\r\nx",
        [LetterBegan(None), LetterData(b"x")],
    ),
    ("a literal that is too large to hold", lambda: selected(UID1), b"* 1 FETCH (X {2000000}\r\n", [Broken]),
    (
        "logout",
        lambda: selected(LOGOUT),
        b"* BYE see you\r\nA3 OK\r\nwhatever\0",
        [Notice(StatusLine(Status.BYE, "see you")), Reply(LOGOUT, OK)],
    ),
    ("logout refused", lambda: selected(LOGOUT), b"A3 BAD\r\n* OK\r\n", [Reply(LOGOUT, BAD), Notice(OK)]),
]

cases = pytest.mark.parametrize(
    ("start", "octets", "events"), [case[1:] for case in TOLD], ids=[case[0] for case in TOLD]
)


@cases
def test_it_tells_what_the_server_said(start: Start, octets: bytes, events: Events) -> None:
    assert hear(start(), [octets]) == events


@cases
@pytest.mark.parametrize("size", [1, 2, 3])
def test_it_tells_the_same_of_octets_that_come_in_pieces(
    start: Start, octets: bytes, events: Events, size: int
) -> None:
    assert hear(start(), [octets[at : at + size] for at in range(0, len(octets), size)]) == events


SESSION = (CAPABILITY, LOGIN, Command(Verb.ID, ("NIL",)), LIST, SELECT, FETCH, UID1, UID2, STORE, SEARCH, EXPUNGE)
SESSIONS = {
    "Dovecot": (
        b"* CAPABILITY IMAP4rev1 LITERAL+ ID\r\nA1 OK Pre-login capabilities listed.\r\n"
        b"A2 OK [CAPABILITY IMAP4rev1 UIDPLUS] Logged in\r\n* ID NIL\r\nA3 OK ID completed.\r\n"
        b'* LIST (\\HasNoChildren) "." INBOX\r\n* LIST () "." {6}\r\na\r\n) b\r\nA4 OK List completed.\r\n'
        b"* FLAGS (\\Answered \\Seen)\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] Flags.\r\n* 2 EXISTS\r\n* 0 RECENT\r\n"
        b"* OK [UIDVALIDITY 1700000000] UIDs valid\r\nA5 OK [READ-WRITE] Select completed.\r\n"
        b'* 1 FETCH (UID 1 FLAGS (\\Seen $x{3}) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 12)\r\n'
        b"* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 0)\r\nA6 OK Fetch completed.\r\n"
        b"* 1 FETCH (UID 1 BODY[] {12}\r\na: b\r\n\r\n) \r\n)\r\nA7 OK Fetch completed.\r\n"
        b"* 2 FETCH (UID 2 BODY[] {0}\r\n)\r\nA8 OK\r\n* 1 FETCH (FLAGS (\\Deleted))\r\nA9 OK\r\n"
        b"* SEARCH 1 2\r\nA10 OK\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\nA11 OK Expunge completed.\r\n"
    ),
    "Exchange": (
        b"* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN\r\nA1 OK\r\nA2 OK LOGIN completed.\r\nA3 BAD Command Error. 10\r\n"
        b'* LIST (\\Marked \\HasNoChildren) "/" INBOX\r\nA4 OK\r\n* 2 EXISTS\r\nA5 OK [READ-WRITE] .\r\n'
        b'* 2 FETCH (RFC822.SIZE 9.3736e+06 UID 2 FLAGS (\\Recent))\r\n* 1 FETCH (UID 1 RFC822.SIZE 5 X "a")\r\nA6 OK\r\n'
        b"* 1 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (BODY[] {3}\r\n\r\n) UID 2)\r\nA8 OK\r\n"
        b"* 1 FETCH (BODY[] {3}\r\nA7 \r\n UID 1)\r\nA7 NO done\r\n"
        b"* 2 EXISTS\r\n* 0 RECENT\r\nA9 OK\r\nA10 OK\r\nA11 OK\r\n"
    ),
    "DavMail": (
        b"* CAPABILITY IMAP4REV1 ID\r\nA1 OK CAPABILITY completed\r\n* OK Still here\r\nA2 OK Authenticated\r\nA3 OK\r\n"
        b'* LIST (\\HasNoChildren) "/" "INBOX"\r\nA4 OK LIST completed\r\n*      953 EXISTS\r\nA5 OK [READ-WRITE] SELECT\r\n'
        b"* 1 FETCH (UID 1   RFC822.SIZE 5  FLAGS (\\Seen) )\r\n*  OK\r\nA6 OK FETCH completed\r\n"
        b'* 1 FETCH (UID 1    BODY[]   {2}\r\n{2\r\n)\r\nA7 OK\r\n* 2 FETCH (UID 2 BODY[] "x\\\\y")\r\nA8 OK\r\n'
        b"A9 OK\r\n* SEARCH\r\nA10 OK\r\nA11 OK\r\n"
    ),
    "one that breaks": (
        b"A1 OK\r\nA2 OK\r\nA3 OK\r\nA4 OK\r\nA5 OK\r\nA6 OK\r\n* 1 FETCH (UID 1 BODY[] {5}\r\nhello"
        b" X {3}\r\nA8 )\r\n* 2 FETCH (UID 2 BODY[] {1}\r\nx\r\n* OK\r\n"
    ),
}


@pytest.mark.parametrize("octets", SESSIONS.values(), ids=SESSIONS)
def test_it_does_not_care_how_a_session_is_cut(octets: bytes) -> None:
    whole = hear(greeted(*SESSION), [octets])
    assert len(whole) > len(SESSION)
    for at in range(1, len(octets)):
        assert hear(greeted(*SESSION), [octets[:at], octets[at:]]) == whole
    for size in (1, 2, 3, 7):
        assert hear(greeted(*SESSION), [octets[at : at + size] for at in range(0, len(octets), size)]) == whole


FRAGMENTS = st.sampled_from(
    [
        b"* ",
        b"* OK x\r\n",
        b"* BYE\r\n",
        b"* 1 FETCH (",
        b"* LIST () NIL ",
        b"* CAPABILITY ",
        b"UID 1 ",
        b"FLAGS (\\Seen) ",
        b"BODY[] ",
        b"BODY[HEADER] ",
        b"{3}\r\n",
        b"{0}\r\n",
        b"~{2+}\r\n",
        b"{99999999999999999999}\r\n",
        b"NIL",
        b'"a"',
        b"(",
        b")",
        b")\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b"+ \r\n",
        b"A1 OK\r\n",
        b"A2 NO [ALERT] x\r\n",
        b"A3 OK\r\n",
        b"A4 BAD\r\n",
    ]
) | st.binary(max_size=8)
STARTS = st.sampled_from(
    [
        (),
        (CAPABILITY, LOGIN, LIST, SELECT),
        (LOGIN, SELECT, UID1, UID2),
        (LOGIN, SELECT, FETCH, UID1),
        (LOGIN, LOGOUT),
        (STARTTLS,),
        (AUTHENTICATE,),
    ]
)


@given(STARTS, st.lists(FRAGMENTS, max_size=30).map(b"".join), st.lists(st.integers(min_value=0), max_size=6))
@example((LOGIN, SELECT, UID1, UID2), b"* 1 FETCH (X BODY[] {3}\r\nabc Y)\r\n", [])
@example((LOGIN, SELECT, UID1, UID2), b"* 1 FETCH (BODY[] {1}\r\nx BODY[] {1}\r\ny BODY[] NIL)\r\n", [])
def test_it_does_not_care_how_anything_is_cut_and_breaks_in_one_way_only(
    commands: tuple[Command, ...], octets: bytes, places: list[int]
) -> None:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    blocks = [octets[start:end] for start, end in itertools.pairwise(edges)]
    whole, cut = greeted(*commands), greeted(*commands)
    assert hear(cut, blocks) == hear(whole, [octets])
    assert cut.state is whole.state
    assert cut.unanswered == whole.unanswered


@given(st.lists(FRAGMENTS, max_size=10).map(b"".join))
def test_it_breaks_in_one_way_only_before_a_greeting(octets: bytes) -> None:
    hear(ImapProtocol(), [octets])


def at(state: SessionState) -> ImapProtocol:
    match state:
        case SessionState.GREETING:
            return ImapProtocol()
        case SessionState.NOT_AUTHENTICATED:
            return greeted()
        case SessionState.TLS:
            return told(greeted(STARTTLS), b"A1 OK\r\n")
        case SessionState.AUTHENTICATED:
            return entered()
        case SessionState.SELECTED:
            return selected()
        case SessionState.LOGOUT:
            return told(greeted(LOGOUT), b"A1 OK\r\n")


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("verb", Verb)
def test_it_sends_what_has_its_place_and_nothing_else(state: SessionState, verb: Verb) -> None:
    protocol = at(state)
    assert protocol.state is state
    if verb in COMMANDS[state]:
        assert protocol.send([Command(verb)]).endswith(f"{verb}\r\n".encode())
        assert protocol.awaited is verb
    else:
        with pytest.raises(LocalProtocolError):
            protocol.send([Command(verb)])


DATA = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n",
    "EXISTS": b"* 5 EXISTS\r\n",
    "EXPUNGE": b"* 5 EXPUNGE\r\n",
    "FETCH": b"* 5 FETCH (UID 7)\r\n",
    "LIST": b"* LIST () NIL x\r\n",
    "NAMESPACE": b"* NAMESPACE NIL NIL NIL\r\n",
    "SEARCH": b"* SEARCH 5\r\n",
}


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("name", BELIEVED)
def test_it_believes_data_only_where_a_command_asks_for_it(name: str, verb: Verb) -> None:
    state = next(state for state in reversed(SessionState) if verb in COMMANDS[state])
    protocol = at(state)
    assert hear(protocol, [DATA[name]]) == []
    tag = protocol.send([Command(verb)]).split()[0]
    assert len(hear(protocol, [DATA[name]])) == (verb in BELIEVED[name])
    told(protocol, tag + b" BAD\r\n")
    assert hear(protocol, [DATA[name]]) == []


def test_each_command_has_its_place() -> None:
    assert set(Verb) == set().union(*COMMANDS.values())
    assert set().union(*BELIEVED.values()) <= set(Verb)
    assert all(any(verb in COMMANDS[state] for state in SessionState) for verb, _ in TRANSITIONS)


STEPS = [
    (before, verb, status)
    for before, verb, status in itertools.product(SessionState, Verb, (Status.OK, Status.NO, Status.BAD))
    if verb in COMMANDS[before]
]


@pytest.mark.parametrize(("before", "verb", "status"), STEPS)
def test_it_goes_from_state_to_state(before: SessionState, verb: Verb, status: Status) -> None:
    protocol = at(before)
    tag = protocol.send([Command(verb)]).split()[0]
    told(protocol, tag + b" " + status.value.encode() + b"\r\n")
    assert protocol.state is TRANSITIONS.get((verb, status), before)
    assert protocol.unanswered == 0


@pytest.mark.parametrize(
    ("octets", "state"), [(b"* OK\r\n", SessionState.NOT_AUTHENTICATED), (b"* BYE\r\n", SessionState.LOGOUT)]
)
def test_it_begins_with_the_greeting(octets: bytes, state: SessionState) -> None:
    assert told(ImapProtocol(), octets).state is state


@pytest.mark.parametrize("verb", sorted(ALONE))
def test_it_sends_nothing_behind_a_command_that_goes_alone(verb: Verb) -> None:
    protocol = greeted(Command(verb))
    with pytest.raises(LocalProtocolError):
        protocol.send([CAPABILITY])
    with pytest.raises(LocalProtocolError):
        greeted().send([Command(verb), CAPABILITY])


def test_it_sends_one_command_at_a_time_unless_told_that_the_server_pipelines() -> None:
    protocol = told(ImapProtocol(), b"* OK\r\n")
    assert protocol.send([LOGIN]) == b'A1 LOGIN "petrov" "secret"\r\n'
    with pytest.raises(LocalProtocolError):
        protocol.send([SELECT])
    told(protocol, b"A1 OK\r\n")
    with pytest.raises(LocalProtocolError):
        protocol.send([SELECT, FETCH])


def test_it_sends_the_listing_right_behind_the_login() -> None:
    said = greeted().send([LOGIN, SELECT, FETCH])
    assert said == b'A1 LOGIN "petrov" "secret"\r\nA2 SELECT "INBOX"\r\nA3 FETCH 1:* (UID FLAGS)\r\n'


@pytest.mark.parametrize(("answers", "command"), [(b"A1 NO\r\nA2 BAD\r\n", LIST), (b"A1 OK\r\nA2 NO\r\n", FETCH)])
def test_it_does_not_believe_in_what_was_refused(answers: bytes, command: Command) -> None:
    protocol = told(greeted(LOGIN, SELECT), answers)
    with pytest.raises(LocalProtocolError):
        protocol.send([command])


def test_it_selects_no_folder_any_more_where_the_next_is_refused() -> None:
    assert told(selected(SELECT), b"A3 NO\r\n").state is SessionState.AUTHENTICATED
    assert told(selected(SELECT), b"A3 BAD\r\n").state is SessionState.SELECTED


def test_it_takes_no_answer_for_a_step_that_has_no_place() -> None:
    """A server that refuses the login and then selects a folder."""
    assert told(greeted(LOGIN, SELECT), b"A1 NO\r\nA2 OK\r\n").state is SessionState.NOT_AUTHENTICATED


def test_it_begins_anew_behind_tls() -> None:
    protocol = at(SessionState.TLS)
    protocol.literal_plus = True
    protocol.begin_tls()
    assert protocol.state is SessionState.NOT_AUTHENTICATED
    assert not protocol.pipelining
    assert not protocol.literal_plus
    assert protocol.send([CAPABILITY]) == b"A2 CAPABILITY\r\n"


def test_it_begins_tls_only_where_the_server_agreed() -> None:
    for protocol in (greeted(), greeted(STARTTLS), told(greeted(STARTTLS), b"A1 NO\r\n")):
        with pytest.raises(LocalProtocolError):
            protocol.begin_tls()


@pytest.mark.parametrize("injected", [b"* OK injected\r\n", b"A2 OK", b"\r\n", b"\x16"])
def test_it_takes_nothing_said_in_the_clear_into_tls(injected: bytes) -> None:
    protocol = greeted(STARTTLS)
    events = protocol.receive(b"A1 OK\r\n" + injected)
    assert next(events) == Reply(STARTTLS, OK)
    with pytest.raises(RemoteProtocolError):
        protocol.begin_tls()


RUSSIAN = Command(Verb.LOGIN, (Text("пётр"), Text("пароль")))


def test_it_waits_to_be_asked_for_a_literal() -> None:
    protocol = greeted()
    assert protocol.send([RUSSIAN]) == b"A1 LOGIN {8}\r\n"
    with pytest.raises(LocalProtocolError):
        protocol.send([CAPABILITY])
    assert hear(protocol, [b"+ go on\r\n"]) == [Challenge(RUSSIAN, b"go on")]
    assert protocol.go_on() == "пётр".encode() + b" {12}\r\n"
    assert hear(protocol, [b"* OK wait\r\n+\r\n"])[1:] == [Challenge(RUSSIAN, b"")]
    assert protocol.go_on() == "пароль\r\n".encode()
    assert hear(protocol, [b"+ more\r\n"]) == [Broken]


def test_it_sends_no_literal_that_was_refused() -> None:
    protocol = greeted(RUSSIAN)
    assert hear(protocol, [b"A1 NO too long\r\n"]) == [Reply(RUSSIAN, StatusLine(Status.NO, "too long"))]
    assert protocol.send([CAPABILITY]) == b"A2 CAPABILITY\r\n"
    assert hear(protocol, [b"+ go on\r\n"]) == [Broken]


def test_it_sends_literals_unasked_where_the_server_takes_them() -> None:
    protocol = greeted()
    protocol.literal_plus = True
    said = protocol.send([RUSSIAN, CAPABILITY])
    assert said == "A1 LOGIN {8+}\r\nпётр {12+}\r\nпароль\r\nA2 CAPABILITY\r\n".encode()


def test_it_quotes_utf8_where_the_server_takes_it() -> None:
    assert with_utf8().send([RUSSIAN]) == 'A1 LOGIN "пётр" "пароль"\r\n'.encode()


def test_it_gives_back_octets_of_a_name_that_are_no_utf8() -> None:
    protocol = entered()
    assert protocol.send([Command(Verb.SELECT, (Text("\udccf\udcf0"),))]) == b"A2 SELECT {2}\r\n"
    assert protocol.go_on() == b"\xcf\xf0\r\n"


def test_it_answers_a_challenge() -> None:
    assert told(greeted(AUTHENTICATE), b"+ \r\n").go_on(b"AGEAYg==") == b"AGEAYg==\r\n"


def test_it_knows_what_is_unanswered() -> None:
    protocol = selected(UID1, FETCH, SEARCH)
    awaited = [(protocol.awaited, protocol.unanswered)]
    for answer in (b"A4 OK\r\n", b"A3 OK\r\n", b"A5 NO\r\n"):
        told(protocol, answer)
        awaited.append((protocol.awaited, protocol.unanswered))
    assert awaited == [(Verb.UID_FETCH, 3), (Verb.UID_FETCH, 2), (Verb.UID_SEARCH, 1), (None, 0)]


@pytest.mark.parametrize(
    "octets", [b"*", b"* 1 FETCH (UID 1 BODY[] {3}\r\n", b"* 1 FETCH (BODY[] {3}\r\nabc", b"A3 OK\r"]
)
def test_it_knows_whether_an_answer_is_under_way(octets: bytes) -> None:
    protocol = selected(UID1)
    assert [protocol.answering, told(protocol, octets).answering] == [False, True]
    assert not told(selected(UID1), b"A3 OK\r\n").answering


def longest(octets: int) -> bytes:
    return b"* OK " + b"x" * (octets - 7) + b"\r\n"


def test_it_takes_no_literal_that_would_be_too_large_in_the_end() -> None:
    assert hear(entered(NAMESPACE), [b"* X {%d}\r\n" % OCTETS_MAX]) == [Broken]


def test_it_takes_lines_of_some_length() -> None:
    assert hear(greeted(), [longest(LINE_MAX)]) != [Broken]
    assert hear(greeted(), [longest(LINE_MAX + 2)]) == [Broken]
    assert hear(greeted(), [b"x" * (LINE_MAX + 1)]) == [Broken]


@pytest.mark.parametrize("line", [b"* OK\r\n", b"* 5 EXISTS\r\n", b"* X\r\n", b"* X {0}\r\n\r\n"])
def test_it_takes_so_many_lines_and_no_more(line: bytes) -> None:
    lines = LINES_MAX // line.count(b"\n")
    assert Broken not in hear(entered(NAMESPACE), [line * lines])
    assert hear(entered(NAMESPACE), [line * (lines + 1)])[-1] is Broken


@pytest.mark.parametrize("line", [longest(4096), b"* X {10000}\r\n" + b"x" * 10_000 + b"\r\n"])
def test_it_takes_so_many_octets_and_no_more(line: bytes) -> None:
    lines = OCTETS_MAX // len(line)
    assert Broken not in hear(entered(NAMESPACE), [line * lines])
    assert hear(entered(NAMESPACE), [line * (lines + 1)])[-1] is Broken


def test_it_takes_more_where_it_asks_for_letters() -> None:
    many = Command(Verb.FETCH, ("1:1000", "(UID)"), letters=1000)
    lines = LINES_MAX + 1000 * LETTER_LINES
    assert Broken not in hear(selected(many), [b"* OK\r\n" * lines])
    assert hear(selected(many), [b"* OK\r\n" * (lines + 1)])[-1] is Broken
    octets = (OCTETS_MAX + 1000 * LETTER_OCTETS) // 1024
    assert Broken not in hear(selected(many), [longest(1024)] * octets)
    assert hear(selected(many), [longest(1024)] * (octets + 1))[-1] is Broken


def test_it_counts_anew_behind_each_answer() -> None:
    protocol = entered()
    for number in range(2, 5):
        protocol.send([NAMESPACE])
        assert Broken not in hear(protocol, [b"* OK\r\n" * (LINES_MAX - 1), b"A%d OK\r\n" % number])
    assert hear(protocol, [b"* OK\r\n" * (LINES_MAX + 1)])[-1] is Broken


def test_it_counts_no_octets_of_letters() -> None:
    protocol = selected(UID1)
    large = 3 * OCTETS_MAX
    assert (
        hear(protocol, [b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % large, b"x" * large, b")\r\nA3 OK\r\n"])[-1] is not Broken
    )


def test_it_reads_lists_to_some_depth() -> None:
    assert hear(entered(LIST), [b"* LIST " + b"(" * 100 + b")" * 100 + b"\r\n"]) == [Broken]


def test_it_holds_little_of_a_letter_of_any_size() -> None:
    protocol = told(selected(UID1), b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % (32 * 1024 * 1024))
    block = b"x" * 65536
    tracemalloc.start()
    try:
        octets = sum(
            len(event.data) for _ in range(512) for event in protocol.receive(block) if isinstance(event, LetterData)
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert octets == 32 * 1024 * 1024
    assert peak < 1024 * 1024
    assert hear(protocol, [b")\r\nA3 OK\r\n"]) == [LetterEnded(1), fetched(1), Reply(UID1, OK)]


def test_it_says_in_an_error_what_the_server_said() -> None:
    with pytest.raises(RemoteProtocolError, match=r"what\?"):
        list(greeted(LOGIN).receive(b"what?\r\n"))
