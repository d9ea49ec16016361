"""Notices by e-mail, through the mail server that the environment names. The whole conversation has one deadline."""

import smtplib
import socket
import ssl
from collections.abc import Sequence
from time import monotonic
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from fetchrules.errors import (
    CertificateRejected,
    ConnectFailed,
    ConnectionLost,
    FetchError,
    HostNotFound,
    LoginRefused,
    RemoteProtocolError,
    ServerRefused,
    TimedOut,
    TlsFailed,
)
from fetchrules.words.incidents import Message

SECONDS = 30.0
"""For all that the mail server says; connecting has `EMAIL_TIMEOUT`."""

_OCTETS = 1024 * 1024


def send(message: Message, addresses: Sequence[str]) -> None:
    """Hand the message to the mail server, for all `addresses`. Raises FetchError where it was not taken."""
    try:
        EmailMessage(message.subject, message.text, settings.DEFAULT_FROM_EMAIL, addresses).send()
    except OSError as error:
        raise _translated(error) from error
    except (ValueError, LookupError, TypeError) as error:  # smtplib makes these of answers that are none
        raise RemoteProtocolError(type(error).__name__) from error


class Backend(EmailBackend):
    """Django's, but a server that drips its answers does not hold us."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """With TLS from the start, or without."""
        return _TlsConversation if self.use_ssl else _Conversation


class _Conversation(smtplib.SMTP):
    """smtplib's timeout is one for each octet; this has one for all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._by = monotonic() + SECONDS
        super().__init__(*args, **kwargs)

    def getreply(self) -> tuple[int, bytes]:
        """The next reply. Raises TimeoutError past the deadline."""
        if self.file is None and self.sock is not None:
            self.file = _Lines(self.sock, self._by)
        return super().getreply()


class _TlsConversation(_Conversation, smtplib.SMTP_SSL):
    """The same inside TLS."""


class _Lines:
    """A socket as a file of lines, for smtplib."""

    def __init__(self, sock: socket.socket, by: float) -> None:
        self._socket = sock
        self._by = by
        self._unread = bytearray()
        self._octets = 0

    def readline(self, limit: int) -> bytes:
        """The next line, as much of it as `limit` allows, or what there is when the server closes."""
        while b"\n" not in self._unread and len(self._unread) < limit:
            left = self._by - monotonic()
            if left <= 0 or self._octets > _OCTETS:
                raise TimeoutError("the conversation took too long")
            self._socket.settimeout(left)
            data = self._socket.recv(4096)
            if not data:
                break
            self._octets += len(data)
            self._unread += data
        end = self._unread.find(b"\n") + 1 or len(self._unread)
        line = bytes(self._unread[: min(end, limit)])
        del self._unread[: len(line)]
        return line

    def close(self) -> None:
        """Nothing of its own to close."""


def _translated(error: OSError) -> FetchError:
    """What smtplib raised, as ours. What a server answers to a login is left out: it may repeat the password."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return LoginRefused(str(error.smtp_code))
        case smtplib.SMTPRecipientsRefused():
            return ServerRefused("; ".join(f"{who}: {_reply(*said)}" for who, said in error.recipients.items()))
        case smtplib.SMTPResponseException():
            return ServerRefused(_reply(error.smtp_code, error.smtp_error))
        case smtplib.SMTPServerDisconnected():
            late = isinstance(error.__context__, TimeoutError)  # smtplib wraps what reading raised
            return TimedOut(str(error.__context__)) if late else ConnectionLost(str(error))
        case smtplib.SMTPException():
            return ServerRefused(str(error))
        case ssl.SSLCertVerificationError():
            return CertificateRejected(error.verify_message)
        case ssl.SSLError():
            return TlsFailed(error.reason or "")
        case TimeoutError():
            return TimedOut(str(error))
        case socket.gaierror():
            return HostNotFound(error.strerror or "")
        case _:
            return ConnectFailed(error.strerror or str(error))


def _reply(code: int, said: bytes | str) -> str:
    return f"{code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"
