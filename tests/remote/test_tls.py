from ssl import PEM_cert_to_DER_cert

import pytest

from fetchrules.errors import CertificateRejected
from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.remote.tls import Check, Demand, Start, demand, describe, protected
from fetchrules.rule import Encryption, Protocol
from tests.certificates import Certificates

AUTO, SSL, STARTTLS, PLAINTEXT = Encryption.AUTO, Encryption.SSL, Encryption.STARTTLS, Encryption.PLAINTEXT
NONE, UNVERIFIED, VERIFIED = TlsLevel.NONE, TlsLevel.UNVERIFIED, TlsLevel.VERIFIED
PIN = "ab" * 32


def account(encryption: Encryption, *, verify: bool = True, pin: str = "", seen: TlsLevel = NONE) -> Account:
    return Account(
        Protocol.POP3,
        "mailserver.ru",
        110,
        "petrov",
        "petrovpasswd",
        encryption=encryption,
        verify=verify,
        fingerprints=(pin,) if pin else (),
        tls_seen=seen,
    )


DEMANDS = [
    (account(AUTO), Demand(Start.IF_OFFERED, Check.CHAIN)),
    (account(AUTO, verify=False), Demand(Start.IF_OFFERED, Check.NOTHING)),
    (account(AUTO, pin=PIN), Demand(Start.STARTTLS, Check.PIN)),
    (account(AUTO, seen=UNVERIFIED), Demand(Start.STARTTLS, Check.CHAIN)),
    (account(AUTO, seen=VERIFIED), Demand(Start.STARTTLS, Check.CHAIN)),
    (account(SSL), Demand(Start.AT_ONCE, Check.CHAIN)),
    (account(SSL, verify=False), Demand(Start.AT_ONCE, Check.NOTHING)),
    (account(SSL, pin=PIN), Demand(Start.AT_ONCE, Check.PIN)),
    (account(SSL, verify=False, pin=PIN), Demand(Start.AT_ONCE, Check.PIN)),
    (account(STARTTLS), Demand(Start.STARTTLS, Check.CHAIN)),
    (account(STARTTLS, verify=False), Demand(Start.STARTTLS, Check.NOTHING)),
    (account(STARTTLS, pin=PIN), Demand(Start.STARTTLS, Check.PIN)),
    (account(PLAINTEXT), Demand(Start.NEVER, Check.NOTHING)),
    (account(PLAINTEXT, pin=PIN, seen=VERIFIED), Demand(Start.NEVER, Check.NOTHING)),
]


@pytest.mark.parametrize(("asked", "expected"), DEMANDS)
def test_it_turns_a_rule_into_one_demand(asked: Account, expected: Demand) -> None:
    assert demand(asked) == expected


def attempts(asked: Account) -> list[Check]:
    """With what checks a server whose certificate is bad is tried."""
    tried = []

    def attempt(demand: Demand) -> None:
        tried.append(demand.check)
        if demand.check is Check.CHAIN:
            raise CertificateRejected("expired")

    protected(asked, attempt)
    return tried


def test_it_forgives_a_bad_certificate_where_no_tls_was_asked_for() -> None:
    assert attempts(account(AUTO)) == [Check.CHAIN, Check.NOTHING]
    assert attempts(account(AUTO, seen=UNVERIFIED)) == [Check.CHAIN, Check.NOTHING]
    assert attempts(account(AUTO, verify=False)) == [Check.NOTHING]


def test_it_does_not_forgive_what_was_better_once() -> None:
    with pytest.raises(CertificateRejected, match="expired"):
        attempts(account(AUTO, seen=VERIFIED))


@pytest.mark.parametrize("encryption", [SSL, STARTTLS])
@pytest.mark.parametrize("seen", TlsLevel)
def test_it_does_not_forgive_where_tls_was_asked_for(encryption: Encryption, seen: TlsLevel) -> None:
    with pytest.raises(CertificateRejected):
        attempts(account(encryption, seen=seen))


def test_it_describes_a_certificate_that_nobody_can_read() -> None:
    certificate = describe(b"no certificate")
    assert len(certificate.sha256) == 64
    assert certificate.subject == certificate.issuer == ""
    assert certificate.not_after is None


def test_it_describes_a_certificate_of_a_version_that_there_is_not(certificates: Certificates) -> None:
    pem = certificates.good.path.read_text()
    der = PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])
    version_3, version_10 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"
    assert version_3 in der
    certificate = describe(der.replace(version_3, version_10, 1))
    assert len(certificate.sha256) == 64
    assert certificate.subject == ""


def test_it_describes_a_certificate(certificates: Certificates) -> None:
    pem = certificates.good.path.read_text()
    der = PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])
    certificate = describe(der)
    assert certificate.sha256 == certificates.good.sha256
    assert certificate.subject == "CN=localhost"
    assert certificate.issuer == "CN=Test authority"
    assert certificate.not_after is not None
    assert certificate.not_after.tzinfo is not None
