"""imaplib on our stream: every wait has a deadline, every line, literal and answer a limit, and `run` translates errors.

`open`, `read`, `readline`, `send` and `shutdown` are the methods that imaplib documents for overriding.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from imaplib import IMAP4
from typing import Any

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    LocalProtocolError,
    MailboxBusy,
    OverLimit,
    RemoteProtocolError,
    ServerRefused,
    ServerTemporary,
    TlsRequired,
)
from fetchrules.remote.imap.syntax import quoted
from fetchrules.remote.known_texts import softened
from fetchrules.remote.net import Stream
from fetchrules.remote.transcript import Secrets, Speaker, Trace

_CODE = re.compile(r"\[([A-Za-z0-9.-]+)(?: [^\]]*)?\]")

_MEANINGS: dict[str, type[FetchError]] = {
    "UNAVAILABLE": ServerTemporary,
    "LIMIT": OverLimit,
    "OVERQUOTA": OverLimit,
    "THROTTLED": OverLimit,
    "INUSE": MailboxBusy,
    "SERVERBUG": ServerRefused,
    "PRIVACYREQUIRED": TlsRequired,
}


def refusal(words: str, otherwise: type[FetchError]) -> FetchError:
    """The error that a negative answer stands for: `otherwise` unless its code (RFC 5530) or a known text says more."""
    found = _CODE.match(words)
    meaning = _MEANINGS.get(found[1].upper() if found else "")
    return (meaning or softened(words) or otherwise)(words)


def is_limit(error: FetchError | None) -> bool:
    """Whether the server now refuses all letters, so that none is to blame."""
    return isinstance(error, OverLimit | ServerTemporary | MailboxBusy)


OCTETS_MAX, LINES_MAX = 1024 * 1024, 1000
"""The limits of an ordinary answer."""

_LINE_MAX = 256 * 1024
_DIGITS_MAX = 18
_LITERAL = re.compile(rb"\{([0-9]+)\+?\}\r\n\Z")
_BAD = re.compile(rb"[A-Z]{1,8}[0-9]+ BAD ?(.*)\r\n")
_KIND = re.compile(rb"(?:\*(?: [0-9]+)?|[A-Z]{1,8}[0-9]+) [A-Za-z-]+(?: \[[A-Za-z-]+)?")
_STATUS = re.compile(rb"(?:\*|[A-Z]{1,8}[0-9]+) (?:OK|NO|BAD|BYE|PREAUTH)\b")
_WORTH_SHOWING = re.compile(
    rb"\* (?:OK|NO|BAD|BYE|PREAUTH|CAPABILITY)\b|[A-Z]{1,8}[0-9]+ (?:OK|NO|BAD)\b|\* [0-9]+ EXISTS|\+"
)
_TOO_MANY = "MESSAGELIMIT"
_MOST = re.compile(rb"([1-9][0-9]{0,8})(?: |\Z)")


def _readable(line: bytes) -> bytes:
    """`line` in a form that imaplib understands.

    imaplib expects capitals, which RFC 3501 section 9 does not, and takes a text that ends in {90} for a literal, even behind
    OK, NO, BAD, BYE and PREAUTH (section 7.1).
    """
    if kind := _KIND.match(line):
        line = kind[0].upper() + line[kind.end() :]
    if line.endswith(b"}\r\n") and _STATUS.match(line):
        line = line[:-2] + b" \r\n"
    return line


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is imaplib's, `words` the last line. `partial`: done for some letters only, a limit of the server's (RFC 9738)."""

    ok: bool
    data: list[Any]
    words: str
    partial: bool = False


