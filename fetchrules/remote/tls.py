"""The protection that a rule demands of its connection, and the protection that it got."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256
from typing import TypeVar

from cryptography import x509

from fetchrules.errors import CertificateChanged, CertificateRejected, TlsTooWeak, printable
from fetchrules.remote.account import Account
from fetchrules.remote.auth.ways import Way
from fetchrules.remote.authorities import unverified, verifying
from fetchrules.remote.mailbox import Certificate, Connection, TlsLevel
from fetchrules.remote.net import Stream
from fetchrules.remote.resolver import ascii_name
from fetchrules.rule import Encryption

Opened = TypeVar("Opened")


class Start(Enum):
    NEVER = "never"
    IF_OFFERED = "if offered"
    STARTTLS = "starttls"
    """On the plain port, but nothing secret is said without it."""
    AT_ONCE = "at once"


class Check(Enum):
    CHAIN = "chain"
    """Signed by a trusted authority, for this host, in date."""
    PIN = "pin"
    """A certificate that the rule names, whoever signed it."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Demand:
    start: Start
    check: Check
    weak: bool = False
    """With the ciphers of old servers."""


@dataclass(frozen=True, slots=True)
class Protection:
    level: TlsLevel = TlsLevel.NONE
    version: str = ""
    certificate: Certificate | None = None

    def connection(self, address: str, greeting: str, capabilities: frozenset[str], way: Way | None) -> Connection:
        return Connection(address, self.level, self.version, self.certificate, greeting, capabilities, way)


UNPROTECTED = Protection()


def demand(account: Account) -> Demand:
    """What the rule and its former connections demand.

    A pin, or TLS seen once, turns "if offered" into a demand, so that nobody can strip the connection of its TLS.
    """
    unpinned = Check.CHAIN if account.verify else Check.NOTHING
    check = Check.PIN if account.fingerprints else unpinned
    match account.encryption:
        case Encryption.PLAINTEXT:
            return Demand(Start.NEVER, Check.NOTHING)
        case Encryption.SSL:
            return Demand(Start.AT_ONCE, check)
        case Encryption.STARTTLS:
            return Demand(Start.STARTTLS, check)
        case Encryption.AUTO:
            known = account.tls_seen is not TlsLevel.NONE or check is Check.PIN
            return Demand(Start.STARTTLS if known else Start.IF_OFFERED, check)


def protected(account: Account, attempt: Callable[[Demand], Opened]) -> Opened:
    """Call `attempt` with the account's demand, and again with less of one where the account allows it.

    * Where the rule does not ask for TLS, with any certificate. One handshake cannot both verify the chain and go on when it does
      not verify: the `ssl` module either aborts (CERT_REQUIRED) or does not tell (CERT_NONE). So the strict attempt comes first,
      before anything secret is said, and a bad certificate costs a second connection. In the other order, a certificate that has
      become good would go unnoticed. After a chain has verified once, a bad one is never accepted again. It may verify later (a
      late renewal, a wrong clock), so the rule goes on trying, and sends no password until then.
    * With the ciphers of old servers, but never for a host that has been seen with better ones.
    """
    asked = demand(account)
    while True:
        try:
            return attempt(asked)
        except CertificateRejected:
            if account.encryption is not Encryption.AUTO or account.tls_seen is TlsLevel.VERIFIED:
                raise
            asked = replace(asked, check=Check.NOTHING)
        except TlsTooWeak:
            if asked.weak or account.host_is_strong:
                raise
            asked = replace(asked, weak=True)


def secure(stream: Stream, account: Account, asked: Demand, cafile: str) -> Protection:
    """Start TLS on `stream`.

    Raises CertificateRejected, CertificateChanged (none of the pinned ones) or TlsFailed.
    """
    context = verifying(cafile, weak=asked.weak) if asked.check is Check.CHAIN else unverified(weak=asked.weak)
    version, der = stream.start_tls(context, ascii_name(account.host))
    certificate = describe(der)
    if asked.check is Check.PIN and certificate.sha256 not in account.fingerprints:
        raise CertificateChanged(f"sha256 {certificate.sha256}")
    checked = TlsLevel.UNVERIFIED if asked.check is Check.NOTHING else TlsLevel.VERIFIED
    return Protection(TlsLevel.WEAK if asked.weak else checked, version, certificate)


def describe(der: bytes) -> Certificate:
    """The certificate of this DER form; only its hash where it cannot be read."""
    digest = sha256(der).hexdigest()
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
        return Certificate(digest, printable(subject), printable(issuer), certificate.not_valid_after_utc)
    except (ValueError, x509.InvalidVersion):
        return Certificate(digest)
