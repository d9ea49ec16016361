"""A POP3 server for tests: correct as long as no fault says otherwise, and with real mailboxes behind it.

A fault is data: at this step, when a session comes to it for the nth time, do that. So a table of faults is a table of servers.
"""

import re
import ssl
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from threading import Event
from types import TracebackType
from typing import ClassVar, Self

from tests.servers.faults import Action, Faults, obeys, perform
from tests.servers.faults import Alter as Alter
from tests.servers.faults import Cut as Cut
from tests.servers.faults import Drip as Drip
from tests.servers.faults import Fault as Fault
from tests.servers.faults import Flood as Flood
from tests.servers.faults import Say as Say
from tests.servers.faults import Stall as Stall
from tests.servers.loopback import Hangup, LoopbackServer, Peer
from tests.servers.maildrop import Maildrop, StoredLetter


class Step(StrEnum):
    """Where a fault can happen: the greeting, or the answer to a command."""

    GREETING = "greeting"
    CAPA = "CAPA"
    STLS = "STLS"
    UTF8 = "UTF8"
    USER = "USER"
    PASS = "PASS"
    AUTH = "AUTH"
    STAT = "STAT"
    UIDL = "UIDL"
    LIST = "LIST"
    RETR = "RETR"
    TOP = "TOP"
    DELE = "DELE"
    RSET = "RSET"
    QUIT = "QUIT"


DOWNLOAD_EXCEED = b"-ERR Download exceed. msg=10\r\n"
"""What NetEase says to RETR when an account has fetched enough."""

CAPABILITIES = ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "USER", "SASL PLAIN")


class Top(Enum):
    """What TOP n 0 is answered with."""

    HEADER = "the header"
    WHOLE = "the whole letter, whatever the number of lines"
    UNKNOWN = "-ERR"


EVERY_LETTER = ".*"


@dataclass(frozen=True, slots=True)
class LetterFault:
    """Whenever a session comes with `step` (RETR, TOP, DELE) to a letter whose unique-id is `uid`, an expression, do `action`."""

    step: Step
    uid: str
    action: Action


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What kind of server it is.

    `capabilities` None: CAPA is not known. `slice`: answers come in pieces of that size. `commits_when_cut`: deletions
    last although the session broke off before QUIT. `gives`: letters in one session; the next RETR and those behind it are
    answered with `over_limit`. `short`: of the letters with these unique-ids only so many octets come, properly ended. `stay`:
    letters whose unique-id is this, an expression, are never deleted, though DELE is affirmed; QUIT is, too, unless it `admits`.
    """

    capabilities: tuple[str, ...] | None = CAPABILITIES
    uidl: bool = True
    top: Top = Top.HEADER
    gives: int | None = None
    over_limit: bytes = DOWNLOAD_EXCEED
    short: Mapping[str, int] = field(default_factory=dict)
    stay: str = ""
    admits: bool = False
    letter_faults: tuple[LetterFault, ...] = ()
    utf8: bool = False
    slice: int = 0
    commits_when_cut: bool = False
    faults: tuple[Fault, ...] = ()

    def without(self, *capabilities: str) -> "Behaviour":
        """The same server, not announcing `capabilities`."""
        assert self.capabilities is not None
        return replace(self, capabilities=tuple(line for line in self.capabilities if line not in capabilities))


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A user's mailbox and the word that opens it."""

    password: str
    maildrop: Maildrop


USER, PASSWORD = "petrov", "petrovpasswd"
OK = b"+OK\r\n"
GREETING = b"+OK POP3 ready\r\n"


