"""SMTP sessions: greeting, TLS and login."""

from collections.abc import Iterator
from typing import Any

import pytest

from fetchrules.delivery.dialogue import Handover, MailServer, TlsUse
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.spool import SpooledMailbox
from fetchrules.errors import DeliveryFailed, DeliveryRefused
from tests.certificates import Certificates, make_certificates
from tests.delivery.conftest import RECIPIENT
from tests.delivery.spooling import bodies, stage_some
from tests.delivery.test_maildir import LETTER
from tests.servers.lmtp import MailSink, serving
from tests.servers.loopback import LoopbackServer


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def sink() -> MailSink:
    """An SMTP server."""
    return MailSink(greets="EHLO")


@pytest.fixture
def server(sink: MailSink) -> Iterator[LoopbackServer]:
    """The server, running."""
    with serving(sink) as running:
        yield running


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority is one that this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.cafile))


def deliver(server: LoopbackServer, place: RootedPath, **options: Any) -> None:
    tls = TlsUse(options.pop("tls", "may"))
    target = MailServer(Handover.SMTP, options.pop("host", "127.0.0.1"), server.port, tls=tls, **options)
    spool = SpooledMailbox(target, RECIPIENT, place, reserve=0, host="mx.example.org")
    try:
        assert spool.commit(stage_some(spool, LETTER)) == {}
    finally:
        spool.close()


def test_it_delivers(server: LoopbackServer, sink: MailSink, place: RootedPath) -> None:
    deliver(server, place)
    assert bodies(sink) == [LETTER]
    assert sink.sessions_in_tls == 0


def test_it_speaks_to_a_server_without_extensions(server: LoopbackServer, sink: MailSink, place: RootedPath) -> None:
    sink.faults = {("EHLO", 1): b"502 5.5.1 what?\r\n"}
    deliver(server, place)
    assert bodies(sink) == [LETTER]
    assert sink.taken[0].mail == "FROM:<>"


@pytest.mark.parametrize("use", ["may", "verify"])
@pytest.mark.usefixtures("trusted")
def test_it_uses_tls(
    server: LoopbackServer, sink: MailSink, place: RootedPath, certificates: Certificates, use: str
) -> None:
    sink.tls = certificates.good.context()
    deliver(server, place, tls=use)
    assert (len(sink.taken), sink.sessions_in_tls) == (1, 1)


def test_it_takes_any_certificate_where_tls_was_not_demanded(
    server: LoopbackServer, sink: MailSink, place: RootedPath, certificates: Certificates
) -> None:
    sink.tls = certificates.self_signed.context()
    deliver(server, place, tls="may")
    assert sink.sessions_in_tls == 1


def test_it_goes_on_in_plain_text_where_tls_was_not_demanded(
    server: LoopbackServer, sink: MailSink, place: RootedPath, certificates: Certificates
) -> None:
    sink.tls = certificates.good.context()
    sink.faults = {("STARTTLS", 1): b"454 4.7.0 not now\r\n"}
    deliver(server, place, tls="may")
    assert (len(sink.taken), sink.sessions_in_tls) == (1, 0)


def test_it_speaks_plain_text_where_tls_is_not_wanted(
    server: LoopbackServer, sink: MailSink, place: RootedPath, certificates: Certificates
) -> None:
    sink.tls = certificates.good.context()
    deliver(server, place, tls="never")
    assert sink.sessions_in_tls == 0


def test_it_gives_nothing_to_a_server_without_the_tls_demanded(
    server: LoopbackServer, sink: MailSink, place: RootedPath
) -> None:
    with pytest.raises(DeliveryFailed):
        deliver(server, place, tls="verify", user="petrov", password="secret")
    assert [command.partition(" ")[0] for command in sink.commands] == ["ehlo"]


@pytest.mark.parametrize("kind", ["expired", "wrong_host", "self_signed"])
@pytest.mark.usefixtures("trusted")
def test_it_gives_nothing_to_a_server_whose_certificate_does_not_verify(
    server: LoopbackServer, sink: MailSink, place: RootedPath, certificates: Certificates, kind: str
) -> None:
    sink.tls = getattr(certificates, kind).context()
    with pytest.raises(DeliveryFailed):
        deliver(server, place, tls="verify", user="petrov", password="secret")
    assert not any(command.startswith("AUTH") for command in sink.commands)


def test_it_logs_in(server: LoopbackServer, sink: MailSink, place: RootedPath) -> None:
    sink.logins = {"petrov": "secret"}
    deliver(server, place, user="petrov", password="secret")
    assert len(sink.taken) == 1


@pytest.mark.parametrize("logins", [{"petrov": "other"}, {}])
def test_it_fails_when_it_may_not_log_in(
    server: LoopbackServer, sink: MailSink, place: RootedPath, logins: dict[str, str]
) -> None:
    sink.logins = logins
    with pytest.raises(DeliveryFailed) as caught:
        deliver(server, place, user="petrov", password="secret")
    assert not isinstance(caught.value, DeliveryRefused), "no letter is to blame for that"
    assert "secret" not in str(caught.value)
    assert "AHBldHJvdgBzZWNyZXQ=" not in str(caught.value)
