"""A POP3 server for tests: the demonstration's, but for what a behaviour and its faults say, with mailboxes in memory.

A fault is data: at this step, when a session comes to it for the nth time, do that. So a table of faults is a table of servers.
"""

import re
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from threading import Event

from fetchrules.demo.maildrop import Held
from fetchrules.demo.pop3 import OK, Pop3Session, multiline, stuffed
from fetchrules.demo.server import Refusal
from tests.servers.faults import Action, Faults, obeys, perform
from tests.servers.faults import Alter as Alter
from tests.servers.faults import Cut as Cut
from tests.servers.faults import Drip as Drip
from tests.servers.faults import Fault as Fault
from tests.servers.faults import Flood as Flood
from tests.servers.faults import Say as Say
from tests.servers.faults import Stall as Stall
from tests.servers.loopback import Hangup, Peer, ScriptedServer
from tests.servers.maildrop import Maildrop
from tests.servers.sasl import GREETING_STAMP, apop_password, authenticate


class Step(StrEnum):
    """Where a fault can happen: the greeting, or the answer to a command."""

    GREETING = "greeting"
    CAPA = "CAPA"
    STLS = "STLS"
    UTF8 = "UTF8"
    USER = "USER"
    PASS = "PASS"
    APOP = "APOP"
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
    logins: frozenset[str] = frozenset({"password", "PLAIN"})
    secretless: frozenset[str] = frozenset()
    timestamp: bool = False
    hangs_up: bool = False
    proves: bool = True

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


class Pop3Server(ScriptedServer):
    """Serves `mailboxes` by user name while its context lasts."""

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
        super().__init__(tls=tls, implicit=implicit, address=address)

    def session(self, peer: Peer) -> None:
        peer.slice = self.behaviour.slice
        _Session(self, peer).run()

    def log_in(self, user: str, password: str) -> Maildrop:
        """The maildrop of this user. Raises Refusal."""
        mailbox = self.mailboxes.get(user)
        if mailbox is None or mailbox.password != password:
            raise Refusal("[AUTH] wrong user or password")
        return mailbox.maildrop


