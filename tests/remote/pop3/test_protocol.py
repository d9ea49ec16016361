"""The machine on its own: what it says, what it hears, and that cutting the octets changes nothing."""

import itertools
import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.remote.pop3 import protocol as machine
from fetchrules.remote.pop3.grammar import LINE_MAX, Status, StatusLine
from fetchrules.remote.pop3.protocol import (
    COMMANDS,
    MULTILINE,
    STREAMED,
    Command,
    Event,
    Greeting,
    LetterBegan,
    LetterData,
    LetterEnded,
    Pop3Protocol,
    Reply,
    SessionState,
    Verb,
)

AUTH_PLAIN = Command(Verb.AUTH, "PLAIN")
CAPA = Command(Verb.CAPA)
LIST = Command(Verb.LIST)
QUIT = Command(Verb.QUIT)
STAT = Command(Verb.STAT)
STLS = Command(Verb.STLS)
UIDL = Command(Verb.UIDL)

OK, ERR = StatusLine(Status.OK), StatusLine(Status.ERR)
USER, PASS = Command(Verb.USER, "petrov"), Command(Verb.PASS, "secret")
RETR1, RETR2, DELE1 = Command(Verb.RETR, "1"), Command(Verb.RETR, "2"), Command(Verb.DELE, "1")
TOP1 = Command(Verb.TOP, "1 0")
CREDENTIALS = Command(Verb.CREDENTIALS, "AHBldHJvdgBzZWNyZXQ=")

APOP = Command(Verb.APOP, "petrov c4c9334bac560ecc979e58001b3e22fb")

LOGIN = b"+OK\r\n+OK\r\n+OK\r\n"


class Broken:
    """Stands at the end of a list of events: then the server broke the protocol."""


def hear(protocol: Pop3Protocol, blocks: Iterable[bytes]) -> list[Event | type[Broken]]:
    """The events of `blocks`, the data of a letter put together."""
    events: list[Event | type[Broken]] = []
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


def opened(*commands: Command) -> Pop3Protocol:
    """A machine in the AUTHORIZATION state that has sent `commands`."""
    protocol = Pop3Protocol()
    hear(protocol, [b"+OK ready\r\n"])
    protocol.pipelining = True
    protocol.send(commands)
    return protocol


def entered(*commands: Command) -> Pop3Protocol:
    """A machine in the TRANSACTION state that has sent `commands`."""
    protocol = opened(USER, PASS)
    hear(protocol, [b"+OK\r\n+OK\r\n"])
    protocol.send(commands)
    return protocol


def answering(*commands: Command) -> Pop3Protocol:
    """A machine within AUTH that has sent `commands`."""
    protocol = opened(AUTH_PLAIN)
    hear(protocol, [b"+ \r\n"])
    protocol.send(commands)
    return protocol


