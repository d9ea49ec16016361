"""A network stream with deadlines, TCP or TLS, which turns the system's errors into ours.

The socket never blocks. `write` never waits; what the kernel does not accept goes out while `read` waits for the peer, so
reading and writing cannot dead-lock.
"""

import math
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from time import monotonic

from fetchrules.errors import (
    CertificateExpired,
    CertificateIncomplete,
    CertificateOfAnother,
    CertificateRejected,
    CertificateSelfSigned,
    ConnectionLost,
    Exhausted,
    FetchError,
    Interrupted,
    TimedOut,
    TlsAbsent,
    TlsFailed,
    TlsTooOld,
    TlsTooWeak,
)
from fetchrules.remote.account import Deadlines
from fetchrules.remote.stopping import SILENCE_SECONDS, STOPPING

_READ = 64 * 1024

Alive = Callable[[], None]
"""Called every `Deadlines.alive` seconds while a wait goes on. What it raises ends the wait."""


class Stream:
    """A connected stream, made by `connect`, for one thread.

    Every method but `write` and `close` raises ConnectionLost, TimedOut, TlsFailed or, where the process ends, Interrupted; then
    the stream can only be closed.
    """

    def __init__(
        self, sock: socket.socket, address: str, deadlines: Deadlines, began: float, alive: Alive | None = None
    ) -> None:
        self.address = address
        self.deadlines = deadlines
        self._socket = sock
        self._poll = select.poll()
        self._poll.register(STOPPING, select.POLLIN)
        self._patience = deadlines.idle
        self._awaited = "no answer"
        self._alive = alive
        self._alive_at = monotonic() + deadlines.alive if alive is not None else math.inf
        self._connect_by = began + deadlines.connect
        self._session_by = began + deadlines.session
        self._outgoing = bytearray()
        self._spoken = False
        self._reply_octets = 0
        self._reply_seconds = 0.0

    def begin_session(self) -> None:
        """Count the time for the whole session anew."""
        self._session_by = monotonic() + self.deadlines.session

    @contextmanager
    def patience(self, seconds: float, answer_to: str = "") -> Iterator[None]:
        """Let one silence last `seconds`, and name in TimedOut what the server did not answer."""
        before = self._patience, self._awaited
        self._patience, self._awaited = seconds, f"no answer to {answer_to}" if answer_to else "no answer"
        try:
            yield
        finally:
            self._patience, self._awaited = before

    def write(self, data: bytes) -> None:
        """Queue `data` and send what the kernel takes now; the rest goes out during `read`, which reports a loss. Never raises."""
        self._spoken = True
        self._outgoing += data
        self._flush()

    def read(self) -> bytes:
        """The next octets, at least one. Raises ConnectionLost when the peer has closed."""
        self._spoken = True
        began = monotonic()
        if began > self._session_by:  # a server that never stops talking never makes us wait
            raise TimedOut("the session took too long")
        if began > STOPPING.by:
            raise Interrupted("the process ends")
        silent_until = began + self._patience
        while True:
            waiting = len(self._outgoing)
            want = self._flush()
            if len(self._outgoing) < waiting:
                silent_until = monotonic() + self._patience
            data = b""
            try:
                with translated(ConnectionLost):
                    data = self._socket.recv(_READ)
            except _NOT_YET as reason:
                self._wait(
                    want | _awaited(reason, select.POLLIN), silent_until, f"{self._awaited} in {self._patience:g} s"
                )
            else:
                if not data:
                    raise ConnectionLost("the server closed the connection")
                self._measure(len(data), monotonic() - began)
                return data

    def reply_ended(self) -> None:
        """Measure the rate anew, from the next reply's first octet."""
        self._reply_octets = 0
        self._reply_seconds = 0.0

    def start_tls(self, context: ssl.SSLContext, server_name: str) -> tuple[str, bytes]:
        """Send what is queued, then shake hands. Returns the version of TLS, and the server's own certificate in DER form.

        Raises CertificateRejected where `context` verifies and the chain does not.
        """
        # A handshake that opens the connection shares the time for connecting; one in mid-session gets that much anew.
        by = monotonic() + self.deadlines.connect if self._spoken else self._connect_by
        while want := self._flush():
            self._wait(want, by, "no room for what comes before TLS")
        with translated(ConnectionLost):
            secure = context.wrap_socket(self._socket, server_hostname=server_name, do_handshake_on_connect=False)
        self._socket = secure
        while True:
            try:
                with translated(ConnectionLost):
                    secure.do_handshake()
            except _NOT_YET as reason:
                self._wait(_awaited(reason, select.POLLIN), by, "no answer to the TLS handshake")
            else:
                return secure.version() or "", secure.getpeercert(binary_form=True) or b""

    def close(self) -> None:
        """Drop the connection. Never raises; may be called twice."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _flush(self) -> int:
        """Send what the kernel takes; the poll mask to wait for if something is left, else 0."""
        while self._outgoing:
            try:
                del self._outgoing[: self._socket.send(self._outgoing)]
            except _NOT_YET as reason:
                return _awaited(reason, select.POLLOUT)
            except OSError:
                # The peer has hung up. `read` reports its last words (an -ERR with its reason) first, then the loss.
                self._outgoing.clear()
        return 0

    def _wait(self, mask: int, by: float, failure: str) -> None:
        """Wait for the socket until `by`, and call `alive` meanwhile."""
        until = _shortened(min(by, self._session_by))
        self._poll.register(self._socket, mask)
        while (left := until - monotonic()) > 0:
            pause = min(left, max(0.0, self._alive_at - monotonic()))
            ready = [descriptor for descriptor, _ in self._poll.poll(math.ceil(pause * 1000))]
            if STOPPING.fileno() in ready:
                self._poll.unregister(STOPPING)  # it stays readable
                until = _shortened(until)
            elif ready:
                return
            elif self._alive is not None and monotonic() >= self._alive_at:
                self._alive()
                self._alive_at = monotonic() + self.deadlines.alive
        if STOPPING.is_set():
            raise Interrupted("the process ends")
        raise TimedOut("the session took too long" if self._session_by < by else failure)

    def _measure(self, octets: int, seconds: float) -> None:
        """Require the slowest rate, once a reply has been under way for as long as one silence may last."""
        if self._reply_octets:  # the silence before the first octet is thinking, not transfer
            self._reply_seconds += seconds
        self._reply_octets += octets
        if self._reply_seconds > self._patience:
            rate = self._reply_octets / self._reply_seconds
            if rate < self.deadlines.slowest:
                raise TimedOut(f"{rate:.0f} octets a second")


def _shortened(until: float) -> float:
    """`until`, or earlier where the process is to end."""
    return min(until, monotonic() + SILENCE_SECONDS, STOPPING.by) if STOPPING.is_set() else until


EXHAUSTED = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})
# OpenSSL's x509_vfy.h
_REJECTIONS: dict[int, type[CertificateRejected]] = {
    9: CertificateExpired,  # not yet valid
    10: CertificateExpired,
    18: CertificateSelfSigned,
    19: CertificateSelfSigned,  # in the chain
    20: CertificateIncomplete,
    21: CertificateIncomplete,
    62: CertificateOfAnother,
}

# OpenSSL's sslerr.h: reasons of our own side, and alerts of the server
_FAILURES: dict[str, type[TlsFailed]] = {
    "UNSUPPORTED_PROTOCOL": TlsTooOld,
    "TLSV1_ALERT_PROTOCOL_VERSION": TlsTooOld,
    "NO_PROTOCOLS_AVAILABLE": TlsTooOld,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": TlsTooWeak,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": TlsTooWeak,
    "DH_KEY_TOO_SMALL": TlsTooWeak,
    "EE_KEY_TOO_SMALL": TlsTooWeak,
    "CA_MD_TOO_WEAK": TlsTooWeak,
    "WRONG_SIGNATURE_TYPE": TlsTooWeak,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": TlsTooWeak,
    "WRONG_VERSION_NUMBER": TlsAbsent,
    "HTTP_REQUEST": TlsAbsent,
}

_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def _awaited(reason: OSError, usual: int) -> int:
    """The poll mask to wait for: TLS may have to write before it can read on, and the other way round."""
    if isinstance(reason, BlockingIOError):
        return usual
    return select.POLLIN if isinstance(reason, ssl.SSLWantReadError) else select.POLLOUT


@contextmanager
def translated(otherwise: type[FetchError]) -> Iterator[None]:
    """OSError and ssl errors as ours; those that only ask to wait pass through."""
    try:
        yield
    except _NOT_YET:
        raise
    except ssl.SSLCertVerificationError as error:
        raise _REJECTIONS.get(error.verify_code, CertificateRejected)(error.verify_message) from error
    except ssl.SSLEOFError as error:
        raise ConnectionLost("the server closed the connection during TLS") from error
    except ssl.SSLError as error:
        raise _FAILURES.get(error.reason, TlsFailed)(error.reason or str(error)) from error
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise Exhausted(error.strerror or str(error)) from error
        kind = TimedOut if isinstance(error, TimeoutError) else otherwise
        raise kind(error.strerror or str(error)) from error
