"""Each way to protect a connection, against each kind of server."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from fetchrules.errors import (
    CertificateChanged,
    CertificateRejected,
    FetchError,
    RemoteProtocolError,
    TlsFailed,
    TlsUnavailable,
)
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.mailbox import Connection, TlsLevel
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.remote.tls import Trust
from fetchrules.ruletext.spec import Encryption, Protocol
from tests.certificates import Certificates, ServerCertificate
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import PASSWORD, USER, Alter, Behaviour, Fault, Pop3Server, Say, Step

GOOD, EXPIRED, WRONG_HOST, SELF_SIGNED, RENEWED = "good", "expired", "wrong_host", "self_signed", "renewed"
BAD = [EXPIRED, WRONG_HOST, SELF_SIGNED]
NO_TLS = "none"


@contextmanager
def serving(certificates: Certificates, kind: str, implicit: bool = False, *faults: Fault) -> Iterator[Pop3Server]:
    tls = None if kind == NO_TLS else certificate(certificates, kind).context()
    with Pop3Server(Maildrop(), Behaviour(faults=faults), tls=tls, implicit=implicit) as server:
        yield server


def certificate(certificates: Certificates, kind: str) -> ServerCertificate:
    return {
        GOOD: certificates.good,
        EXPIRED: certificates.expired,
        WRONG_HOST: certificates.wrong_host,
        SELF_SIGNED: certificates.self_signed,
        RENEWED: certificates.renewed,
    }[kind]


Connect = Callable[[Pop3Server, Account], Connection]


@pytest.fixture
def connect(certificates: Certificates) -> Connect:
    """Open a session with a server under an account's terms, and end it properly."""

    def connect(server: Pop3Server, terms: Account) -> Connection:
        there = replace(terms, port=server.port)
        mailbox = open_pop3(there, trust=Trust(str(certificates.cafile)))
        assert mailbox.quit()
        return mailbox.connection

    return connect


def terms(
    encryption: Encryption,
    seen: TlsLevel = TlsLevel.NONE,
    *,
    verify: bool = True,
    fingerprint: str = "",
    host: str = "localhost",
) -> Account:
    return Account(
        Protocol.POP3,
        host,
        0,
        USER,
        PASSWORD,
        encryption=encryption,
        verify=verify,
        fingerprint=fingerprint,
        tls_seen=seen,
        deadlines=Deadlines(connect=10, idle=10, session=20),
    )


AUTO, SSL, STARTTLS, PLAINTEXT = Encryption.AUTO, Encryption.SSL, Encryption.STARTTLS, Encryption.PLAINTEXT
NONE, UNVERIFIED, VERIFIED = TlsLevel.NONE, TlsLevel.UNVERIFIED, TlsLevel.VERIFIED

REACHED = [
    (AUTO, NONE, NO_TLS, NONE),
    (AUTO, NONE, GOOD, VERIFIED),
    *[(AUTO, NONE, kind, UNVERIFIED) for kind in BAD],
    (AUTO, UNVERIFIED, GOOD, VERIFIED),
    *[(AUTO, UNVERIFIED, kind, UNVERIFIED) for kind in BAD],
    (AUTO, VERIFIED, GOOD, VERIFIED),
    (AUTO, VERIFIED, RENEWED, VERIFIED),
    (SSL, NONE, GOOD, VERIFIED),
    (STARTTLS, NONE, GOOD, VERIFIED),
    (PLAINTEXT, NONE, NO_TLS, NONE),
    (PLAINTEXT, NONE, GOOD, NONE),
    (PLAINTEXT, VERIFIED, GOOD, NONE),
]

REFUSED: list[tuple[Encryption, TlsLevel, str, type[FetchError]]] = [
    (AUTO, UNVERIFIED, NO_TLS, TlsUnavailable),
    (AUTO, VERIFIED, NO_TLS, TlsUnavailable),
    *[(AUTO, VERIFIED, kind, CertificateChanged) for kind in BAD],
    *[(SSL, NONE, kind, CertificateRejected) for kind in BAD],
    *[(SSL, VERIFIED, kind, CertificateRejected) for kind in BAD],
    *[(STARTTLS, NONE, kind, CertificateRejected) for kind in BAD],
    (STARTTLS, NONE, NO_TLS, TlsUnavailable),
    (SSL, NONE, NO_TLS, TlsFailed),
]


@pytest.mark.parametrize(("encryption", "seen", "kind", "level"), REACHED)
def test_it_protects_a_connection_as_well_as_it_can(
    certificates: Certificates, connect: Connect, encryption: Encryption, seen: TlsLevel, kind: str, level: TlsLevel
) -> None:
    with serving(certificates, kind, encryption is SSL) as server:
        assert connect(server, terms(encryption, seen)).tls is level


@pytest.mark.parametrize(("encryption", "seen", "kind", "error"), REFUSED)
def test_it_says_nothing_secret_over_less_than_was_asked_or_seen_before(
    certificates: Certificates,
    connect: Connect,
    encryption: Encryption,
    seen: TlsLevel,
    kind: str,
    error: type[FetchError],
) -> None:
    with serving(certificates, kind, encryption is SSL and kind != NO_TLS) as server:
        with pytest.raises(error):
            connect(server, terms(encryption, seen))
        assert not [line for line in server.said if line.startswith(("USER", "PASS", "AUTH"))]


