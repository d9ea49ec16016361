"""A small POP3 server (RFC 1939, 2449, 3206, 5034). It serves each user's INBOX."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from fetchrules.demo.maildrop import Held, LetterGone, Maildrop
from fetchrules.demo.server import DemoServer, LineTooLong, Refusal, Wire, plain_credentials

_CAPABILITIES = (
    "TOP",
    "UIDL",
    "USER",
    "SASL PLAIN",
    "PIPELINING",
    "RESP-CODES",
    "AUTH-RESP-CODE",
    "IMPLEMENTATION demo",
)

_Command = Callable[[str], bytes]
"""Obeys a command with this argument. Returns the whole answer; raises Refusal."""
OK = b"+OK\r\n"


class Pop3Session:
    """One session. Letters are numbered at login and removed at QUIT. `log_in` takes user and password; it raises Refusal."""

    def __init__(self, wire: Wire, log_in: Callable[[str, str], Maildrop]) -> None:
        self.wire = wire
        self.over = False
        self.letters: dict[int, Held] = {}
        self.deleted: set[int] = set()
        self._log_in = log_in
        self._user = ""
        self._maildrop: Maildrop | None = None

    def run(self) -> None:
        try:
            self.greet()
            while not self.over:
                self.command(self.wire.read_line().decode("utf-8", "replace"))
        except LineTooLong:
            self.wire.send(b"-ERR line too long\r\n")

    def greet(self) -> None:
        self.wire.send(b"+OK POP3 ready\r\n")

    def command(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        self.obey(verb.upper(), argument)

    def obey(self, verb: str, argument: str) -> None:
        self.wire.send(self.answer(verb, argument))

    def answer(self, verb: str, argument: str) -> bytes:
        command = self.commands().get(verb)
        if command is None:
            return b"-ERR unknown command\r\n"
        try:
            return command(argument)
        except Refusal as refusal:
            return f"-ERR {refusal}\r\n".encode()

    def commands(self) -> dict[str, _Command]:
        in_any_state: dict[str, _Command] = {"CAPA": self.capa, "QUIT": self.quit}
        if self._maildrop is None:
            return in_any_state | {"USER": self.user, "PASS": self.password, "AUTH": self.auth}
        return in_any_state | {
            "NOOP": lambda _: OK,
            "STAT": self.stat,
            "LIST": lambda argument: self.listing(argument, lambda letter: str(letter.size)),
            "UIDL": lambda argument: self.listing(argument, lambda letter: letter.unique_id),
            "RETR": self.retr,
            "TOP": self.top,
            "DELE": self.dele,
            "RSET": self.rset,
        }

    def capa(self, _: str) -> bytes:
        return multiline(_CAPABILITIES)

    def user(self, name: str) -> bytes:
        self._user = name
        return OK

    def password(self, password: str) -> bytes:
        return self.open(self._user, password)

    def auth(self, mechanism: str) -> bytes:
        if mechanism.upper() != "PLAIN":
            raise Refusal("unknown mechanism")
        self.wire.send(b"+ \r\n")
        return self.open(*plain_credentials(self.wire.read_line()))

    def open(self, user: str, password: str) -> bytes:
        self._maildrop = self._log_in(user, password)
        self.letters = dict(enumerate(self._maildrop.scan(), start=1))
        return b"+OK logged in\r\n"

    def stat(self, _: str) -> bytes:
        return b"+OK %d %d\r\n" % (len(self._left()), sum(letter.size for letter in self._left().values()))

    def listing(self, argument: str, shown: Callable[[Held], str]) -> bytes:
        """One line for each letter that is not marked as deleted, or for the one whose number is given."""
        if argument:
            number = self.number(argument)
            return f"+OK {number} {shown(self.letters[number])}\r\n".encode()
        return multiline(f"{number} {shown(letter)}" for number, letter in self._left().items())

    def retr(self, argument: str) -> bytes:
        return b"+OK letter follows\r\n" + stuffed(self.read(self.number(argument)))

    def top(self, argument: str) -> bytes:
        number, _, lines = argument.partition(" ")
        if not (lines.isascii() and lines.isdigit()):
            raise Refusal("TOP takes two numbers")
        header, blank, body = self.read(self.number(number)).partition(b"\r\n\r\n")
        return b"+OK top follows\r\n" + stuffed(header + blank + b"".join(body.splitlines(keepends=True)[: int(lines)]))

    def dele(self, argument: str) -> bytes:
        self.deleted.add(self.number(argument))
        return b"+OK marked as deleted\r\n"

    def rset(self, _: str) -> bytes:
        self.deleted.clear()
        return OK

    def quit(self, _: str) -> bytes:
        self.over = True
        self.update([self.letters[number] for number in sorted(self.deleted)])
        return b"+OK bye\r\n"

    def update(self, deleted: list[Held]) -> None:
        """The UPDATE state: remove these letters for good."""
        if self._maildrop is not None:
            self._maildrop.remove(deleted)

    def number(self, argument: str) -> int:
        """Raises Refusal unless it is the number of a letter that is not marked as deleted."""
        number = int(argument) if argument.isascii() and argument.isdigit() else 0
        if number not in self.letters or number in self.deleted:
            raise Refusal("no such message")
        return number

    def read(self, number: int) -> bytes:
        """The letter's octets. Raises Refusal."""
        assert self._maildrop is not None
        try:
            return self._maildrop.read(self.letters[number])
        except LetterGone as error:
            raise Refusal("[SYS/TEMP] the message has gone") from error

    def _left(self) -> dict[int, Held]:
        return {number: letter for number, letter in self.letters.items() if number not in self.deleted}


class Pop3Server(DemoServer):
    """Serves each user's INBOX, to one session at a time (RFC 1939 §4)."""

    def __init__(self, port: int, directory: Path, passwords: Mapping[str, str]) -> None:
        self._locks = {user: Lock() for user in passwords}
        super().__init__(port, directory, passwords)

    def serve(self, wire: Wire) -> None:
        with ExitStack() as ends:

            def log_in(user: str, password: str) -> Maildrop:
                mailbox = self.mailbox(user, password)
                if mailbox is None:
                    raise Refusal("[AUTH] wrong user or password")
                if not self._locks[user].acquire(blocking=False):
                    raise Refusal("[IN-USE] another session holds this maildrop")
                ends.callback(self._locks[user].release)
                return mailbox.inbox

            Pop3Session(wire, log_in).run()


def multiline(lines: Iterable[str]) -> bytes:
    """A multi-line answer (RFC 1939 §3). Unique-ids may be any octets, each a character here."""
    return "\r\n".join(("+OK", *lines, ".\r\n")).encode("latin-1")


def stuffed(letter: bytes) -> bytes:
    """The letter as it follows the first line of an answer: lines that begin with a dot get another, and a dot ends it."""
    ended = letter if letter.endswith(b"\r\n") or not letter else letter + b"\r\n"
    return (b"\r\n" + ended).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