TOLD: list[tuple[str, Callable[[], Pop3Protocol], bytes, list[Event | type[Broken]]]] = [
    ("greeting", Pop3Protocol, b"+OK ready <1.2@x>\r\n", [Greeting(StatusLine(Status.OK, "ready <1.2@x>"))]),
    (
        "greeting refused",
        Pop3Protocol,
        b"-ERR [SYS/TEMP] no\r\n",
        [Greeting(StatusLine(Status.ERR, "[SYS/TEMP] no", "SYS/TEMP"))],
    ),
    ("greeting, then more", Pop3Protocol, b"+OK\r\n+OK\r\n", [Greeting(OK), Broken]),
    ("greeting refused, then more", Pop3Protocol, b"-ERR\r\nwhatever", [Greeting(ERR)]),
    ("greeting of SMTP", Pop3Protocol, b"220 ESMTP\r\n", [Broken]),
    ("greeting that asks", Pop3Protocol, b"+ \r\n", [Broken]),
    ("greeting without end", Pop3Protocol, b"+OK " + b"x" * LINE_MAX, [Broken]),
    (
        "longest greeting",
        Pop3Protocol,
        b"+OK " + b"x" * (LINE_MAX - 6) + b"\r\n",
        [Greeting(StatusLine(Status.OK, "x" * (LINE_MAX - 6)))],
    ),
    ("greeting too long by one", Pop3Protocol, b"+OK " + b"x" * (LINE_MAX - 5) + b"\r\n", [Broken]),
    ("greeting too long by a CR", Pop3Protocol, b"+OK " + b"x" * (LINE_MAX - 6) + b"\r\r\n", [Broken]),
    ("bare LF", lambda: opened(USER), b"+OK\n+OK\r\n", [Broken]),
    ("capabilities", lambda: opened(CAPA), b"+OK\r\nTOP\r\n.\r\n", [Reply(CAPA, OK, b"TOP\r\n")]),
    ("no capabilities", lambda: opened(CAPA), b"-ERR\r\n", [Reply(CAPA, ERR)]),
    (
        "login",
        lambda: opened(USER, PASS, UIDL),
        b"+OK\r\n+OK\r\n+OK\r\n1 a\r\n.\r\n",
        [Reply(USER, OK), Reply(PASS, OK), Reply(UIDL, OK, b"1 a\r\n")],
    ),
    (
        "login refused",
        lambda: opened(USER, PASS, UIDL),
        b"+OK\r\n-ERR\r\n-ERR\r\n",
        [Reply(USER, OK), Reply(PASS, ERR), Reply(UIDL, ERR)],
    ),
    ("login, neither", lambda: opened(USER), b"USER? what is that\r\n", [Broken]),
    ("login asks for more", lambda: opened(USER), b"+ \r\n", [Broken]),
    ("SASL", lambda: opened(AUTH_PLAIN), b"+ \r\n", [Reply(AUTH_PLAIN, StatusLine(Status.CONTINUE))]),
    ("SASL refused", lambda: opened(AUTH_PLAIN), b"-ERR\r\n", [Reply(AUTH_PLAIN, ERR)]),
    ("SASL accepts nothing", lambda: opened(AUTH_PLAIN), b"+OK\r\n", [Broken]),
    (
        "SASL goes on",
        lambda: answering(CREDENTIALS),
        b"+ more\r\n",
        [Reply(CREDENTIALS, StatusLine(Status.CONTINUE, "more"))],
    ),
    ("SASL accepts", lambda: answering(CREDENTIALS), b"+OK\r\n", [Reply(CREDENTIALS, OK)]),
    ("APOP", lambda: opened(APOP, STAT), b"+OK\r\n+OK\r\n", [Reply(APOP, OK), Reply(STAT, OK)]),
    ("APOP asks for more", lambda: opened(APOP), b"+ \r\n", [Broken]),
    ("STLS", lambda: opened(STLS), b"+OK\r\n", [Reply(STLS, OK)]),
    ("STLS and injection", lambda: opened(STLS), b"+OK\r\n+OK injected\r\n", [Reply(STLS, OK), Broken]),
    ("unasked", entered, b"-ERR idle for too long\r\n", [Broken]),
    ("empty listing", lambda: entered(LIST), b"+OK\r\n.\r\n", [Reply(LIST, OK)]),
    ("stuffed listing", lambda: entered(LIST), b"+OK\r\n..\r\n.\r\n", [Reply(LIST, OK, b".\r\n")]),
    (
        "letter",
        lambda: entered(RETR1),
        b"+OK\r\na\r\n..b\r\n.\r\n",
        [LetterBegan(RETR1, OK), LetterData(b"a\r\n.b\r\n"), LetterEnded(RETR1)],
    ),
    ("empty letter", lambda: entered(RETR1), b"+OK\r\n.\r\n", [LetterBegan(RETR1, OK), LetterEnded(RETR1)]),
    (
        "header",
        lambda: entered(TOP1, RETR2),
        b"+OK\r\nA: b\r\n\r\n.\r\n-ERR\r\n",
        [LetterBegan(TOP1, OK), LetterData(b"A: b\r\n\r\n"), LetterEnded(TOP1), Reply(RETR2, ERR)],
    ),
    ("header refused", lambda: entered(TOP1), b"-ERR\r\n", [Reply(TOP1, ERR)]),
    (
        "letter refused",
        lambda: entered(RETR1, RETR2),
        b"-ERR\r\n+OK\r\nb\r\n.\r\n",
        [Reply(RETR1, ERR), LetterBegan(RETR2, OK), LetterData(b"b\r\n"), LetterEnded(RETR2)],
    ),
    (
        "letters",
        lambda: entered(RETR1, RETR2),
        b"+OK\r\n\r\n.\r\n+OK\r\nb\r\n.\r\n",
        [
            LetterBegan(RETR1, OK),
            LetterData(b"\r\n"),
            LetterEnded(RETR1),
            LetterBegan(RETR2, OK),
            LetterData(b"b\r\n"),
            LetterEnded(RETR2),
        ],
    ),
    (
        "letter and more",
        lambda: entered(RETR1),
        b"+OK\r\n.\r\n+OK\r\n",
        [LetterBegan(RETR1, OK), LetterEnded(RETR1), Broken],
    ),
    ("quit", lambda: entered(QUIT), b"+OK bye\r\nwhatever", [Reply(QUIT, StatusLine(Status.OK, "bye"))]),
    ("quit refused", lambda: entered(QUIT), b"-ERR\r\n", [Reply(QUIT, ERR)]),
]

