"""A TCP server on a free loopback port, a thread a connection, that always ends when told to. Protocols build on it."""

import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

_PATIENCE = 60.0
"""Seconds until a connection that a test left behind ends by itself."""

_SLICED = 512


class Hangup(Exception):
    """The script says: cut the connection now."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, stopping: Event) -> None:
        self._socket = sock
        self._unread = b""
        self.stopping = stopping
        self.slice = 0
        """Send in pieces of so many octets; 0: as they come. Of something long only the beginning is cut up."""

    @property
    def secure(self) -> bool:
        """Whether TLS is on."""
        return isinstance(self._socket, ssl.SSLSocket)

    def read_line(self) -> bytes:
        """The next line without its end; raises Hangup when the client is gone."""
        while b"\n" not in self._unread:
            data = self._socket.recv(65536)
            if not data:
                raise Hangup
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.removesuffix(b"\r")

    def read(self, size: int) -> bytes:
        """Exactly `size` octets; raises Hangup when the client is gone."""
        taken, self._unread = bytearray(self._unread[:size]), self._unread[size:]
        while len(taken) < size:
            data = self._socket.recv(min(size - len(taken), 65536))
            if not data:
                raise Hangup
            taken += data
        return bytes(taken)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        sliced = data[:_SLICED] if self.slice else b""
        for start in range(0, len(sliced), self.slice or 1):
            self._socket.sendall(sliced[start : start + self.slice])
        self._socket.sendall(data[len(sliced) :])

    def drip(self, data: bytes, pause: float) -> None:
        """Send one octet at a time, `pause` seconds apart."""
        for octet in data:
            self._socket.sendall(bytes([octet]))
            if self.stopping.wait(pause):
                raise Hangup

    def stall(self) -> None:
        """Say nothing until the client goes away."""
        while self._socket.recv(65536):
            pass
        raise Hangup

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands as a server. What the client sent before it is forgotten."""
        self._unread = b""
        self._socket = context.wrap_socket(self._socket, server_side=True)

    def send_in_the_clear(self, data: bytes) -> None:
        """Send past TLS."""
        socket.socket.sendall(self._socket, data)

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Drop the connection; a thread that waits on it wakes up."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class LoopbackServer:
    """Listens while its context lasts and calls `serve` with each Peer, in a thread of its own."""

    def __init__(self, serve: Callable[[Peer], None], address: str = "127.0.0.1") -> None:
        self._serve = serve
        self._stopping = Event()
        self._lock = Lock()
        self._peers: set[Peer] = set()
        self._threads: list[Thread] = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family, backlog=128)
        self.address = address
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        """How many were accepted so far."""
        self.failures: list[BaseException] = []
        """What went wrong in `serve` that was no doing of the client's."""

    def __enter__(self) -> Self:
        self._acceptor = Thread(target=self._accept, name=f"server {self.port}", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            peers, threads = list(self._peers), list(self._threads)
        for peer in peers:
            peer.close()
        for thread in threads:
            thread.join()

    @property
    def open_connections(self) -> int:
        """How many are being served now."""
        with self._lock:
            return len(self._peers)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(_PATIENCE)
            peer = Peer(sock, self._stopping)
            thread = Thread(target=self._run, args=[peer], name=f"connection to {self.port}", daemon=True)
            with self._lock:
                self.connections += 1
                self._peers.add(peer)
                self._threads = [other for other in self._threads if other.is_alive()] + [thread]
                thread.start()

    def _run(self, peer: Peer) -> None:
        try:
            self._serve(peer)
        except (Hangup, OSError):
            pass  # the client went away, or the script said so
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            with self._lock:
                self._peers.discard(peer)
            peer.close()


class ScriptedServer(LoopbackServer):
    """A mail server that is as good as the scripts for it allow. `said` keeps every command line of every session.

    `tls`: a server context, for STLS or STARTTLS, or from the first octet if `implicit`.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, address: str = "127.0.0.1"
    ) -> None:
        self.tls = tls
        self.implicit = implicit
        self.said: list[str] = []
        super().__init__(self._begin, address)
        self.host = address

    def session(self, peer: Peer) -> None:
        """Serve one client."""
        raise NotImplementedError

    def _begin(self, peer: Peer) -> None:
        if self.implicit:
            assert self.tls is not None
            peer.start_tls(self.tls)
        self.session(peer)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        assert not self.failures, self.failures
