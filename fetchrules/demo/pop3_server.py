"""A small honest POP3 server (RFC 1939, 2449, 3206) on the loopback address, for the demonstration."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler
from threading import Lock

from fetchrules.demo.maildrop import Held, Mailbox, Maildrop
from fetchrules.demo.server import MailServer

MAX_LINE = 512
"""Octets of a command (RFC 2449 §4)."""
IDLE_SECONDS = 600
"""RFC 1939 §3."""

_CAPABILITIES = ("TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "IMPLEMENTATION demo")


class Refusal(Exception):
    """A command that gets -ERR; the message is what follows it."""


class Pop3Server(MailServer):
    """Serves each user's INBOX."""

    def __init__(self, port: int, directory: Path, passwords: Mapping[str, str]) -> None:
        self._in_use: set[str] = set()
        self._lock = Lock()
        super().__init__(port, directory, passwords, Connection)

    @contextmanager
    def locked(self, user: str) -> Iterator[None]:
        """The exclusive access that RFC 1939 §4 demands. Raises Refusal."""
        with self._lock:
            if user in self._in_use:
                raise Refusal("[IN-USE] another session holds this maildrop")
            self._in_use.add(user)
        try:
            yield
        finally:
            with self._lock:
                self._in_use.discard(user)


class Connection(StreamRequestHandler):
    """One client: the AUTHORIZATION state here, the TRANSACTION state in `Transaction`."""

    server: Pop3Server
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Serve the client until it leaves or falls silent."""
        try:
            self._say(b"+OK Demonstration mail server ready")
            logged_in = self._logged_in()
            if logged_in:
                user, mailbox = logged_in
                with self.server.locked(user):
                    self._say(b"+OK maildrop locked and ready")
                    self._serve(Transaction(mailbox.inbox))
        except Refusal as refusal:
            self._say(f"-ERR {refusal}".encode())
        except (TimeoutError, ConnectionError):
            return

    def _logged_in(self) -> tuple[str, Mailbox] | None:
        """The user and what he has; None: the client left. Raises Refusal for a wrong password, which costs the connection."""
        user = ""
        for verb, argument in self._commands():
            match verb:
                case "USER":
                    user = argument
                    self._say(b"+OK")
                case "PASS":
                    mailbox = self.server.mailbox(user, argument)
                    if mailbox is None:
                        raise Refusal("[AUTH] wrong user or password")
                    return user, mailbox
                case "CAPA":
                    self._say(lines(_CAPABILITIES))
                case "QUIT":
                    self._say(b"+OK bye")
                    return None
                case _:
                    self._say(b"-ERR log in first")
        return None

    def _serve(self, transaction: "Transaction") -> None:
        for verb, argument in self._commands():
            try:
                self._say(transaction.answer(verb, argument))
            except Refusal as refusal:
                self._say(f"-ERR {refusal}".encode())
            if verb == "QUIT":
                return

    def _commands(self) -> Iterator[tuple[str, str]]:
        """Verb in upper case and argument of each command, until the client hangs up."""
        while line := self.rfile.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise Refusal("line too long")
            verb, _, argument = line.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
            yield verb.upper(), argument

    def _say(self, answer: bytes) -> None:
        self.wfile.write(answer + b"\r\n")


class Transaction:
    """The TRANSACTION and UPDATE states: numbers stand for the letters that were there when the session began."""

    def __init__(self, maildrop: Maildrop) -> None:
        self._maildrop = maildrop
        self._letters = dict(enumerate(maildrop.letters(), start=1))
        self._deleted: set[int] = set()
        self._commands: dict[str, Callable[[str], bytes]] = {
            "CAPA": lambda _: lines(_CAPABILITIES),
            "NOOP": lambda _: b"+OK",
            "STAT": lambda _: b"+OK %d %d" % (len(self._left()), sum(letter.size for letter in self._left().values())),
            "LIST": lambda argument: self._scan(argument, lambda letter: str(letter.size)),
            "UIDL": lambda argument: self._scan(argument, lambda letter: letter.unique_id),
            "RETR": lambda argument: stuffed(self._read(argument)),
            "TOP": self._top,
            "DELE": self._delete,
            "RSET": self._reset,
            "QUIT": self._quit,
        }

    def answer(self, verb: str, argument: str) -> bytes:
        """What the server says to this command, without the last CRLF. Raises Refusal."""
        command = self._commands.get(verb)
        if command is None:
            raise Refusal("unknown command")
        return command(argument)

    def _left(self) -> dict[int, Held]:
        return {number: letter for number, letter in self._letters.items() if number not in self._deleted}

    def _number(self, argument: str) -> int:
        number = int(argument) if argument.isascii() and argument.isdigit() else 0
        if number not in self._left():
            raise Refusal("no such message")
        return number

    def _scan(self, argument: str, shown: Callable[[Held], str]) -> bytes:
        if argument:
            number = self._number(argument)
            return f"+OK {number} {shown(self._letters[number])}".encode()
        return lines(f"{number} {shown(letter)}" for number, letter in self._left().items())

    def _read(self, argument: str) -> bytes:
        try:
            return self._maildrop.read(self._letters[self._number(argument)].unique_id)
        except FileNotFoundError as error:
            raise Refusal("[SYS/TEMP] the message has gone") from error

    def _top(self, argument: str) -> bytes:
        number, _, count = argument.partition(" ")
        if not (count.isascii() and count.isdigit()):
            raise Refusal("TOP takes two numbers")
        head, blank, body = self._read(number).partition(b"\r\n\r\n")
        return stuffed(head + blank + b"".join(body.splitlines(keepends=True)[: int(count)]))

    def _delete(self, argument: str) -> bytes:
        self._deleted.add(self._number(argument))
        return b"+OK"

    def _reset(self, _: str) -> bytes:
        self._deleted.clear()
        return b"+OK"

    def _quit(self, _: str) -> bytes:
        self._maildrop.remove(self._letters[number].unique_id for number in self._deleted)
        return b"+OK bye"


def lines(content: Iterable[str]) -> bytes:
    """A multi-line answer (RFC 1939 §3), without the last CRLF."""
    return "\r\n".join(("+OK", *content, ".")).encode()


def stuffed(letter: bytes) -> bytes:
    """The letter as a multi-line answer, without the last CRLF."""
    ended = letter if letter.endswith(b"\r\n") else letter + b"\r\n"
    doubled = ended.replace(b"\r\n.", b"\r\n..")
    return b"+OK\r\n" + (b"." if doubled.startswith(b".") else b"") + doubled + b"."