cases = pytest.mark.parametrize(
    ("start", "octets", "events"), [case[1:] for case in TOLD], ids=[case[0] for case in TOLD]
)


@cases
def test_it_tells_what_the_server_said(
    start: Callable[[], Pop3Protocol], octets: bytes, events: list[Event | type[Broken]]
) -> None:
    assert hear(start(), [octets]) == events


@cases
def test_it_tells_the_same_of_octets_that_come_one_by_one(
    start: Callable[[], Pop3Protocol], octets: bytes, events: list[Event | type[Broken]]
) -> None:
    assert hear(start(), [bytes([octet]) for octet in octets]) == events


FRAGMENTS = st.sampled_from(
    [
        b"+OK\r\n",
        b"-ERR [SYS/TEMP] x\r\n",
        b"+ \r\n",
        b".\r\n",
        b"..\r\n",
        b"1 uid\r\n",
        b"\r",
        b"\n",
        b"\0",
        b".",
        b"a",
        b"+OK",
    ]
) | st.binary(max_size=8)
STARTS = st.sampled_from(
    [
        (),
        (CAPA, USER, PASS, STAT, UIDL, LIST),
        (USER, PASS, RETR1, RETR2, DELE1),
        (USER, PASS, RETR1, QUIT),
        (USER, PASS, TOP1, RETR2),
        (STLS,),
        (AUTH_PLAIN,),
        (APOP, STAT, UIDL, LIST),
    ]
)


@given(STARTS, st.lists(FRAGMENTS, max_size=30).map(b"".join), st.lists(st.integers(min_value=0), max_size=6))
def test_it_does_not_care_how_anything_is_cut_and_breaks_in_one_way_only(
    commands: tuple[Command, ...], octets: bytes, places: list[int]
) -> None:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    blocks = [octets[start:end] for start, end in itertools.pairwise(edges)]
    whole, cut = opened(*commands), opened(*commands)
    assert hear(cut, blocks) == hear(whole, [octets])
    assert cut.state is whole.state
    assert cut.unanswered == whole.unanswered


def _at(state: SessionState) -> Pop3Protocol:
    match state:
        case SessionState.GREETING:
            return Pop3Protocol()
        case SessionState.AUTHORIZATION:
            return opened()
        case SessionState.SASL:
            return _told(opened(AUTH_PLAIN), b"+ \r\n")
        case SessionState.TLS:
            return _told(opened(STLS), b"+OK\r\n")
        case SessionState.TRANSACTION:
            return entered()
        case SessionState.CLOSED:
            return _told(entered(QUIT), b"+OK\r\n")


def _told(protocol: Pop3Protocol, octets: bytes) -> Pop3Protocol:
    assert Broken not in hear(protocol, [octets])
    return protocol


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("verb", Verb)
def test_it_sends_what_has_its_place_and_nothing_else(state: SessionState, verb: Verb) -> None:
    protocol = _at(state)
    assert protocol.state is state
    if verb in COMMANDS[state]:
        assert protocol.send([Command(verb)]).endswith(b"\r\n")
    else:
        with pytest.raises(LocalProtocolError):
            protocol.send([Command(verb)])


STEPS = [
    (SessionState.GREETING, None, b"+OK\r\n", SessionState.AUTHORIZATION),
    (SessionState.GREETING, None, b"-ERR\r\n", SessionState.CLOSED),
    (SessionState.AUTHORIZATION, USER, b"+OK\r\n", SessionState.AUTHORIZATION),
    (SessionState.AUTHORIZATION, USER, b"-ERR\r\n", SessionState.AUTHORIZATION),
    (SessionState.AUTHORIZATION, PASS, b"+OK\r\n", SessionState.TRANSACTION),
    (SessionState.AUTHORIZATION, PASS, b"-ERR\r\n", SessionState.AUTHORIZATION),
    (SessionState.AUTHORIZATION, STLS, b"+OK\r\n", SessionState.TLS),
    (SessionState.AUTHORIZATION, STLS, b"-ERR\r\n", SessionState.AUTHORIZATION),
    (SessionState.AUTHORIZATION, AUTH_PLAIN, b"+ \r\n", SessionState.SASL),
    (SessionState.AUTHORIZATION, AUTH_PLAIN, b"-ERR\r\n", SessionState.AUTHORIZATION),
    (SessionState.AUTHORIZATION, QUIT, b"+OK\r\n", SessionState.CLOSED),
    (SessionState.AUTHORIZATION, APOP, b"+OK\r\n", SessionState.TRANSACTION),
    (SessionState.AUTHORIZATION, APOP, b"-ERR\r\n", SessionState.AUTHORIZATION),
    (SessionState.SASL, CREDENTIALS, b"+ \r\n", SessionState.SASL),
    (SessionState.SASL, CREDENTIALS, b"+OK\r\n", SessionState.TRANSACTION),
    (SessionState.SASL, CREDENTIALS, b"-ERR\r\n", SessionState.AUTHORIZATION),
    (SessionState.TRANSACTION, DELE1, b"+OK\r\n", SessionState.TRANSACTION),
    (SessionState.TRANSACTION, TOP1, b"+OK\r\n.\r\n", SessionState.TRANSACTION),
    (SessionState.TRANSACTION, RETR1, b"+OK\r\n.\r\n", SessionState.TRANSACTION),
    (SessionState.TRANSACTION, QUIT, b"+OK\r\n", SessionState.CLOSED),
    (SessionState.TRANSACTION, QUIT, b"-ERR\r\n", SessionState.CLOSED),
]


