"""An LMTP and SMTP server for tests: it keeps what it is given, and fails where a fault says so."""

import socket
import ssl
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

from tests.servers.faults import Action, Say, perform
from tests.servers.loopback import Hangup, LoopbackServer, Peer

GREETING, END = "greeting", "."
"""Steps that are no commands: the greeting, and the answer to the end of a letter."""


Fault = bytes | Action
"""The octets to answer instead, the command undone; or what the servers of remote mailboxes can do wrong, too."""

EVERY = 0
"""In place of an nth time."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A letter that the server answers for: arguments of MAIL and RCPT, and its octets, unstuffed."""

    mail: str
    rcpt: str
    octets: bytes


@dataclass(slots=True)
class MailSink:
    """What the server knows and does. `serve` is one session."""

    greets: str = "LHLO"
    """LHLO or EHLO."""
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 100000000", "ENHANCEDSTATUSCODES", "SMTPUTF8")
    faults: Mapping[tuple[str, int], Fault] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    """Recipients that do not exist."""
    refused_senders: frozenset[str] = frozenset()
    """Refused at RCPT, as Postfix does."""
    tls: ssl.SSLContext | None = None
    logins: Mapping[str, str] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    sessions_in_tls: int = 0
    _reached: "Counter[str]" = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def serve(self, peer: Peer) -> None:
        """One session."""
        self._do(peer, GREETING, lambda: b"220 sink ready\r\n")
        session = _Session(self, peer)
        while True:
            line = peer.read_line().decode()
            self.commands.append(line)
            verb = line.partition(" ")[0].upper()
            self._do(peer, verb, partial(session.answer, line))
            if verb == "QUIT":
                raise Hangup
            if session.starting_tls and self.tls:
                peer.start_tls(self.tls)
                session = _Session(self, peer)
                self.sessions_in_tls += 1
            if session.receiving:
                session.receiving = False
                self._do(peer, END, partial(session.take, _dotted_text(peer)))

    def _do(self, peer: Peer, step: str, work: Callable[[], bytes]) -> None:
        with self._lock:
            self._reached[step] += 1
            fault = self.faults.get((step, self._reached[step]), self.faults.get((step, EVERY)))
        perform(Say(fault) if isinstance(fault, bytes) else fault, peer, work)


class _Session:
    """Where one session stands."""

    def __init__(self, sink: MailSink, peer: Peer) -> None:
        self._sink = sink
        self._peer = peer
        self._mail: str | None = None
        self._rcpt: str | None = None
        self.receiving = False
        self.starting_tls = False

    def answer(self, line: str) -> bytes:
        """Do what the command says."""
        verb, _, argument = line.partition(" ")
        match verb.upper():
            case "LHLO" | "EHLO" | "HELO" as greeting:
                return self._hello(greeting)
            case "MAIL":
                self._mail, self._rcpt = argument, None
                return b"250 2.1.0 sender ok\r\n"
            case "RCPT" if self._mail is not None:
                return self._recipient(argument)
            case "DATA" if self._rcpt is not None:
                self.receiving = True
                return b"354 go ahead\r\n"
            case "RSET":
                self._mail = self._rcpt = None
                return b"250 2.0.0 forgotten\r\n"
            case "STARTTLS" if self._sink.tls:
                self.starting_tls = True
                return b"220 2.0.0 begin\r\n"
            case "AUTH":
                return self._login(argument)
            case "NOOP":
                return b"250 2.0.0 ok\r\n"
            case "QUIT":
                return b"221 2.0.0 bye\r\n"
            case _:
                return b"503 5.5.1 not now\r\n"

    def take(self, letter: bytes) -> bytes:
        """The end of a letter."""
        self._sink.taken.append(Taken(self._mail or "", self._rcpt or "", letter))
        self._mail = self._rcpt = None
        return b"250 2.0.0 taken\r\n"

    def _hello(self, verb: str) -> bytes:
        if verb == "HELO" and self._sink.greets == "EHLO":
            return b"250 sink\r\n"
        if verb != self._sink.greets:
            return b"500 5.5.1 another protocol\r\n"
        extensions = [*self._sink.extensions]
        extensions += ["STARTTLS"] if self._sink.tls and not self._peer.secure else []
        extensions += ["AUTH PLAIN"] if self._sink.logins else []
        lines = ["sink", *extensions]
        return b"".join(f"250-{line}\r\n".encode() for line in lines[:-1]) + f"250 {lines[-1]}\r\n".encode()

    def _recipient(self, argument: str) -> bytes:
        address = argument.partition("<")[2].partition(">")[0]
        sender = (self._mail or "").partition("<")[2].partition(">")[0]
        if sender in self._sink.refused_senders:
            return b"550 5.7.1 sender rejected\r\n"
        if address in self._sink.unknown:
            return b"550 5.1.1 no such user\r\n"
        self._rcpt = argument
        return b"250 2.1.5 recipient ok\r\n"

    def _login(self, argument: str) -> bytes:
        _, _, token = argument.partition(" ")
        _, user, password = b64decode(token).decode().split("\0")
        accepted = self._sink.logins.get(user) == password
        return b"235 2.7.0 welcome\r\n" if accepted else f"535 5.7.8 bad credentials {token} {password}\r\n".encode()


def _dotted_text(peer: Peer) -> bytes:
    lines = []
    while (line := peer.read_line()) != b".":
        lines.append(line.removeprefix(b".") + b"\r\n")
    return b"".join(lines)


def serving(sink: MailSink) -> LoopbackServer:
    """A TCP server for `sink`."""
    return LoopbackServer(sink.serve)


@contextmanager
def serving_socket(sink: MailSink, path: Path) -> Iterator[None]:
    """A Unix socket at `path` for one session with `sink`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            peer = Peer(listener.accept()[0], Event())
            with suppress(Hangup, OSError):
                sink.serve(peer)
            peer.close()

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(10)