class Pop3Server:
    """Serves `mailboxes` by user name while its context lasts.

    `tls`: a server context, for STLS, or from the first octet if `implicit`. `said` keeps every command line of every session.
    """

    def __init__(
        self,
        mailboxes: Mapping[str, Mailbox] | Maildrop,
        behaviour: Behaviour | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        address: str = "127.0.0.1",
    ) -> None:
        one = {USER: Mailbox(PASSWORD, mailboxes)} if isinstance(mailboxes, Maildrop) else mailboxes
        self.mailboxes = dict(one)
        self.behaviour = behaviour or Behaviour()
        self.tls = tls
        self.implicit = implicit
        self.said: list[str] = []
        self._server = LoopbackServer(self._serve, address)
        self.host, self.port = self._server.address, self._server.port

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._server.connections

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, traceback)
        assert not self._server.failures, self._server.failures

    def _serve(self, peer: Peer) -> None:
        peer.slice = self.behaviour.slice
        if self.implicit:
            assert self.tls is not None
            peer.start_tls(self.tls)
        _Session(self, peer).run()


class _Session:
    """One connection. Every `_verb` method gives the answer; what lasts happens in `_commit` alone."""

    def __init__(self, server: Pop3Server, peer: Peer) -> None:
        self._server = server
        self._behaviour = server.behaviour
        self._peer = peer
        self._faults = Faults(server.behaviour.faults)
        self._argument = ""
        self._user = ""
        self._mailbox: Mailbox | None = None
        self._snapshot: tuple[StoredLetter, ...] = ()
        self._deleted: set[int] = set()
        self._given = 0

    def run(self) -> None:
        try:
            self._answer(Step.GREETING, lambda: GREETING)
            while self._command(self._peer.read_line().decode("utf-8", "replace")):
                pass
        except (Hangup, OSError):
            if self._behaviour.commits_when_cut:
                self._commit()
            raise

    def _command(self, line: str) -> bool:
        """Obey one line; whether the session goes on."""
        self._server.said.append(line)
        verb, _, self._argument = line.partition(" ")
        answer = self._ANSWERS.get(verb.upper())
        if answer is None:
            self._peer.send(b"-ERR unknown command\r\n")
            return True
        step = Step(verb.upper())
        done = self._answer(step, lambda: answer(self), self._letter_fault(step))
        if step is Step.STLS and done and self._server.tls is not None:
            self._peer.start_tls(self._server.tls)
        return step is not Step.QUIT

    def _answer(self, step: Step, answer: Callable[[], bytes], otherwise: Action | None = None) -> bool:
        """Answer as the faults will have it; whether the command was obeyed."""
        action = self._faults.due(step) or otherwise
        if step is Step.QUIT and obeys(action):
            self._commit()
        perform(action, self._peer, answer)
        return obeys(action)

    def _letter_fault(self, step: Step) -> Action | None:
        letter = self._letter(self._argument.partition(" ")[0]) if step in (Step.RETR, Step.TOP, Step.DELE) else None
        for fault in self._behaviour.letter_faults:
            if letter is not None and fault.step is step and re.fullmatch(fault.uid, letter.uid):
                return fault.action
        return None

    def _commit(self) -> None:
        if self._mailbox is not None:
            deleted = [self._snapshot[number - 1] for number in self._deleted]
            self._mailbox.maildrop.commit([letter for letter in deleted if not self._stays(letter)])
            self._mailbox = None

    def _stays(self, letter: StoredLetter) -> bool:
        return re.fullmatch(self._behaviour.stay, letter.uid) is not None

    def _capa(self) -> bytes:
        if self._behaviour.capabilities is None:
            return b"-ERR unknown command\r\n"
        stls = ["STLS"] if self._server.tls is not None and not self._peer.secure else []
        return _multiline(
            b"capability list follows", [line.encode() for line in (*self._behaviour.capabilities, *stls)]
        )

    def _stls(self) -> bytes:
        return b"+OK begin TLS\r\n" if self._server.tls is not None else b"-ERR no TLS here\r\n"

    def _utf8(self) -> bytes:
        return b"+OK UTF8 enabled\r\n" if self._behaviour.utf8 else b"-ERR unknown command\r\n"

    def _user_(self) -> bytes:
        self._user = self._argument
        return b"+OK send PASS\r\n"

    def _pass(self) -> bytes:
        return self._log_in(self._user, self._argument)

    def _auth(self) -> bytes:
        if self._argument.upper() != "PLAIN":
            return b"-ERR unknown mechanism\r\n"
        self._peer.send(b"+ \r\n")
        _, user, password = b64decode(self._peer.read_line()).decode().split("\0")
        return self._log_in(user, password)

    def _log_in(self, user: str, password: str) -> bytes:
        mailbox = self._server.mailboxes.get(user)
        if mailbox is None or mailbox.password != password:
            return b"-ERR [AUTH] wrong user or password\r\n"
        self._mailbox = mailbox
        self._snapshot = mailbox.maildrop.letters
        return b"+OK logged in\r\n"

    def _stat(self) -> bytes:
        left = self._left()
        return b"+OK %d %d\r\n" % (len(left), sum(len(letter.data) for _, letter in left))

    def _list(self) -> bytes:
        return _multiline(b"scan listing", [b"%d %d" % (number, len(letter.data)) for number, letter in self._left()])

    def _uidl(self) -> bytes:
        if not self._behaviour.uidl:
            return b"-ERR unknown command\r\n"
        return _multiline(b"", [b"%d %s" % (number, letter.uid.encode("latin-1")) for number, letter in self._left()])

    def _retr(self) -> bytes:
        letter = self._letter(self._argument)
        if letter is None:
            return b"-ERR no such letter\r\n"
        if self._given == self._behaviour.gives:
            return self._behaviour.over_limit
        self._given += 1
        return b"+OK letter follows\r\n" + stuffed(letter.data[: self._behaviour.short.get(letter.uid)])

    def _top(self) -> bytes:
        number, _, lines = self._argument.partition(" ")
        letter = self._letter(number)
        if self._behaviour.top is Top.UNKNOWN or not lines.isdecimal():
            return b"-ERR unknown command\r\n"
        if letter is None:
            return b"-ERR no such letter\r\n"
        header, blank, body = letter.data.partition(b"\r\n\r\n")
        below = b"".join(body.splitlines(keepends=True)[: int(lines)])
        whole = self._behaviour.top is Top.WHOLE
        return b"+OK top follows\r\n" + stuffed(letter.data if whole else header + blank + below)

    def _dele(self) -> bytes:
        if self._letter(self._argument) is None:
            return b"-ERR no such letter\r\n"
        self._deleted.add(int(self._argument))
        return b"+OK marked\r\n"

    def _rset(self) -> bytes:
        self._deleted.clear()
        return OK

    def _quit(self) -> bytes:
        stays = any(self._stays(self._snapshot[number - 1]) for number in self._deleted)
        if stays and self._behaviour.admits:
            return b"-ERR some deleted messages not removed\r\n"
        return b"+OK bye\r\n"

    def _left(self) -> list[tuple[int, StoredLetter]]:
        letters = enumerate(self._snapshot, start=1)
        return [(number, letter) for number, letter in letters if number not in self._deleted]

    def _letter(self, argument: str) -> StoredLetter | None:
        return dict(self._left()).get(int(argument)) if argument.isdecimal() else None

    _ANSWERS: ClassVar[dict[str, Callable[["_Session"], bytes]]] = {
        Step.CAPA: _capa,
        Step.STLS: _stls,
        Step.UTF8: _utf8,
        Step.USER: _user_,
        Step.PASS: _pass,
        Step.AUTH: _auth,
        Step.STAT: _stat,
        Step.UIDL: _uidl,
        Step.LIST: _list,
        Step.RETR: _retr,
        Step.TOP: _top,
        Step.DELE: _dele,
        Step.RSET: _rset,
        Step.QUIT: _quit,
    }


def late(seconds: float) -> Alter:
    """The right answer, after so long a silence."""

    def thinking(answer: bytes) -> bytes:
        Event().wait(seconds)
        return answer

    return Alter(thinking)


def stuffed(data: bytes) -> bytes:
    """`data` as the body of a multi-line response, terminator included (RFC 1939 section 3)."""
    body = data if data.endswith(b"\r\n") or not data else data + b"\r\n"
    return (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def _multiline(text: bytes, lines: Iterable[bytes]) -> bytes:
    return b"+OK " + text + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b".\r\n"