@pytest.mark.parametrize("kind", [GOOD, *BAD])
@pytest.mark.parametrize("encryption", [SSL, STARTTLS, AUTO])
def test_it_takes_any_certificate_when_told_to(
    certificates: Certificates, connect: Connect, encryption: Encryption, kind: str
) -> None:
    with serving(certificates, kind, encryption is SSL) as server:
        assert connect(server, terms(encryption, verify=False)).tls is UNVERIFIED
        assert server.connections == 1


@pytest.mark.parametrize("kind", [GOOD, *BAD])
@pytest.mark.parametrize("encryption", [SSL, STARTTLS, AUTO])
def test_it_takes_the_pinned_certificate_whoever_signed_it(
    certificates: Certificates, connect: Connect, encryption: Encryption, kind: str
) -> None:
    pinned = certificate(certificates, kind).sha256
    with serving(certificates, kind, encryption is SSL) as server:
        assert connect(server, terms(encryption, fingerprint=pinned)).tls is VERIFIED


@pytest.mark.parametrize("encryption", [SSL, STARTTLS, AUTO])
def test_it_takes_no_other_than_the_pinned_certificate(
    certificates: Certificates, connect: Connect, encryption: Encryption
) -> None:
    with serving(certificates, RENEWED, encryption is SSL) as server:
        with pytest.raises(CertificateChanged) as caught:
            connect(server, terms(encryption, fingerprint=certificates.good.sha256))
        assert certificates.renewed.sha256 in caught.value.detail
        assert not [line for line in server.said if line.startswith("USER")]


def test_it_goes_nowhere_without_tls_when_a_certificate_is_pinned(certificates: Certificates, connect: Connect) -> None:
    with serving(certificates, NO_TLS) as server, pytest.raises(TlsUnavailable):
        connect(server, terms(AUTO, fingerprint=certificates.good.sha256))


@pytest.mark.parametrize("kind", [GOOD, SELF_SIGNED])
def test_it_says_whose_certificate_it_saw_verified_or_not(
    certificates: Certificates, connect: Connect, kind: str
) -> None:
    with serving(certificates, kind) as server:
        connection = connect(server, terms(AUTO))
    assert connection.certificate is not None
    assert connection.certificate.sha256 == certificate(certificates, kind).sha256
    assert connection.certificate.subject == "CN=localhost"
    assert connection.certificate.not_after is not None
    assert connection.tls_version == "TLSv1.3"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1"])
def test_it_finds_the_host_in_the_certificate_under_each_of_its_names(
    certificates: Certificates, connect: Connect, host: str
) -> None:
    with serving(certificates, GOOD, True) as server:
        assert connect(server, terms(SSL, host=host)).tls is VERIFIED


def test_it_finds_an_international_host_in_the_certificate(
    certificates: Certificates, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = socket.getaddrinfo
    asked = []

    def getaddrinfo(host: str, port: int, type: socket.SocketKind) -> object:  # noqa: A002
        asked.append(host)
        return system("127.0.0.1", port, type=type)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with serving(certificates, GOOD, True) as server:
        assert connect(server, terms(SSL, host="пример.localhost")).tls is VERIFIED
    assert asked == ["xn--e1afmkfd.localhost"]


def test_it_needs_one_connection_when_the_certificate_is_good(certificates: Certificates, connect: Connect) -> None:
    with serving(certificates, GOOD) as server:
        connect(server, terms(AUTO))
        assert server.connections == 1


def test_it_needs_a_second_connection_to_accept_a_bad_one(certificates: Certificates, connect: Connect) -> None:
    with serving(certificates, SELF_SIGNED) as server:
        connect(server, terms(AUTO))
        assert server.connections == 2


@pytest.mark.parametrize("seen", TlsLevel)
def test_it_takes_nothing_said_before_tls_for_said_within(
    certificates: Certificates, connect: Connect, seen: TlsLevel
) -> None:
    injecting = Fault(Step.STLS, Alter(lambda answer: answer + b"+OK injected\r\n"))
    with serving(certificates, GOOD, False, injecting) as server:
        with pytest.raises(RemoteProtocolError):
            connect(server, terms(AUTO, seen))
        assert not [line for line in server.said if line.startswith("USER")]


def test_it_goes_on_without_tls_that_was_offered_and_refused_if_none_was_ever_seen(
    certificates: Certificates, connect: Connect
) -> None:
    refusing = Fault(Step.STLS, Say(b"-ERR\r\n"))
    with serving(certificates, GOOD, False, refusing) as server:
        assert connect(server, terms(AUTO)).tls is NONE
        with pytest.raises(TlsUnavailable):
            connect(server, terms(AUTO, UNVERIFIED))


def test_it_asks_a_known_server_again_before_it_says_a_password_in_the_clear(
    certificates: Certificates, connect: Connect
) -> None:
    with serving(certificates, NO_TLS) as server:
        assert connect(server, terms(AUTO)).tls is NONE
        server.tls = certificates.good.context()
        assert connect(server, terms(AUTO)).tls is VERIFIED


def test_it_trusts_the_system_where_no_other_authority_is_named(certificates: Certificates) -> None:
    with serving(certificates, GOOD, True) as server, pytest.raises(CertificateRejected):
        open_pop3(replace(terms(SSL), port=server.port))