class _Session(Pop3Session):
    """A correct session, but for what the behaviour and its faults say."""

    def __init__(self, server: Pop3Server, peer: Peer) -> None:
        super().__init__(peer, server.log_in)
        self._server = server
        self._peer = peer
        self._behaviour = server.behaviour
        self._faults = Faults(server.behaviour.faults)
        self._given = 0
        self._login_refused = False
        self._updates = True
        self._updated = False

    def run(self) -> None:
        try:
            super().run()
        except (Hangup, OSError):
            if self._behaviour.commits_when_cut and not self._updated:
                self._updates = True
                self.update([self.letters[number] for number in self.deleted])
            raise

    def greet(self) -> None:
        stamp = f" {GREETING_STAMP}" if self._behaviour.timestamp else ""
        perform(self._faults.due(Step.GREETING), self._peer, f"+OK POP3 ready{stamp}\r\n".encode)

    def command(self, line: str) -> None:
        self._server.said.append(line)
        super().command(line)

    def obey(self, verb: str, argument: str) -> None:
        if verb not in Step.__members__:
            super().obey(verb, argument)
            return
        step = Step(verb)
        action = self._faults.due(step) or self._letter_fault(step, argument.partition(" ")[0])
        self._updates = obeys(action)
        perform(action, self._peer, lambda: self._answer(verb, argument))
        if self._behaviour.hangs_up and step in (Step.USER, Step.PASS, Step.APOP, Step.AUTH) and self._login_refused:
            raise Hangup
        if step is Step.STLS and obeys(action) and self._server.tls is not None:
            self._peer.start_tls(self._server.tls)
        self.over = step is Step.QUIT

    def _answer(self, verb: str, argument: str) -> bytes:
        answer = self.answer(verb, argument)
        self._login_refused = answer.startswith(b"-ERR")
        return answer

    def _letter_fault(self, step: Step, argument: str) -> Action | None:
        try:
            unique_id = self.letters[self.number(argument)].unique_id
        except Refusal:
            return None
        due = (one for one in self._behaviour.letter_faults if one.step is step and re.fullmatch(one.uid, unique_id))
        return next((fault.action for fault in due), None)

    def commands(self) -> dict[str, Callable[[str], bytes]]:
        unknown = {
            "CAPA": self._behaviour.capabilities is None,
            "UIDL": not self._behaviour.uidl,
            "TOP": self._behaviour.top is Top.UNKNOWN,
            "UTF8": not self._behaviour.utf8,
            "USER": "password" not in self._behaviour.logins,
            "APOP": "APOP" not in self._behaviour.logins,
        }
        commands = {**super().commands(), "STLS": self._stls, "UTF8": lambda _: OK}
        if "USER" in commands:
            commands["APOP"] = self._apop
        return {verb: command for verb, command in commands.items() if not unknown.get(verb)}

    def capa(self, _: str) -> bytes:
        stls = ["STLS"] if self._server.tls is not None and not self._peer.secure else []
        return multiline([*(self._behaviour.capabilities or ()), *stls])

    def auth(self, argument: str) -> bytes:
        mechanism, _, initial = argument.partition(" ")
        behaviour = self._behaviour
        if mechanism not in behaviour.logins:
            raise Refusal("unknown mechanism")
        user = authenticate(
            mechanism,
            b64decode(initial) if initial else None,
            self._ask,
            self._passwords(mechanism),
            proves=behaviour.proves,
        )
        return self.open(user, self._server.mailboxes[user].password)

    def password(self, password: str) -> bytes:
        if "password" in self._behaviour.secretless:
            raise Refusal("[AUTH] wrong user or password")
        return super().password(password)

    def _apop(self, argument: str) -> bytes:
        user, _, digest = argument.rpartition(" ")
        password = self._passwords("APOP").get(user, "")
        if not apop_password(digest, password):
            raise Refusal("[AUTH] wrong user or password")
        return self.open(user, password)

    def _passwords(self, way: str) -> dict[str, str]:
        if way in self._behaviour.secretless:
            return dict.fromkeys(self._server.mailboxes, "")
        return {user: mailbox.password for user, mailbox in self._server.mailboxes.items()}

    def _ask(self, challenge: bytes) -> bytes:
        self._peer.send(b"+ " + b64encode(challenge) + b"\r\n")
        line = self._peer.read_line()
        self._server.said.append(line.decode())
        if line == b"*":
            raise Refusal("cancelled")
        return b64decode(line)

    def _stls(self, _: str) -> bytes:
        if self._server.tls is None:
            raise Refusal("no TLS here")
        return b"+OK begin TLS\r\n"

    def top(self, argument: str) -> bytes:
        if self._behaviour.top is Top.WHOLE:
            return b"+OK top follows\r\n" + stuffed(self.read(self.number(argument.partition(" ")[0])))
        return super().top(argument)

    def retr(self, argument: str) -> bytes:
        number = self.number(argument)
        if self._given == self._behaviour.gives:
            return self._behaviour.over_limit
        self._given += 1
        short = self._behaviour.short.get(self.letters[number].unique_id)
        return b"+OK letter follows\r\n" + stuffed(self.read(number)[:short])

    def update(self, deleted: list[Held]) -> None:
        stay = [letter for letter in deleted if re.fullmatch(self._behaviour.stay, letter.unique_id)]
        if self._updates:
            self._updated = True
            super().update([letter for letter in deleted if letter not in stay])
        if stay and self._behaviour.admits:
            raise Refusal("some deleted messages not removed")


def late(seconds: float) -> Alter:
    """The right answer, after so long a silence."""

    def thinking(answer: bytes) -> bytes:
        Event().wait(seconds)
        return answer

    return Alter(thinking)
