"""How an administrator writes down the local mail server."""

import pytest

from fetchrules.delivery.dialogue import Handover, MailServer, TlsUse


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("lmtp://mail:2424", MailServer(Handover.LMTP, "mail", 2424)),
        ("lmtp://127.0.0.1", MailServer(Handover.LMTP, "127.0.0.1", 24)),
        ("lmtp://[::1]:24/", MailServer(Handover.LMTP, "::1", 24)),
        ("lmtp:/run/dovecot/lmtp", MailServer(Handover.LMTP, socket="/run/dovecot/lmtp")),
        ("smtp://mail", MailServer(Handover.SMTP, "mail", 25, tls=TlsUse.MAY)),
        ("smtp://mail:2525?tls=never", MailServer(Handover.SMTP, "mail", 2525, tls=TlsUse.NEVER)),
        ("smtp://mail?tls=verify", MailServer(Handover.SMTP, "mail", 25, tls=TlsUse.VERIFY)),
        ("smtp://u%40x:p%3A%2F@mail:587", MailServer(Handover.SMTP, "mail", 587, "", "u@x", "p:/", TlsUse.VERIFY)),
        ("smtp://u:p@mail?tls=may", MailServer(Handover.SMTP, "mail", 25, "", "u", "p", TlsUse.MAY)),
    ],
)
def test_it_reads_a_server(url: str, server: MailServer) -> None:
    assert MailServer.parse(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "", "mail:25", "maildir:/x", "http://mail", "lmtp:", "lmtp:relative", "lmtp:/x\0", "lmtp://", "lmtp://u@mail",
        "lmtp://mail?tls=may", "lmtp://mail/x", "smtp://", "smtp:/x", "smtp://mail/x", "smtp://mail:x", "smtp://mail:99999",
        "smtp://mail?tls=no", "smtp://mail?x=1", "smtp://mail?tls", "smtp://mail?tls=may&x=1",
    ],
)  # fmt: skip
def test_it_refuses_what_is_no_server(url: str) -> None:
    with pytest.raises(ValueError):
        MailServer.parse(url)


def test_it_shows_no_password() -> None:
    server = MailServer.parse("smtp://petrov:secret@mail")
    assert "secret" not in f"{server} {server!r}"


@pytest.mark.parametrize(("url", "text"), [("lmtp:/run/lmtp", "/run/lmtp"), ("smtp://mail", "mail:25")])
def test_it_names_the_server(url: str, text: str) -> None:
    assert str(MailServer.parse(url)) == text
