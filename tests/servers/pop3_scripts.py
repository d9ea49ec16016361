"""POP3 servers that misbehave, by name: what each does, and how a session with it has to end.

"A session" is the plain one: open, retrieve every letter, delete those that came whole, QUIT. Whatever a server does, what
came whole is what it sent, and nothing goes that did not come.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from fetchrules.demo.pop3 import stuffed
from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    LoginDelay,
    LoginRefused,
    MailboxBusy,
    OverLimit,
    RemoteProtocolError,
    ServerRefused,
    ServerTemporary,
    TimedOut,
)
from tests.servers.faults import Action, Alter, Cut, Drip, Fault, Flood, Say, Stall
from tests.servers.maildrop import letter
from tests.servers.pop3 import EVERY_LETTER, Behaviour, LetterFault, Step

LETTERS = (letter("one", 700), letter("two", 3000), letter("three"))

Change = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Script:
    """One server. `error` is what the session raises, None: it ends well. `got` letters come whole.

    `complete`: the listing is. `quit`: what `quit` says, None: it is not reached. `left`: how many letters stay on the server.
    """

    name: str
    behaviour: Behaviour
    error: type[FetchError] | None = None
    got: int = len(LETTERS)
    left: int = 0
    quit: bool | None = True
    complete: bool = True
    letters: tuple[bytes, ...] = field(default=LETTERS, repr=False)
    faithful: bool = True
    """What comes is what the server has. False: it sends something else, as well-formed as a letter."""


def _script(name: str, *faults: Fault, behaviour: Behaviour | None = None, **ending: Any) -> Script:
    return replace(Script(name, replace(behaviour or Behaviour(), faults=faults)), **ending)


def _failing(name: str, step: Step, action: Action, error: type[FetchError], got: int = 0, nth: int = 1) -> Script:
    """A session that breaks off, and so deletes nothing."""
    return _script(name, Fault(step, action, nth), error=error, got=got, left=len(LETTERS), quit=None)


ALL = len(LETTERS)
OPENING = (Step.GREETING, Step.CAPA, Step.USER, Step.PASS, Step.STAT, Step.UIDL, Step.LIST)
LISTING = (Step.STAT, Step.UIDL, Step.LIST)


def _everywhere() -> Iterator[Script]:
    """At each step: cut before, within and behind the answer; silence; -ERR; nonsense; a flood."""
    endless = Flood(b"x" * 4096)
    for step in OPENING:
        yield _failing(f"cut before the answer: {step}", step, Cut(), ConnectionLost)
        yield _failing(f"cut within the answer: {step}", step, Cut(4), ConnectionLost)
        yield _failing(f"silence: {step}", step, Stall(), TimedOut)
        yield _failing(f"silence within the answer: {step}", step, Stall(octets=4), TimedOut)
        yield _failing(f"nonsense: {step}", step, Say(b"500 what?\r\n"), RemoteProtocolError)
        yield _failing(f"bare LF: {step}", step, Say(b"+OK\n+OK\r\n"), RemoteProtocolError)
        yield _failing(f"NUL: {step}", step, Say(b"+OK \0\r\n"), RemoteProtocolError)
        yield _failing(f"a line without end: {step}", step, endless, RemoteProtocolError)
    for step in OPENING[:-1]:
        yield _failing(f"cut behind the answer: {step}", step, Cut(None), ConnectionLost)
    for step in (Step.CAPA, Step.UIDL, Step.LIST):
        yield _failing(
            f"a listing without end: {step}", step, Flood(b"1 1\r\n" * 4096, b"+OK\r\n"), RemoteProtocolError
        )
        yield _failing(f"no final dot: {step}", step, Stall(octets=10), TimedOut)
    yield _failing("cut before the answer: RETR", Step.RETR, Cut(), ConnectionLost)
    yield _failing("cut within the answer: RETR", Step.RETR, Cut(4), ConnectionLost)
    yield _failing("cut within a letter", Step.RETR, Cut(200), ConnectionLost)
    yield _failing("cut within the second letter", Step.RETR, Cut(200), ConnectionLost, got=1, nth=2)
    yield _failing("cut behind a letter", Step.RETR, Cut(None), ConnectionLost, got=1)
    yield _failing("silence: RETR", Step.RETR, Stall(), TimedOut)
    yield _failing("silence within a letter", Step.RETR, Stall(octets=200), TimedOut)
    yield _failing("nonsense: RETR", Step.RETR, Say(b"what?\r\n"), RemoteProtocolError)
    yield _failing("a letter without end", Step.RETR, Flood(b"x" * 4096, b"+OK\r\n"), TimedOut)
    yield _failing("a letter of empty lines without end", Step.RETR, Flood(b"\r\n" * 4096, b"+OK\r\n"), TimedOut)
    yield _failing("one octet at a time: a letter", Step.RETR, Drip(0.005), TimedOut)
    yield _failing("cut before the answer: DELE", Step.DELE, Cut(), ConnectionLost, got=ALL)
    yield _failing("cut behind the answer: DELE", Step.DELE, Cut(None, done=True), ConnectionLost, got=ALL)
    yield _failing("silence: DELE", Step.DELE, Stall(), TimedOut, got=ALL)
    yield _failing("nonsense: DELE", Step.DELE, Say(b"what?\r\n"), RemoteProtocolError, got=ALL)
    confused = Behaviour(letter_faults=(LetterFault(Step.DELE, "uid-2", Say(b"what?\r\n")),))
    broken: dict[str, Any] = {"error": RemoteProtocolError, "left": ALL, "quit": None}
    yield _script("nonsense: DELE of one letter", behaviour=confused, **broken)


def _codes() -> Iterator[Script]:
    """-ERR with and without a response code."""
    coded: list[tuple[str, type[FetchError]]] = [
        ("[IN-USE]", MailboxBusy),
        ("[LOGIN-DELAY]", LoginDelay),
        ("[SYS/TEMP]", ServerTemporary),
        ("[SYS/PERM]", ServerRefused),
    ]
    for code, error in coded:
        for step in (Step.GREETING, Step.USER, Step.PASS, Step.UIDL, Step.LIST):
            yield _failing(f"-ERR {code}: {step}", step, Say(f"-ERR {code} no\r\n".encode()), error)
    plain: list[tuple[Step, type[FetchError]]] = [
        (Step.GREETING, ServerRefused),
        (Step.USER, LoginRefused),
        (Step.PASS, LoginRefused),
        (Step.UIDL, ServerRefused),
        (Step.LIST, ServerRefused),
    ]
    for step, error in plain:
        yield _failing(f"-ERR: {step}", step, Say(b"-ERR\r\n"), error)
    yield _failing("-ERR [AUTH]: PASS", Step.PASS, Say(b"-ERR [AUTH] no\r\n"), LoginRefused)
    yield _failing("words that lie: PASS", Step.PASS, Say(b"-ERR mailbox in use [IN-USE]\r\n"), LoginRefused)
    yield _failing("an unknown code: PASS", Step.PASS, Say(b"-ERR [MOON/FULL] no\r\n"), LoginRefused)
    yield _failing("-ERR and cut: PASS", Step.PASS, Say(b"-ERR no\r\n", hang_up=True), LoginRefused)
    known: list[tuple[str, type[FetchError]]] = [
        ("Download exceed. msg=10", OverLimit),
        ("Exceeded the login limit for a 15 minute period.", OverLimit),
        ("[ALERT] Too many simultaneous connections. (Failure)", ServerTemporary),
        ("[OVERQUOTA] no", OverLimit),
    ]
    for words, error in known:
        for step, _ in plain:
            yield _failing(f"-ERR {words}: {step}", step, Say(f"-ERR {words}\r\n".encode()), error)
    yield _failing(
        "a code before known words: PASS",
        Step.PASS,
        Say(b"-ERR [AUTH] Too many simultaneous connections\r\n"),
        LoginRefused,
    )
    unannounced = Behaviour().without("UIDL")
    busy = Fault(Step.UIDL, Say(b"-ERR Download exceed\r\n"))
    nothing: dict[str, Any] = {"error": OverLimit, "got": 0, "left": ALL, "quit": None}
    yield _script("a busy server that announces no UIDL", busy, behaviour=unannounced, **nothing)
    yield _script("over the limit after the first letter", behaviour=Behaviour(gives=1), got=1, left=2)
    yield _script("-ERR: STAT", Fault(Step.STAT, Say(b"-ERR\r\n")), complete=False)
    yield _script("-ERR: CAPA", Fault(Step.CAPA, Say(b"-ERR\r\n")))
    yield _script("-ERR: the second RETR", Fault(Step.RETR, Say(b"-ERR\r\n"), nth=2), got=2, left=1)
    yield _script("-ERR: every RETR", Fault(Step.RETR, Say(b"-ERR [SYS/TEMP] no\r\n"), nth=0), got=0, left=ALL)
    yield _script("-ERR: the second DELE", Fault(Step.DELE, Say(b"-ERR\r\n"), nth=2), left=1)


def _liars() -> Iterator[Script]:
    """Listings that are wrong, each in its way."""

    def lines(change: Callable[[list[bytes]], list[bytes]]) -> Change:
        def changed(answer: bytes) -> bytes:
            first, *body = answer.removesuffix(b".\r\n").splitlines(keepends=True)
            return first + b"".join(change(body)) + b".\r\n"

        return changed

    def lying(name: str, step: Step, change: Change, **ending: Any) -> Script:
        return _script(name, Fault(step, Alter(change)), **ending)

    short, empty = lines(lambda body: body[:-1]), lines(lambda _: [])
    two_of_three: dict[str, Any] = {"got": 2, "left": 1, "complete": False}
    nothing: dict[str, Any] = {"got": 0, "left": ALL, "complete": False}
    yield lying("a short UIDL", Step.UIDL, short, **two_of_three)
    yield lying("an empty UIDL", Step.UIDL, empty, **nothing)
    yield lying("a short LIST", Step.LIST, short, **two_of_three)
    yield lying("an empty LIST", Step.LIST, empty, **nothing)
    yield lying("one unique-id for all", Step.UIDL, lambda answer: re.sub(rb"uid-\d", b"same", answer))
    yield lying("other unique-ids", Step.UIDL, lambda answer: answer.replace(b"uid-", b"new-"))
    yield lying("a letter listed twice", Step.UIDL, lines(lambda body: [*body, *body[:1]]))
    yield lying("a letter too many in UIDL", Step.UIDL, lines(lambda body: [*body, b"9 nine\r\n"]), complete=False)
    yield lying("a letter too many in LIST", Step.LIST, lines(lambda body: [*body, b"9 9\r\n"]), complete=False)
    yield lying("LIST backwards", Step.LIST, lines(lambda body: body[::-1]))
    yield lying("sizes of nothing", Step.LIST, lambda answer: re.sub(rb" \d+\r", b" 0\r", answer))
    yield lying(
        "sizes without measure", Step.LIST, lambda answer: re.sub(rb" \d+\r", b" 9999999999999999999\r", answer)
    )
    yield lying("STAT: 10^9 letters", Step.STAT, lambda _: b"+OK 1000000000 1000000000000\r\n", complete=False)
    yield lying("STAT: one too few", Step.STAT, lambda _: b"+OK 2 1\r\n", complete=False)
    yield lying("STAT: no numbers", Step.STAT, lambda _: b"+OK some\r\n", complete=False)
    for step in (Step.UIDL, Step.LIST):
        for name, line in (
            ("no number", b"x y\r\n"),
            ("a number too long", b"12345678901 1\r\n"),
        ):
            broken = lines(lambda body, line=line: [*body, line])  # type: ignore[misc]
            yield replace(lying(f"{step}: {name}", step, broken), error=RemoteProtocolError, got=0, left=ALL, quit=None)
    more = lines(lambda body: [*body, b"4\r\n"])
    yield _failing("LIST: one field", Step.LIST, Alter(more), RemoteProtocolError)
    yield lying("UIDL: one field", Step.UIDL, more, complete=False)
    yield lying("UIDL: a blank name", Step.UIDL, lambda answer: answer.replace(b"2 uid-2", b"2 "))
    yield lying("UIDL: names with blanks", Step.UIDL, lambda answer: answer.replace(b"uid-", b"u i d "))


def _letters() -> Iterator[Script]:
    """Letters that are hard to carry, and letters that are sent wrong."""
    carried = {
        "empty letters": (b"", b"\r\n", b""),
        "dots": (b".\r\n", b"..\r\n.\r\n", b"a\r\n.\r\n.b\r\n"),
        "dots at the borders of blocks": tuple(
            b"x" * (65536 - 12 - skew) + b"\r\n.\r\n..\r\n" + b"y" * 65530 + b"\r\n.\r\n" for skew in range(-4, 5)
        ),
        "bare LF and LF-dot-LF": (b"a\n.\nb\r\n", b"\n.\n\r\n", b"a\n.\r\nb\r\n"),
        "bare CR": (b"a\rb\r\n", b"\r.\r\r\n", b"\r\r\n"),
        "NUL and 8-bit": (bytes(range(256)) + b"\r\n", b"\0\r\n", b"\xff\r\n"),
        "a line of 4 MiB": (b"x" * 4 * 1024 * 1024 + b"\r\n", b"after\r\n"),
        "what looks like answers": (b"+OK\r\n-ERR\r\n", b"-ERR [IN-USE]\r\n", b"\r\n+OK\r\n"),
        "a hundred letters": tuple(letter(f"number {number}") for number in range(100)),
        "an empty mailbox": (),
    }
    for name, letters in carried.items():
        yield replace(_script(name, letters=letters), got=len(letters))

    def sending(name: str, body: bytes, **ending: Any) -> Script:
        return _script(name, Fault(Step.RETR, Say(b"+OK\r\n" + body)), faithful=False, **ending)

    yield sending("a letter shorter than LIST says", stuffed(b"short\r\n"))
    yield _script("one letter cut short", behaviour=Behaviour(short={"uid-2": 200}), faithful=False)
    yield sending("a letter longer than LIST says", stuffed(b"long\r\n" * 100_000))
    yield sending("a letter that is not stuffed", b"a\r\n.b\r\n.\r\n")
    lost: dict[str, Any] = {"error": TimedOut, "got": 0, "left": ALL, "quit": None}
    for name, end in (("LF", b"\n.\n"), ("LF and CRLF", b"\n.\r\n"), ("CRLF and LF", b"\r\n.\n"), ("CR", b"\r.\r")):
        one_at_a_time = Behaviour().without("PIPELINING")
        fault = Fault(Step.RETR, Say(b"+OK\r\na" + end))
        yield _script(f"a final dot between {name}", fault, behaviour=one_at_a_time, **lost)
    yield _script(
        "no final dot: RETR", Fault(Step.RETR, Alter(lambda answer: answer[:-3]), nth=ALL), **{**lost, "got": 2}
    )
    twice = Fault(Step.RETR, Alter(lambda answer: answer + answer), nth=ALL)
    broken: dict[str, Any] = {"error": RemoteProtocolError, "got": ALL, "left": ALL, "quit": None}
    yield _script("a letter sent twice", twice, **broken)


def _farewells() -> Iterator[Script]:
    """QUIT, and what it leaves behind."""

    def leaving(name: str, action: Action, left: int, *, confirmed: bool = False) -> Script:
        return _script(name, Fault(Step.QUIT, action), left=left, quit=confirmed)

    yield leaving("-ERR: QUIT", Say(b"-ERR [SYS/TEMP] some letters not removed\r\n"), ALL)
    stubborn = Behaviour(stay=EVERY_LETTER)
    yield _script("deletions affirmed and never done", behaviour=stubborn, left=ALL)
    yield _script("one deletion affirmed and not done", behaviour=Behaviour(stay="uid-2"), left=1)
    yield _script("deletions not done, as QUIT says", behaviour=replace(stubborn, admits=True), left=ALL, quit=False)
    yield leaving("nonsense: QUIT", Say(b"bye\r\n"), ALL)
    yield leaving("silence: QUIT", Stall(), ALL)
    yield leaving("silence having committed: QUIT", Stall(done=True), 0)
    yield leaving("cut before the answer: QUIT", Cut(), ALL)
    yield leaving("cut having committed: QUIT", Cut(done=True), 0)
    yield leaving("cut within the answer, having committed: QUIT", Cut(4, done=True), 0)
    yield leaving("cut behind the answer: QUIT", Cut(None, done=True), 0, confirmed=True)
    yield leaving("more behind the answer: QUIT", Alter(lambda answer: answer + b"what else?\r\n"), 0, confirmed=True)
    hasty = replace(Behaviour(), commits_when_cut=True)
    cut_dele = Fault(Step.DELE, Cut(None, done=True), nth=2)
    ending: dict[str, Any] = {"error": ConnectionLost, "quit": None}
    yield _script("deletions committed on a cut", cut_dele, behaviour=hasty, left=1, **ending)


def _kinds() -> Iterator[Script]:
    """Servers that know less than others, and slow ones."""
    old = Behaviour(capabilities=None, uidl=False)
    yield _script("no CAPA", behaviour=Behaviour(capabilities=None))
    yield _script("no CAPA, no UIDL", behaviour=old)
    yield _script("no UIDL", behaviour=replace(Behaviour().without("UIDL"), uidl=False))
    yield _script("no PIPELINING", behaviour=Behaviour().without("PIPELINING"))
    yield _script("no USER", behaviour=Behaviour().without("USER"))
    yield _script("UTF8", behaviour=replace(Behaviour(), capabilities=("UTF8", "USER", "PIPELINING"), utf8=True))
    yield _script("UTF8 announced and refused", behaviour=replace(Behaviour(), capabilities=("UTF8", "USER")))
    yield _script("no capability at all", behaviour=replace(Behaviour(), capabilities=()))
    yield _script("answers in single octets", behaviour=replace(Behaviour(), slice=1))
    yield _script("answers in threes", behaviour=replace(Behaviour(), slice=3))
    yield _script("one octet at a time: PASS", Fault(Step.PASS, Drip(0.005)))
    yield _script("one octet at a time: GREETING", Fault(Step.GREETING, Drip(0.005)))
    yield _failing("HTTP", Step.GREETING, Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), RemoteProtocolError)
    yield _failing("IMAP", Step.GREETING, Say(b"* OK IMAP4rev1\r\n"), RemoteProtocolError)
    yield _failing("SMTP", Step.GREETING, Say(b"220 ESMTP\r\n"), RemoteProtocolError)
    yield _failing("an endless greeting", Step.GREETING, Flood(b"+OK and on ", b"+OK"), RemoteProtocolError)
    yield _failing("one octet at a time: UIDL", Step.UIDL, Drip(0.01), TimedOut)


SCRIPTS: tuple[Script, ...] = (*_everywhere(), *_codes(), *_liars(), *_letters(), *_farewells(), *_kinds())
"""All of them, their names unique."""

BY_NAME = {script.name: script for script in SCRIPTS}
