"""A small honest IMAP server (RFC 3501, 3691, 4315) on the loopback address, for the demonstration.

Letters can be read, sought, flagged and expunged. Folders stay as they are, and letters come by other ways than APPEND and COPY.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from socketserver import StreamRequestHandler

from fetchrules.demo.imap.session import Session
from fetchrules.demo.imap.syntax import Bad, Refusal, Token, quoted, strings, tokens
from fetchrules.demo.server import MailServer

MAX_LINE = 8192
"""Octets of a command's line, or of what stands between its literals."""
MAX_COMMAND = 65536
"""Octets of a command with its literals."""
IDLE_SECONDS = 30 * 60
"""RFC 3501 §5.4."""

_CAPABILITIES = "IMAP4rev1 AUTH=PLAIN UIDPLUS UNSELECT"
_LITERAL = re.compile(r"\{(\d{1,10})\}\Z", re.ASCII)
_TAG = re.compile(r'[^\x00-\x20(){%*"\\+\x7f-\U0010ffff]+')
_DONE = "OK done"


class Farewell(Exception):
    """What costs the client its connection; the message is what follows BYE."""


class ImapServer(MailServer):
    """Serves all folders of each user, to any number of sessions at a time."""

    def __init__(self, port: int, directory: Path, passwords: Mapping[str, str]) -> None:
        super().__init__(port, directory, passwords, Connection)


class Connection(StreamRequestHandler):
    """One client: the states before and after a login are here, those between in `Session`."""

    server: ImapServer
    timeout = IDLE_SECONDS
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Nobody has logged in."""
        super().setup()
        self._session: Session | None = None
        self._over = False
        self._any_state: dict[str, Callable[[list[Token]], str]] = {
            "CAPABILITY": self._capability,
            "LOGOUT": self._logout,
            "NOOP": lambda _: _DONE,
        }
        self._not_authenticated: dict[str, Callable[[list[Token]], str]] = {
            "AUTHENTICATE": self._authenticate,
            "LOGIN": lambda arguments: self._log_in(*strings(arguments, 2)),
        }

    def handle(self) -> None:
        """Serve the client until it leaves or falls silent."""
        try:
            self._tell(f"OK [CAPABILITY {_CAPABILITIES}] Demonstration mail server ready")
            while not self._over:
                self._obey(self._command())
        except Farewell as farewell:
            self._tell(f"BYE {farewell}")
        except (EOFError, TimeoutError, ConnectionError):
            return

    def _obey(self, command: str) -> None:
        tag, _, rest = command.partition(" ")
        if not _TAG.fullmatch(tag):
            self._tell("BAD a command begins with a tag")
            return
        try:
            done = self._answer(*_verb_first(tokens(rest)))
        except Bad as error:
            done = f"BAD {error}"
        except Refusal as refusal:
            done = f"NO {refusal}"
        self._say(f"{tag} {done}".encode())

    def _answer(self, verb: str, arguments: list[Token]) -> str:
        """Do what the command says, tell what is to be told, and return what its last line says. Raises Bad, Refusal."""
        ours = self._any_state | (self._not_authenticated if self._session is None else {})
        if verb in ours:
            done = ours[verb](arguments)
        elif self._session is not None:
            done = self._session.answer(verb, arguments)
        else:
            raise Bad("no such command, or log in first")
        if self._session is not None and not self._over:
            self._tell(*self._session.news(verb))
        return done

    def _capability(self, _: list[Token]) -> str:
        self._tell(f"CAPABILITY {_CAPABILITIES}")
        return _DONE

    def _logout(self, _: list[Token]) -> str:
        self._tell("BYE until next time")
        self._over = True
        return _DONE

    def _authenticate(self, arguments: list[Token]) -> str:
        """RFC 4616."""
        if strings(arguments, 1)[0].upper() != "PLAIN":
            raise Refusal("[CANNOT] PLAIN is all that there is")
        self._say(b"+ ")
        try:
            identity, user, password = b64decode(self._line(), validate=True).decode().split("\0")
        except ValueError as error:  # as "*" is, by which a client says that it has thought better of it
            raise Bad("not what PLAIN expects") from error
        if identity not in {"", user}:
            raise Refusal("[AUTHORIZATIONFAILED] nobody acts for others here")
        return self._log_in(user, password)

    def _log_in(self, user: str, password: str) -> str:
        mailbox = self.server.mailbox(user, password)
        if mailbox is None:
            raise Refusal("[AUTHENTICATIONFAILED] wrong user or password")
        self._session = Session(mailbox, self._tell)
        return f"OK [CAPABILITY {_CAPABILITIES}] logged in"

    def _command(self) -> str:
        """The next command, its literals turned into quoted strings. Raises EOFError, Farewell."""
        text = self._line()
        while announced := _LITERAL.search(text):
            if len(text) + int(announced[1]) > MAX_COMMAND:
                self._say(f"{text.partition(' ')[0]} NO [TOOBIG] too long a command".encode())
                text = self._line()
                continue
            self._say(b"+ go on")
            octets = self._octets(int(announced[1]))
            text = text[: announced.start()] + quoted(octets.decode("utf-8", "replace")) + self._line()
        return text

    def _line(self) -> str:
        self.wfile.flush()
        line = self.rfile.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise Farewell("too long a line")
        if not line.endswith(b"\n"):
            raise EOFError
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def _octets(self, count: int) -> bytes:
        self.wfile.flush()
        return self.rfile.read(count)

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")

    def _tell(self, *untagged: str | bytes) -> None:
        for response in untagged:
            self._say(b"* " + (response.encode() if isinstance(response, str) else response))


def _verb_first(command: list[Token]) -> tuple[str, list[Token]]:
    """The command's name in upper case, UID and what follows it being one; and its arguments. Raises Bad."""
    words = 2 if command and isinstance(command[0], str) and command[0].upper() == "UID" else 1
    return " ".join(strings(command[:words], words)).upper(), command[words:]
