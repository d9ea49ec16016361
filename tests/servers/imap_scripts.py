"""IMAP servers that misbehave, by name: what each does, and how a session with it has to end.

"A session" is the plain one: open, list, retrieve every letter, mark as read and delete those that came whole, log out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    LoginRefused,
    MailboxBusy,
    OverLimit,
    RemoteProtocolError,
    ServerRefused,
    ServerTemporary,
    TimedOut,
    TlsRequired,
)
from tests.servers.faults import Action, Alter, Cut, Drip, Fault, Flood, Say, Stall
from tests.servers.imap import CAPABILITIES, Behaviour, Step
from tests.servers.maildrop import letter

LETTERS = (letter("one", 700), letter("two", 3000), letter("three"))
ALL = len(LETTERS)
LARGE = b"x" * 2_500_000 + b"\r\n"


@dataclass(frozen=True, slots=True)
class Script:
    """One server. `error` is what the session raises, None: it ends well. `got` letters come whole, `left` stay there.

    `complete`: the listing is. `deleted` letters are said to be deleted, by default all that came.
    """

    name: str
    behaviour: Behaviour
    error: type[FetchError] | None = None
    got: int = ALL
    left: int = 0
    deleted: int | None = None
    complete: bool = True
    letters: tuple[bytes, ...] = field(default=LETTERS, repr=False)


def _script(name: str, *faults: Fault, behaviour: Behaviour | None = None, **ending: Any) -> Script:
    return replace(Script(name, replace(behaviour or Behaviour(), faults=faults)), **ending)


def _failing(name: str, step: Step, action: Action, error: type[FetchError], **ending: Any) -> Script:
    return _script(name, Fault(step, action), error=error, **{"got": 0, "left": ALL, **ending})


OPENING = (Step.GREETING, Step.CAPABILITY, Step.LOGIN, Step.SELECT, Step.LISTING)
NOTHING_DELETED: dict[str, Any] = {"got": ALL, "left": ALL, "deleted": 0}


def _everywhere() -> Iterator[Script]:
    """At each step: cut, silence, nonsense, floods, literals."""
    after = {Step.FETCH: {}, Step.STORE: {"got": ALL}, Step.UID_EXPUNGE: {"got": ALL}}
    for step in (*OPENING, *after):
        ending: dict[str, Any] = after.get(step, {})
        endings: list[tuple[str, Action, type[FetchError]]] = [
            ("cut before the answer", Cut(), ConnectionLost),
            ("silence", Stall(), TimedOut),
            ("nonsense", Say(b"what?\r\n"), RemoteProtocolError),
            ("an empty line", Say(b"\r\n"), RemoteProtocolError),
            ("bare LF", Say(b"* OK\n"), RemoteProtocolError),
            ("another's tag", Say(b"ZZZZ99 OK done\r\n"), RemoteProtocolError),
            ("a line without end", Flood(b"x" * 4096, b"* OK "), RemoteProtocolError),
            ("a literal of 6 GB", Say(b"* 1 FETCH (UID 1 X {6442450944}\r\n"), RemoteProtocolError),
            ("a literal without measure", Say(b"* LIST () {%s}\r\n" % (b"9" * 5000)), RemoteProtocolError),
        ]
        for name, action, error in endings:
            yield _failing(f"{name}: {step}", step, action, error, **ending)
        within = {**ending, "left": 0} if step is Step.UID_EXPUNGE else ending  # it has done what it does not tell
        yield _failing(f"cut within the answer: {step}", step, Cut(5), ConnectionLost, **within)
        yield _failing(f"silence within the answer: {step}", step, Stall(octets=5), TimedOut, **within)
    unsolicited = b"* 5 EXISTS\r\n* 1 RECENT\r\n* OK [ALERT] hello\r\n* 2 FETCH (FLAGS (\\Seen))\r\n"
    for step in (*OPENING[1:], *after):
        ending = after.get(step, {})
        bad = Fault(step, Say(b"{tag} BAD what?\r\n"))
        if step in after or step is Step.LOGIN:
            yield _script(f"BAD: {step}", bad)  # then fewer letters are asked for, or PLAIN serves
        else:
            error = ServerRefused if step in (Step.SELECT, Step.LISTING) else RemoteProtocolError
            yield _failing(f"BAD: {step}", step, bad.action, error, **ending)
        bye = Say(b"* BYE going down\r\n", hang_up=True)
        yield _failing(f"BYE: {step}", step, bye, ConnectionLost, **ending)
        unavailable = Say(b"* BYE [UNAVAILABLE] .\r\n", hang_up=True)
        yield _failing(f"BYE [UNAVAILABLE]: {step}", step, unavailable, ServerTemporary, **ending)
        chatter = Flood(b"* OK still here\r\n" * 1000)
        yield _failing(f"words without end: {step}", step, chatter, RemoteProtocolError, **ending)
        yield _failing(
            f"continuations without end: {step}", step, Flood(b"+ go on\r\n" * 1000), RemoteProtocolError, **ending
        )
        yield _script(f"news before the answer: {step}", Fault(step, Alter(lambda answer: unsolicited + answer)))


def _greetings() -> Iterator[Script]:
    """What a server may say first."""
    endings: list[tuple[str, bytes, type[FetchError]]] = [
        ("PREAUTH", b"* PREAUTH welcome\r\n", RemoteProtocolError),
        ("BYE", b"* BYE too many connections\r\n", ServerRefused),
        ("BYE [UNAVAILABLE]", b"* BYE [UNAVAILABLE] later\r\n", ServerTemporary),
        ("POP3", b"+OK ready\r\n", RemoteProtocolError),
        ("SMTP", b"220 ESMTP\r\n", RemoteProtocolError),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", RemoteProtocolError),
        ("NUL", b"* OK \0\r\n\0\r\n", RemoteProtocolError),
    ]
    for name, octets, error in endings:
        yield _failing(f"a greeting of {name}", Step.GREETING, Say(octets), error)
    yield _failing("not IMAP4", Step.CAPABILITY, Say(b"* CAPABILITY IMAP2\r\n{tag} OK\r\n"), RemoteProtocolError)
    yield _failing("no capabilities", Step.CAPABILITY, Say(b"{tag} OK done\r\n"), RemoteProtocolError)


def _refusals() -> Iterator[Script]:
    """NO, with and without a code."""
    login: list[tuple[str, type[FetchError]]] = [
        ("", LoginRefused),
        ("[AUTHENTICATIONFAILED]", LoginRefused),
        ("[UNAVAILABLE]", ServerTemporary),
        ("[INUSE]", MailboxBusy),
        ("[LIMIT]", OverLimit),
        ("[PRIVACYREQUIRED]", TlsRequired),
        ("the mailbox is [INUSE]", LoginRefused),
    ]
    for code, error in login:
        yield _failing(f"NO {code}: LOGIN", Step.LOGIN, Say(b"{tag} NO %s no\r\n" % code.encode()), error)
    yield _failing("NO: SELECT", Step.SELECT, Say(b"{tag} NO [NONEXISTENT] no\r\n"), ServerRefused)
    yield _failing("NO [INUSE]: SELECT", Step.SELECT, Say(b"{tag} NO [INUSE] no\r\n"), MailboxBusy)
    yield _failing("NO: the listing", Step.LISTING, Say(b"{tag} NO no\r\n"), ServerRefused)
    no = Say(b"{tag} NO [EXPUNGEISSUED] no\r\n")
    yield _script("NO: every letter", Fault(Step.FETCH, no, nth=0), got=0, left=ALL)
    one = replace(Behaviour(), refuses={2: "NO [EXPUNGEISSUED] no"})
    yield _script("NO: one of the letters", behaviour=one, got=2, left=1)
    yield _script("NO: STORE", Fault(Step.STORE, no, nth=0), **NOTHING_DELETED)
    yield _script("NO: UID EXPUNGE", Fault(Step.UID_EXPUNGE, no, nth=0), **NOTHING_DELETED)
    yield _script("NO: STORE, of many", Fault(Step.STORE, no))
    yield _script("NO: UID EXPUNGE, of many", Fault(Step.UID_EXPUNGE, no))
    yield _script("NO: STORE of one letter", behaviour=replace(Behaviour(), keeps=frozenset({2})), left=1, deleted=2)
    old = Behaviour().without("UIDPLUS")
    yield _script("no UIDPLUS", behaviour=old)
    yield _script("no UIDPLUS, NO: SEARCH", Fault(Step.SEARCH, no), behaviour=old, **NOTHING_DELETED)
    yield _script("no UIDPLUS, NO: EXPUNGE", Fault(Step.EXPUNGE, no), behaviour=old, **NOTHING_DELETED)
    yield _script("read-only", behaviour=replace(Behaviour(), read_only=True), **NOTHING_DELETED)


def _listings() -> Iterator[Script]:
    """Listings that are wrong, each in its way."""

    def told(*lines: bytes) -> bytes:
        return b"".join(b"* " + line + b"\r\n" for line in lines) + b"{tag} OK done\r\n"

    def sized(number: int, rest: bytes = b"") -> bytes:
        return b"%d FETCH (UID %d RFC822.SIZE 10%s)" % (number, number, rest)

    def listing(name: str, *lines: bytes, **ending: Any) -> Script:
        return _script(name, Fault(Step.LISTING, Say(told(*lines))), **ending)

    two: dict[str, Any] = {"got": 2, "left": 1, "complete": False}
    none: dict[str, Any] = {"got": 0, "left": ALL, "complete": False}
    broken: dict[str, Any] = {"got": 0, "left": ALL, "error": RemoteProtocolError}
    yield listing("a short listing", sized(1), sized(2), **two)
    yield listing("an empty listing", **none)
    yield listing("a letter listed twice", sized(1), sized(2), sized(2), **two)
    yield listing("backwards", sized(3), sized(2), sized(1))
    yield listing("a letter that is not there", sized(1), sized(2), sized(3), sized(9))
    yield listing("no sizes", *(b"%d FETCH (UID %d)" % (n, n) for n in (1, 2, 3)), **none)
    yield listing("no uids", *(b"%d FETCH (RFC822.SIZE 10)" % n for n in (1, 2, 3)), **none)
    yield listing(
        "sizes without measure", *(b"%d FETCH (UID %d RFC822.SIZE %s)" % (n, n, b"9" * 40) for n in (1, 2, 3))
    )
    yield listing("sizes of nothing", *(b"%d FETCH (UID %d RFC822.SIZE 0)" % (n, n) for n in (1, 2, 3)))
    yield listing("odd dates", *(sized(n, b' INTERNALDATE "yesterday"') for n in (1, 2, 3)))
    yield listing("impossible dates", *(sized(n, b' INTERNALDATE "99-Feb-2024 25:61:61 +9999"') for n in (1, 2, 3)))
    yield listing("odd flags", *(sized(n, b' FLAGS NIL X ("\\\\Seen" (a)) Y NIL') for n in (1, 2, 3)))
    yield listing("literals in a listing", *(sized(n, b" X-NAME {3}\r\n)( ") for n in (1, 2, 3)))
    for name, line in {
        "a list without end": b"1 FETCH (UID 1 RFC822.SIZE 10",
        "a list without a beginning": b"1 FETCH UID 1)",
        "no list": b"1 FETCH UID",
        "half a pair": b"1 FETCH (UID)",
        "a uid that is none": b"1 FETCH (UID one RFC822.SIZE 10)",
        "a uid too long": b"1 FETCH (UID 99999999999 RFC822.SIZE 10)",
        "lists in lists": b"1 FETCH " + b"(" * 1000 + b")" * 1000,
        "a quoted string without end": b'1 FETCH (UID 1 X "a)',
    }.items():
        yield listing(f"a listing with {name}", line, **broken)
    for name, change in {
        "no UIDVALIDITY": lambda answer: answer.replace(b"UIDVALIDITY", b"X"),
        "an odd UIDVALIDITY": lambda answer: answer.replace(b"UIDVALIDITY ", b"UIDVALIDITY x"),
    }.items():
        yield _script(name, Fault(Step.SELECT, Alter(change)))

    def counting(name: str, count: bytes, **ending: Any) -> Script:
        exists = Fault(Step.SELECT, Alter(lambda answer: answer.replace(b"3 EXISTS", count)))
        return _script(name, exists, **ending)

    words = Alter(lambda answer: b"* OK [ALERT] You have used {90}\r\n" + answer)
    yield _script("words that look like a literal", Fault(Step.LISTING, words), Fault(Step.FETCH, words))

    yield counting("EXISTS: 10^9", b"1000000000 EXISTS", complete=False)
    yield counting("EXISTS: one too many", b"4 EXISTS", complete=False)
    yield counting("EXISTS: one too few", b"2 EXISTS", got=2, left=1)
    yield counting("EXISTS: no number of this world", b"9" * 30 + b" EXISTS", **broken)
    yield counting("no EXISTS", b"3 RECENT", **broken)


def _letters() -> Iterator[Script]:
    """Letters that are hard to carry, and letters that are sent wrong."""
    carried = {
        "empty letters": (b"", b"\r\n", b""),
        "dots": (b".\r\n", b"\r\n.\r\n"),
        "bare LF and CR": (b"a\nb\rc\r\n", b"\n", b"\r"),
        "NUL and 8-bit": (bytes(range(256)), b"\0", b"\xff"),
        "what looks like answers": (b")\r\n* BYE\r\n", b"* 1 FETCH (UID 1 BODY[] {9}\r\n", b"{5}\r\n"),
        "a large letter": (LARGE, b"after\r\n"),
        "a letter of just one piece": (b"x" * 1024 * 1024, b"x" * (1024 * 1024 + 1)),
        "many letters": tuple(letter(f"number {number}") for number in range(600)),
        "an empty folder": (),
    }
    for name, letters in carried.items():
        yield _script(name, letters=letters, got=len(letters))
    literal = re.compile(rb"\{\d+\}\r\n(.*)\)\r\n")
    quotes = Alter(lambda answer: literal.sub(rb'"\1")\r\n', answer))
    yield _script("quoted letters", Fault(Step.FETCH, quotes), letters=(b"short", b"", b"a (b"), got=3)

    def sending(name: str, *answers: bytes, **ending: Any) -> Script:
        said = b"".join(b"* " + answer + b"\r\n" for answer in answers) + b"{tag} OK done\r\n"
        return _script(name, Fault(Step.FETCH, Say(said), nth=0), **ending)

    one, two, three = (b"%d FETCH (UID %d BODY[] {%d}\r\n%s)" % (n, n, len(d), d) for n, d in enumerate(LETTERS, 1))
    yield sending("letters backwards", three, two, one)
    yield sending("a letter that has gone", one, three, got=2, left=1)
    yield sending("NIL for a letter", one, b"2 FETCH (UID 2 BODY[] NIL)", three, got=2, left=1)
    yield sending("a letter unasked for", one, two, three, b"9 FETCH (UID 9 BODY[] {1}\r\nx)")
    yield sending(
        "the uid behind the letter", one, two, b"3 FETCH (BODY[] {%d}\r\n%s UID 3)" % (len(LETTERS[2]), LETTERS[2])
    )
    yield sending("no uid", one, two, b"3 FETCH (BODY[] {%d}\r\n%s)" % (len(LETTERS[2]), LETTERS[2]))
    yield sending("flags among letters", one, b"1 FETCH (UID 1 FLAGS (\\Seen))", two, b"2 EXPUNGE", three)
    yield _script("one octet at a time: a letter", Fault(Step.FETCH, Drip(0.005)), error=TimedOut, got=0, left=ALL)
    flood = Flood(b"* 1 FETCH (UID 1 BODY[] {100000}\r\n" + b"x" * 100_000 + b")\r\n")
    yield _failing("letters without end", Step.FETCH, flood, RemoteProtocolError)
    large: dict[str, Any] = {"letters": (LARGE,), "left": 1, "got": 0}
    gone, no = Say(b"{tag} OK done\r\n"), Say(b"{tag} NO [SERVERBUG] no\r\n")
    yield _script("a large letter that has gone", Fault(Step.FETCH, gone, nth=0), **large)
    yield _script("NO for a large letter", Fault(Step.FETCH, no, nth=0), **large)
    yield _script("nothing for a large letter at first", Fault(Step.FETCH, gone), letters=(LARGE,), got=1)
    yield _script("NO for a large letter at first", Fault(Step.FETCH, no), letters=(LARGE,), got=1)
    for name, nothing in {"NIL": b"NIL", "nothing": b'""', "no value": b""}.items():
        said = Say(b"* 1 FETCH (UID 1 BODY[] " + nothing + b")\r\n{tag} OK done\r\n")
        yield _script(f"{name} for a large letter", Fault(Step.FETCH, said, nth=0), **large)
    yield _script("cut within a large letter", Fault(Step.FETCH, Cut(1_000_000)), error=ConnectionLost, **large)
    endless = Say(b"* 1 FETCH (UID 1 BODY[] {6442450944}\r\n")
    yield _failing("a letter of 6 GB", Step.FETCH, endless, TimedOut)


def _kinds() -> Iterator[Script]:
    """Servers that can less than others, and farewells."""
    disabled = (*CAPABILITIES, "LOGINDISABLED")
    yield _script("LOGINDISABLED", behaviour=replace(Behaviour(), capabilities=disabled))
    sasl = replace(Behaviour(), capabilities=disabled)
    refused = Fault(Step.AUTHENTICATE, Say(b"{tag} NO [AUTHENTICATIONFAILED] no\r\n"))
    yield _script("NO: AUTHENTICATE", refused, behaviour=sasl, error=LoginRefused, got=0, left=ALL)
    bye = Fault(Step.AUTHENTICATE, Say(b"* BYE [UNAVAILABLE] no\r\n", hang_up=True))
    yield _script("BYE: AUTHENTICATE", bye, behaviour=sasl, error=ServerTemporary, got=0, left=ALL)
    nonsense = Fault(Step.AUTHENTICATE, Say(b"what?\r\n"))
    yield _script("nonsense: AUTHENTICATE", nonsense, behaviour=sasl, error=RemoteProtocolError, got=0, left=ALL)
    yield _script("keeps its capabilities to itself", behaviour=replace(Behaviour(), tells_capabilities=False))
    silent = replace(Behaviour(), tells_capabilities=False, hides_capabilities=True)
    yield _script("NO: CAPABILITY after the login", behaviour=silent)
    yield _script("answers in single octets", behaviour=replace(Behaviour(), slice=1))
    yield _script("answers in threes", behaviour=replace(Behaviour(), slice=3))
    farewells: dict[str, Action] = {
        "silence": Stall(),
        "cut": Cut(),
        "nonsense": Say(b"what?\r\n"),
        "NO": Say(b"{tag} NO stay\r\n"),
        "no BYE": Say(b"{tag} OK done\r\n"),
    }
    for name, action in farewells.items():
        yield _script(f"{name}: LOGOUT", Fault(Step.LOGOUT, action))


SCRIPTS: tuple[Script, ...] = (*_everywhere(), *_greetings(), *_refusals(), *_listings(), *_letters(), *_kinds())
"""All of them, their names unique."""

BY_NAME = {script.name: script for script in SCRIPTS}