class FencedImap(IMAP4):
    """An IMAP connection; it waits for the greeting and asks for the capabilities. Raises FetchError."""

    def __init__(self, stream: Stream, secrets: Secrets, trace: Trace | None) -> None:
        self._stream = stream
        self.masked = secrets.masked
        self._trace = trace
        self._unread = b""
        self._position = 0
        self._octets, self._lines = OCTETS_MAX, LINES_MAX
        self._bad = ""
        self.closed = False
        self.most: int | None = None
        """How many letters a command may name, if the server has said so (RFC 9738)."""
        self.together = 0
        """How many letters the last command named."""
        self.overflowed = False
        """Whether the last answer was longer than `run` allowed it to be."""
        try:
            super().__init__()
        except (IMAP4.error, FetchError) as error:
            raise self._translated(error, ServerRefused) from error
        if self.state != "NONAUTH":
            # Nobody has logged in; before TLS, an attacker could so keep us from starting it.
            raise RemoteProtocolError("the server greets with PREAUTH")
        self.is_readonly = True  # means: do not raise when the mailbox turns out to be; its NO to a STORE will do

    def run(
        self,
        command: Callable[[], tuple[str, list[Any]]],
        octets: int = OCTETS_MAX,
        lines: int = LINES_MAX,
        *,
        letters: int = 0,
        bad_is_no: bool = False,
        patiently: str = "",
    ) -> Answer:
        """Run one command about so many `letters`, with limits for its answer. NO is an answer; BAD and BYE raise.

        With `bad_is_no`, BAD is an answer too, since Exchange says it to correct commands. `patiently` names a slow command.
        """
        if self.closed:
            raise LocalProtocolError("the session is over")
        self._octets, self._lines, self._bad, self.together = octets, lines, "", letters
        self.response(_TOO_MANY)  # what was said of another command
        patience = self._stream.patience(self._stream.deadlines.for_a_list, patiently) if patiently else nullcontext()
        try:
            with patience:
                status, data = command()
        except (IMAP4.error, FetchError) as error:
            if not bad_is_no or not self._bad or not isinstance(error, IMAP4.error) or isinstance(error, IMAP4.abort):
                self.shutdown()
                raise self._translated(error, ConnectionLost) from error
            status, data = "BAD", [self._bad.encode()]
        self._stream.reply_ended()
        last = data[-1] if data else None
        words = self.masked(last.decode("utf-8", "replace")) if isinstance(last, bytes) else ""
        return Answer(status == "OK", data, words, self._was_too_much())

    def learn_most(self, capabilities: Iterable[str]) -> None:
        """Note how many letters a command may name, where the server announces it."""
        told = (one.partition("=")[2] for one in capabilities if one.startswith(f"{_TOO_MANY}="))
        self.most = next((int(most) for most in told if _MOST.fullmatch(most.encode())), self.most)

    def _was_too_much(self) -> bool:
        """Whether the server said that the command named too many letters; then note `most`."""
        said = self.response(_TOO_MANY)[1][-1]
        found = _MOST.match(said) if isinstance(said, bytes) else None
        if found:
            self.most = int(found[1])
        return found is not None

    def announced(self) -> frozenset[str]:
        """The capabilities that the server told unasked, if any."""
        _, data = self.response("CAPABILITY")
        last = data[-1] if data else None
        return frozenset(last.decode("ascii", "replace").upper().split()) if isinstance(last, bytes) else frozenset()

    def ask_capabilities(self) -> frozenset[str]:
        answer = self.run(lambda: self.xatom("CAPABILITY"))
        if not answer.ok:
            raise ServerRefused(answer.words)
        return self.announced()

    def log_in(self, user: str, password: str) -> Answer:
        """LOGIN. imaplib's own quotes only the password."""
        words: Any = [quoted(word).encode() for word in (user, password)]  # octets: a str would have to be ASCII
        answer = self.run(lambda: self.xatom("LOGIN", *words))
        if answer.ok:
            self.state = "AUTH"
        return answer

    def authenticate_plain(self, credentials: bytes) -> Answer:
        def authenticate() -> tuple[str, list[Any]]:
            try:
                self.authenticate("PLAIN", lambda _: credentials)
            except IMAP4.abort:
                raise
            except IMAP4.error as error:  # imaplib's way to say NO, in this command alone
                return "NO", [str(error).encode()]
            return "OK", []

        return self.run(authenticate)

    def select_folder(self, name: str) -> Answer:
        """SELECT. imaplib's own raises where the folder may only be read."""
        self.untagged_responses.clear()
        answer = self.run(lambda: self.xatom("SELECT", quoted(name)), bad_is_no=True, patiently="SELECT")
        if answer.ok:
            self.state = "SELECTED"
        return answer

    def number(self, response: str) -> int | None:
        """The last number of an untagged response or code like EXISTS or UIDVALIDITY, if any."""
        _, data = self.response(response)
        last = data[-1] if data else None
        return int(last) if isinstance(last, bytes) and last.isdigit() and len(last) <= _DIGITS_MAX else None

    def begin_tls(self) -> None:
        """Between the answer to STARTTLS and the handshake, forget everything said in the clear (RFC 3501 section 6.2.1)."""
        if self._position < len(self._unread):
            raise RemoteProtocolError("the server went on in the clear behind its answer to STARTTLS")
        self.untagged_responses.clear()

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """The stream is connected already."""

    def read(self, size: int) -> bytes:
        """A literal; `readline` has seen its size and allowed it."""
        # Not a list of blocks: a record of TLS may bring two octets, and its block takes sixty.
        literal = bytearray(self._unread[self._position : self._position + size])
        self._position += len(literal)
        while len(literal) < size:
            self._unread = self._stream.read()
            self._position = min(size - len(literal), len(self._unread))
            literal += self._unread[: self._position]
        return bytes(literal)

    def readline(self) -> bytes:
        line = _readable(self._line())
        self._spend(line)
        if bad := _BAD.fullmatch(line):
            self._bad = bad[1].decode("utf-8", "replace") or "BAD"
        if self._trace is not None and _WORTH_SHOWING.match(line):
            self._trace(Speaker.SERVER, self.masked(line.decode("utf-8", "replace").rstrip()))
        return line

    def send(self, data: Any) -> None:
        self._stream.write(bytes(data))
        if self._trace is not None and (text := bytes(data).decode("utf-8", "replace").rstrip()):
            self._trace(Speaker.CLIENT, self.masked(text))

    def shutdown(self) -> None:
        """Drop the connection. Never raises; may be called twice."""
        self.closed = True
        self._stream.close()

    def _line(self) -> bytes:
        line = bytearray()
        while True:
            end = self._unread.find(b"\n", self._position) + 1
            line += self._unread[self._position : end or None]
            if end:
                self._position = end
                return bytes(line)
            if len(line) > _LINE_MAX:
                raise RemoteProtocolError(f"a line of more than {_LINE_MAX} octets")
            self._unread, self._position = self._stream.read(), 0

    def _spend(self, line: bytes) -> None:
        """Count the line, and the literal that it announces, against what the answer may have."""
        announced = _LITERAL.search(line)
        digits = announced[1] if announced else b""
        if len(digits) > _DIGITS_MAX:
            raise RemoteProtocolError("a literal of more octets than there are")
        self._octets -= len(line) + int(digits or 0)
        self._lines -= 1
        if self._octets < 0 or self._lines < 0:
            self.overflowed = True
            raise RemoteProtocolError("a longer answer than was asked for")

    def _translated(self, error: IMAP4.error | FetchError, parting: type[FetchError]) -> FetchError:
        """imaplib's error as ours; after a BYE, the meaning of its code, else `parting`."""
        farewell = self.untagged_responses.get("BYE", [])
        if farewell and isinstance(farewell[-1], bytes):
            return refusal(self.masked(farewell[-1].decode("utf-8", "replace")), parting)
        if self._bad:
            return refusal(self.masked(self._bad), RemoteProtocolError)
        return error if isinstance(error, FetchError) else RemoteProtocolError(self.masked(str(error)))
