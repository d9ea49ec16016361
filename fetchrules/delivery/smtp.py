"""Opening a session with an SMTP server: STARTTLS and login as far as the administrator wants them."""

import smtplib
from contextlib import suppress

from fetchrules.delivery.dialogue import CONNECT_SECONDS, BoundedReplies, opening
from fetchrules.delivery.mailserver import MailServer, TlsUse
from fetchrules.remote.authorities import unverified, verifying


def connect_smtp(server: MailServer, own_name: str) -> smtplib.SMTP:
    """A session after EHLO, STARTTLS and AUTH. Raises Unreachable."""
    with opening(server) as undo:
        client = BoundedReplies(server.host, server.port, own_name, timeout=CONNECT_SECONDS)
        undo.callback(client.close)
        client.ehlo_or_helo_if_needed()
        _start_tls(client, server.tls)
        if server.user:
            client.login(server.user, server.password)
    return client


def _start_tls(client: smtplib.SMTP, use: TlsUse) -> None:
    match use:
        case TlsUse.VERIFY:
            client.starttls(context=verifying())
        case TlsUse.MAY if client.has_extn("starttls"):
            with suppress(smtplib.SMTPResponseException):  # 454: not now; the session goes on in plain text
                client.starttls(context=unverified())
        case _:
            return
    client.ehlo_or_helo_if_needed()
