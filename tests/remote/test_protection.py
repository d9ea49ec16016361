"""Each way to protect a connection, against each kind of server, in both protocols."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from fetchrules.remote.imap.session import open_imap, probe_imap
from fetchrules.remote.mailbox import Connection, RemoteMailbox, TlsLevel
from fetchrules.remote.pop3.session import open_pop3, probe_pop3
from fetchrules.rule import Encryption, Protocol
from tests.certificates import Certificates, ServerCertificate
from tests.servers import imap, pop3
from tests.servers.faults import Action, Alter, Fault, Say
from tests.servers.imap import Folder, ImapServer
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import PASSWORD, USER, Pop3Server

GOOD, EXPIRED, WRONG_HOST, SELF_SIGNED, RENEWED = "good", "expired", "wrong_host", "self_signed", "renewed"
BAD = [EXPIRED, WRONG_HOST, SELF_SIGNED]
NO_TLS = "none"


Server = Pop3Server | ImapServer


@dataclass(frozen=True, slots=True)
class World:
    """A protocol: its server, its client, and the words that matter here."""

    protocol: Protocol
    certificates: Certificates
    serve: Callable[..., Server]
    open: Callable[..., RemoteMailbox]
    probe: Callable[..., Connection]
    starttls: pop3.Step | imap.Step
    secrets: tuple[str, ...]
    refusal: bytes

    @contextmanager
    def serving(self, kind: str, implicit: bool = False, action: Action | None = None) -> Iterator[Server]:
        """A server with this kind of certificate; `action` is what it does when TLS is asked for."""
        tls = None if kind == NO_TLS else certificate(self.certificates, kind).context()
        faults = () if action is None else (Fault(self.starttls, action),)
        with self.serve(faults=faults, tls=tls, implicit=implicit) as server:
            yield server

    def connect(self, server: Server, terms: Account) -> Connection:
        """Open a session under an account's terms, and end it properly."""
        there = replace(terms, protocol=self.protocol, port=server.port)
        mailbox = self.open(there, cafile=str(self.certificates.cafile))
        assert mailbox.quit()
        return mailbox.connection

    def told(self, server: Server) -> list[str]:
        """What the server heard of user and password."""
        return [line for line in server.said if line.startswith(self.secrets)]


def pop3_server(faults: tuple[Fault, ...], **options: Any) -> Server:
    return Pop3Server(Maildrop(), pop3.Behaviour(faults=faults), **options)


def imap_server(faults: tuple[Fault, ...], **options: Any) -> Server:
    return ImapServer(Folder(), imap.Behaviour(faults=faults), **options)


@pytest.fixture(params=Protocol)
def world(request: pytest.FixtureRequest, certificates: Certificates) -> World:
    """Each protocol in turn."""
    if request.param is Protocol.POP3:
        words = (pop3.Step.STLS, ("USER", "PASS", "AUTH"), b"-ERR\r\n")
        return World(Protocol.POP3, certificates, pop3_server, open_pop3, probe_pop3, *words)
    answers = (imap.Step.STARTTLS, ("LOGIN", "AUTH"), b"{tag} NO no\r\n")
    return World(Protocol.IMAP, certificates, imap_server, open_imap, probe_imap, *answers)


def certificate(certificates: Certificates, kind: str) -> ServerCertificate:
    return {
        GOOD: certificates.good,
        EXPIRED: certificates.expired,
        WRONG_HOST: certificates.wrong_host,
        SELF_SIGNED: certificates.self_signed,
        RENEWED: certificates.renewed,
    }[kind]


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
        fingerprints=(fingerprint,) if fingerprint else (),
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
    *[(AUTO, VERIFIED, kind, CertificateRejected) for kind in BAD],
    *[(SSL, NONE, kind, CertificateRejected) for kind in BAD],
    *[(SSL, VERIFIED, kind, CertificateRejected) for kind in BAD],
    *[(STARTTLS, NONE, kind, CertificateRejected) for kind in BAD],
    (STARTTLS, NONE, NO_TLS, TlsUnavailable),
    (SSL, NONE, NO_TLS, TlsFailed),
]


@pytest.mark.parametrize(("encryption", "seen", "kind", "level"), REACHED)
def test_it_protects_a_connection_as_well_as_it_can(
    world: World, encryption: Encryption, seen: TlsLevel, kind: str, level: TlsLevel
) -> None:
    with world.serving(kind, encryption is SSL) as server:
        assert world.connect(server, terms(encryption, seen)).tls is level


@pytest.mark.parametrize(("encryption", "seen", "kind", "error"), REFUSED)
def test_it_says_nothing_secret_over_less_than_was_asked_or_seen_before(
    world: World,
    encryption: Encryption,
    seen: TlsLevel,
    kind: str,
    error: type[FetchError],
) -> None:
    with world.serving(kind, encryption is SSL and kind != NO_TLS) as server:
        with pytest.raises(error):
            world.connect(server, terms(encryption, seen))
        assert not world.told(server)


@pytest.mark.parametrize("kind", [GOOD, *BAD])
@pytest.mark.parametrize("encryption", [SSL, STARTTLS, AUTO])
def test_it_takes_any_certificate_when_told_to(world: World, encryption: Encryption, kind: str) -> None:
    with world.serving(kind, encryption is SSL) as server:
        assert world.connect(server, terms(encryption, verify=False)).tls is UNVERIFIED
        assert server.connections == 1


