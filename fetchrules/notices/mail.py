"""Notices by e-mail, through the mail server of UTM_MAIL_ALERT_SMTP. The whole conversation has one deadline."""

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
from fetchrules.notices.messages import Message
from fetchrules.smtp import BoundedReplies

SECONDS = 30.0
"""For the whole conversation after connecting, which has `EMAIL_TIMEOUT`."""


def send(message: Message, addresses: Sequence[str]) -> None:
    """Send the message to all `addresses`. Raises FetchError if the mail server did not accept it."""
    try:
        EmailMessage(message.subject, message.text, settings.DEFAULT_FROM_EMAIL, addresses).send()
    except OSError as error:
        raise _translated(error) from error
    except (ValueError, LookupError, TypeError) as error:  # smtplib raises these for invalid replies
        raise RemoteProtocolError(type(error).__name__) from error


class Backend(EmailBackend):
    """Django's backend with a deadline, so that a server which sends its replies slowly cannot hold it up."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _TlsConversation if self.use_ssl else _Conversation


class _Conversation(BoundedReplies):
    """One deadline for all replies, each of which may take all the time that is left."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.by = monotonic() + SECONDS
        super().__init__(*args, **kwargs)

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            self.sock.settimeout(SECONDS)
        return super().getreply()


class _TlsConversation(_Conversation, smtplib.SMTP_SSL):
    pass


def _translated(error: OSError) -> FetchError:
    """Our error for one of smtplib's. Omits the server's reply to a login, because it may repeat the password."""
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