@pytest.mark.parametrize(("before", "command", "answer", "after"), STEPS)
def test_it_goes_from_state_to_state(
    before: SessionState, command: Command | None, answer: bytes, after: SessionState
) -> None:
    protocol = _at(before)
    if command is not None:
        protocol.send([command])
    _told(protocol, answer)
    assert protocol.state is after


@pytest.mark.parametrize("command", [STLS, AUTH_PLAIN, QUIT])
def test_it_sends_nothing_behind_a_command_that_changes_who_listens(command: Command) -> None:
    protocol = opened(command)
    with pytest.raises(LocalProtocolError):
        protocol.send([CAPA])


def test_it_sends_one_command_at_a_time_unless_told_that_the_server_pipelines() -> None:
    protocol = _told(Pop3Protocol(), b"+OK\r\n")
    assert protocol.send([USER]) == b"USER petrov\r\n"
    with pytest.raises(LocalProtocolError):
        protocol.send([PASS])


def test_it_sends_the_listing_right_behind_the_login() -> None:
    assert opened().send([USER, PASS, STAT]) == b"USER petrov\r\nPASS secret\r\nSTAT\r\n"


def test_it_does_not_believe_in_a_login_that_was_refused() -> None:
    protocol = _told(opened(USER, PASS, STAT), b"+OK\r\n-ERR\r\n-ERR\r\n")
    with pytest.raises(LocalProtocolError):
        protocol.send([LIST])


def test_it_begins_anew_behind_tls() -> None:
    protocol = _at(SessionState.TLS)
    protocol.begin_tls()
    assert protocol.state is SessionState.AUTHORIZATION
    assert not protocol.pipelining
    protocol.send([CAPA])


def test_it_begins_tls_only_where_the_server_agreed() -> None:
    with pytest.raises(LocalProtocolError):
        opened().begin_tls()


def test_it_takes_nothing_said_in_the_clear_into_tls() -> None:
    protocol = opened(STLS)
    events = protocol.receive(b"+OK\r\n+OK injected\r\n")
    assert next(events) == Reply(STLS, OK)
    with pytest.raises(RemoteProtocolError):
        protocol.begin_tls()


def test_it_does_not_quote_what_may_be_our_password() -> None:
    protocol = opened(USER, PASS)
    with pytest.raises(RemoteProtocolError) as caught:
        list(protocol.receive(b"PASS secret: unknown command\r\n"))
    assert "secret" not in caught.value.detail


def test_it_knows_what_is_answered_next() -> None:
    protocol = entered(UIDL, LIST)
    awaited = [protocol.awaited]
    for answer in (b"+OK\r\n1 a\r\n", b".\r\n", b"-ERR\r\n"):
        _told(protocol, answer)
        awaited.append(protocol.awaited)
    assert awaited == [Verb.UIDL, Verb.UIDL, Verb.LIST, None]


@pytest.mark.parametrize("command", [RETR1, TOP1])
def test_it_holds_little_of_a_letter_of_any_size(command: Command) -> None:
    protocol = _told(entered(command), b"+OK\r\n")
    block = b"x" * 65536
    tracemalloc.start()
    try:
        octets = sum(
            len(event.data) for _ in range(1024) for event in protocol.receive(block) if isinstance(event, LetterData)
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert octets == 64 * 1024 * 1024
    assert peak < 1024 * 1024


@pytest.mark.parametrize("verb", sorted(MULTILINE - STREAMED))
def test_it_holds_only_so_much_of_a_listing(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LISTING_MAX", 1000)
    protocol = _told(entered(Command(verb)), b"+OK\r\n")
    with pytest.raises(RemoteProtocolError):
        list(protocol.receive(b"1 1\r\n" * 201))
