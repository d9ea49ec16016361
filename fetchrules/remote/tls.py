"""How a connection has to be protected, and how well it was: contexts, pins, what a certificate says."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256
from hmac import compare_digest
from typing import TypeVar, assert_never

from cryptography import x509

from fetchrules.errors import CertificateChanged, CertificateRejected, printable
from fetchrules.remote.account import Account
from fetchrules.remote.authorities import unverified, verifying
from fetchrules.remote.mailbox import Certificate, TlsLevel
from fetchrules.remote.net import Stream
from fetchrules.remote.resolver import ascii_name
from fetchrules.rule import Encryption

Opened = TypeVar("Opened")


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count. No `cafile`: the system's authorities (OpenSSL heeds SSL_CERT_FILE and SSL_CERT_DIR)."""

    cafile: str = ""


class Start(Enum):
    """When TLS begins."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    STARTTLS = "starttls"
    """On the plain port, and nothing is said without it."""
    AT_ONCE = "at once"


class Check(Enum):
    """What a certificate has to satisfy."""

    CHAIN = "chain"
    """Signed by a trusted authority, for this host, in date."""
    PIN = "pin"
    """The very certificate that the rule names; who signed it does not matter."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a rule asks of its connection, all in all."""

    start: Start
    check: Check


@dataclass(frozen=True, slots=True)
class Protection:
    level: TlsLevel = TlsLevel.NONE
    version: str = ""
    certificate: Certificate | None = None


UNPROTECTED = Protection()


def demand(account: Account) -> Demand:
    """The rule's words and what was seen before, as one demand.

    A pin, or TLS seen once, turns "if offered" into a demand: a connection that could be stripped of its TLS
    protects nobody.
    """
    unpinned = Check.CHAIN if account.verify else Check.NOTHING
    check = Check.PIN if account.fingerprint else unpinned
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
        case _ as unreachable:
            assert_never(unreachable)


def protected(account: Account, attempt: Callable[[Demand], Opened]) -> Opened:
    """Call `attempt` with the account's demand; where the rule asked for no TLS, once more with any certificate.

    Whether a chain verifies and yet to go on when it does not cannot be had from one handshake: the `ssl` module
    either aborts it (CERT_REQUIRED) or does not tell (CERT_NONE), and verifying in Python what OpenSSL has accepted
    would be a second opinion with rules of its own. So the strict way goes first, before anything secret is said,
    and only a server whose certificate is bad costs a second connection. The other order would never notice that a
    certificate has become good.

    A chain that verified once is never done without again; it may verify again by itself (renewed an hour late, a wrong clock
    here, no authorities at hand), so the rule goes on trying and says no password until then.
    """
    asked = demand(account)
    try:
        return attempt(asked)
    except CertificateRejected:
        if account.encryption is not Encryption.AUTO or account.tls_seen is TlsLevel.VERIFIED:
            raise
    return attempt(replace(asked, check=Check.NOTHING))


def secure(stream: Stream, account: Account, check: Check, trust: Trust) -> Protection:
    """Start TLS on `stream`.

    Raises CertificateRejected, CertificateChanged (another than the pinned one) or TlsFailed.
    """
    context = verifying(trust.cafile) if check is Check.CHAIN else unverified()
    handshake = stream.start_tls(context, ascii_name(account.host))
    certificate = describe(handshake.certificate)
    if check is Check.PIN and not compare_digest(certificate.sha256, account.fingerprint):
        raise CertificateChanged(f"sha256 {certificate.sha256}")
    level = TlsLevel.UNVERIFIED if check is Check.NOTHING else TlsLevel.VERIFIED
    return Protection(level, handshake.version, certificate)


def describe(der: bytes) -> Certificate:
    """What a certificate says of itself. One that cannot be read has at least its hash."""
    digest = sha256(der).hexdigest()
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
        return Certificate(digest, printable(subject), printable(issuer), certificate.not_valid_after_utc)
    except (ValueError, x509.InvalidVersion):
        return Certificate(digest)