@pytest.mark.parametrize("kind", [GOOD, *BAD])
@pytest.mark.parametrize("encryption", [SSL, STARTTLS, AUTO])
def test_it_takes_the_pinned_certificate_whoever_signed_it(world: World, encryption: Encryption, kind: str) -> None:
    pinned = certificate(world.certificates, kind).sha256
    with world.serving(kind, encryption is SSL) as server:
        assert world.connect(server, terms(encryption, fingerprint=pinned)).tls is VERIFIED


@pytest.mark.parametrize("encryption", [SSL, STARTTLS, AUTO])
def test_it_takes_no_other_than_the_pinned_certificate(world: World, encryption: Encryption) -> None:
    with world.serving(RENEWED, encryption is SSL) as server:
        with pytest.raises(CertificateChanged) as caught:
            world.connect(server, terms(encryption, fingerprint=world.certificates.good.sha256))
        assert world.certificates.renewed.sha256 in caught.value.detail
        assert not world.told(server)


def test_it_goes_nowhere_without_tls_when_a_certificate_is_pinned(world: World) -> None:
    with world.serving(NO_TLS) as server, pytest.raises(TlsUnavailable):
        world.connect(server, terms(AUTO, fingerprint=world.certificates.good.sha256))


@pytest.mark.parametrize("kind", [GOOD, SELF_SIGNED])
def test_it_says_whose_certificate_it_saw_verified_or_not(world: World, kind: str) -> None:
    with world.serving(kind) as server:
        connection = world.connect(server, terms(AUTO))
    assert connection.certificate is not None
    assert connection.certificate.sha256 == certificate(world.certificates, kind).sha256
    assert connection.certificate.subject == "CN=localhost"
    assert connection.certificate.not_after is not None
    assert connection.tls_version == "TLSv1.3"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1"])
def test_it_finds_the_host_in_the_certificate_under_each_of_its_names(world: World, host: str) -> None:
    with world.serving(GOOD, True) as server:
        assert world.connect(server, terms(SSL, host=host)).tls is VERIFIED


def test_it_finds_an_international_host_in_the_certificate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    system = socket.getaddrinfo
    asked = []

    def getaddrinfo(host: str, port: int, type: socket.SocketKind) -> object:  # noqa: A002
        asked.append(host)
        return system("127.0.0.1", port, type=type)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with world.serving(GOOD, True) as server:
        assert world.connect(server, terms(SSL, host="пример.localhost")).tls is VERIFIED
    assert asked == ["xn--e1afmkfd.localhost"]


def test_it_needs_one_connection_when_the_certificate_is_good(world: World) -> None:
    with world.serving(GOOD) as server:
        world.connect(server, terms(AUTO))
        assert server.connections == 1


def test_it_needs_a_second_connection_to_accept_a_bad_one(world: World) -> None:
    with world.serving(SELF_SIGNED) as server:
        world.connect(server, terms(AUTO))
        assert server.connections == 2


@pytest.mark.parametrize("seen", TlsLevel)
def test_it_takes_nothing_said_before_tls_for_said_within(world: World, seen: TlsLevel) -> None:
    injecting = Alter(lambda answer: answer + b"+OK injected\r\n* OK injected\r\n")
    with world.serving(GOOD, False, injecting) as server:
        with pytest.raises(RemoteProtocolError):
            world.connect(server, terms(AUTO, seen))
        assert not world.told(server)


def test_it_goes_on_without_tls_that_was_offered_and_refused_if_none_was_ever_seen(world: World) -> None:
    with world.serving(GOOD, False, Say(world.refusal)) as server:
        assert world.connect(server, terms(AUTO)).tls is NONE
        with pytest.raises(TlsUnavailable):
            world.connect(server, terms(AUTO, UNVERIFIED))


def test_it_asks_a_known_server_again_before_it_says_a_password_in_the_clear(world: World) -> None:
    with world.serving(NO_TLS) as server:
        assert world.connect(server, terms(AUTO)).tls is NONE
        server.tls = world.certificates.good.context()
        assert world.connect(server, terms(AUTO)).tls is VERIFIED


def test_it_trusts_the_system_where_no_other_authority_is_named(world: World) -> None:
    with world.serving(GOOD, True) as server, pytest.raises(CertificateRejected):
        world.open(replace(terms(SSL), protocol=world.protocol, port=server.port))


def test_it_needs_no_restart_when_the_authorities_were_missing_for_a_while(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    with world.serving(GOOD, True) as server:
        there = replace(terms(AUTO, VERIFIED), encryption=SSL, protocol=world.protocol, port=server.port)
        with pytest.raises(CertificateRejected):
            world.open(there)
        authorities.write_bytes(world.certificates.cafile.read_bytes())
        assert world.open(there).quit()


@pytest.mark.parametrize(("kind", "level"), [(GOOD, VERIFIED), (SELF_SIGNED, UNVERIFIED), (NO_TLS, NONE)])
def test_it_looks_at_a_server_without_logging_in(world: World, kind: str, level: TlsLevel) -> None:
    with world.serving(kind) as server:
        there = replace(terms(AUTO), protocol=world.protocol, port=server.port)
        connection = world.probe(there, cafile=str(world.certificates.cafile))
        assert connection.tls is level
        assert (connection.certificate is None) == (level is NONE)
        assert not world.told(server)
