"""Opening a session with an LMTP server (RFC 2033), by TCP or by a Unix socket: Dovecot, Cyrus."""

import smtplib

from fetchrules.delivery.dialogue import CONNECT_SECONDS, BoundedReplies, opening
from fetchrules.delivery.mailserver import MailServer


class _Client(BoundedReplies, smtplib.LMTP):
    """smtplib's LMTP client, its replies bounded."""


def connect_lmtp(server: MailServer, own_name: str) -> smtplib.SMTP:
    """A session after LHLO. Raises Unreachable."""
    with opening(server) as undo:
        client = _Client(server.socket or server.host, server.port, own_name, timeout=CONNECT_SECONDS)
        undo.callback(client.close)
        code, text = client.ehlo()
        if code != 250:
            raise smtplib.SMTPHeloError(code, text)
    return client
