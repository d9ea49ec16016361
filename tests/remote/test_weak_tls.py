"""Servers of 2010, and handshakes that fail: what is taken, what is refused, and what is said to be wrong."""

import ssl
from collections.abc import Callable
from dataclasses import replace

import pytest

from fetchrules.errors import (
    CertificateChanged,
    CertificateExpired,
    CertificateIncomplete,
    CertificateOfAnother,
    CertificateSelfSigned,
    FetchError,
    TlsAbsent,
    TlsTooOld,
    TlsTooWeak,
)
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.rule import Encryption, Protocol
from tests.certificates import Certificates
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, USER, Pop3Server

DEADLINES = Deadlines(connect=10, idle=10, session=20)


def account(port: int, encryption: Encryption = Encryption.SSL, **terms: object) -> Account:
    made = Account(Protocol.POP3, "localhost", port, USER, PASSWORD, encryption, deadlines=DEADLINES)
    return replace(made, **terms)  # type: ignore[arg-type]


def without_forward_secrecy(context: ssl.SSLContext) -> None:
    """Exchange 2010: TLS 1.2 with RSA key exchange only."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES256-SHA:AES128-SHA")


def old(certificates: Certificates) -> ssl.SSLContext:
    context = certificates.old.context()
    without_forward_secrecy(context)
    return context


@pytest.mark.parametrize("encryption", [Encryption.SSL, Encryption.STARTTLS, Encryption.AUTO])
def test_it_takes_an_old_server_and_calls_it_weak(encryption: Encryption, certificates: Certificates) -> None:
    maildrop = Maildrop([letter("one")])
    with Pop3Server(maildrop, tls=old(certificates), implicit=encryption is Encryption.SSL) as server:
        mailbox = open_pop3(account(server.port, encryption), cafile=str(certificates.cafile))
        assert (mailbox.connection.tls, mailbox.connection.tls_version) == (TlsLevel.WEAK, "TLSv1.2")
        assert len(mailbox.listing().letters) == 1
        assert mailbox.quit()
        assert server.connections == 2


def test_it_takes_no_weaker_ciphers_where_the_host_has_shown_better_ones(certificates: Certificates) -> None:
    with Pop3Server(Maildrop(), tls=old(certificates), implicit=True) as server:
        with pytest.raises(TlsTooWeak):
            open_pop3(account(server.port, host_is_strong=True), cafile=str(certificates.cafile))
        assert server.said == []
        assert server.connections == 1


def test_it_verifies_an_old_server_too(certificates: Certificates) -> None:
    context = certificates.old_expired.context()
    without_forward_secrecy(context)
    with Pop3Server(Maildrop(), tls=context, implicit=True) as server, pytest.raises(CertificateExpired):
        open_pop3(account(server.port), cafile=str(certificates.cafile))


def test_it_takes_any_certificate_of_an_old_server_where_the_rule_asks_for_no_tls(certificates: Certificates) -> None:
    context = certificates.old_expired.context()
    without_forward_secrecy(context)
    with Pop3Server(Maildrop(), tls=context) as server:
        mailbox = open_pop3(account(server.port, Encryption.AUTO), cafile=str(certificates.cafile))
        assert mailbox.connection.tls is TlsLevel.WEAK
        assert mailbox.quit()


def test_it_prefers_strong_ciphers(certificates: Certificates) -> None:
    with Pop3Server(Maildrop(), tls=certificates.good.context(), implicit=True) as server:
        mailbox = open_pop3(account(server.port), cafile=str(certificates.cafile))
        assert mailbox.connection.tls is TlsLevel.VERIFIED
        assert server.connections == 1
        assert mailbox.quit()


def only_tls_1_1(context: ssl.SSLContext) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def only_three_des(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-NULL-SHA:NULL-SHA256:@SECLEVEL=0")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("spoil", "error"), [(only_tls_1_1, TlsTooOld), (only_three_des, TlsTooWeak)])
def test_it_takes_nothing_below_that(
    spoil: Callable[[ssl.SSLContext], None], error: type[FetchError], certificates: Certificates
) -> None:
    context = certificates.good.context()
    spoil(context)
    with Pop3Server(Maildrop(), tls=context, implicit=True) as server, pytest.raises(error):
        open_pop3(account(server.port), cafile=str(certificates.cafile))


def test_it_says_that_there_is_no_tls() -> None:
    with Pop3Server(Maildrop()) as server, pytest.raises(TlsAbsent):
        open_pop3(account(server.port))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("expired", CertificateExpired),
        ("wrong_host", CertificateOfAnother),
        ("self_signed", CertificateSelfSigned),
        ("good", CertificateIncomplete),
    ],
)
def test_it_says_what_is_wrong_with_a_certificate(
    name: str, error: type[FetchError], certificates: Certificates
) -> None:
    cafile = "" if error is CertificateIncomplete else str(certificates.cafile)
    with Pop3Server(Maildrop(), tls=getattr(certificates, name).context(), implicit=True) as server:
        with pytest.raises(error) as caught:
            open_pop3(account(server.port), cafile=cafile)
        assert type(caught.value) is error
        assert server.said == []


@pytest.mark.parametrize("name", ["good", "renewed"])
def test_it_takes_any_of_the_pinned_certificates(name: str, certificates: Certificates) -> None:
    pins = (certificates.good.sha256, certificates.renewed.sha256)
    with Pop3Server(Maildrop(), tls=getattr(certificates, name).context(), implicit=True) as server:
        mailbox = open_pop3(account(server.port, fingerprints=pins))
        assert mailbox.connection.tls is TlsLevel.VERIFIED
        assert mailbox.quit()


def test_it_takes_no_other_than_the_pinned_ones(certificates: Certificates) -> None:
    pins = (certificates.renewed.sha256, certificates.expired.sha256)
    with Pop3Server(Maildrop(), tls=certificates.good.context(), implicit=True) as server:
        with pytest.raises(CertificateChanged):
            open_pop3(account(server.port, fingerprints=pins))
        assert server.said == []
