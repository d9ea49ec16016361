"""Certificates for tests, made when they are needed: an authority, and servers' certificates good and bad."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HOSTS = ("localhost", "xn--e1afmkfd.localhost")
"""Names in the good certificate, beside 127.0.0.1 and ::1. The second is "пример.localhost"."""


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate with its key in one PEM file, as OpenSSL servers read it."""

    path: Path
    sha256: str

    def context(self) -> ssl.SSLContext:
        """A server's context that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority (its certificate at `cafile`) and what it signed, or did not."""

    cafile: Path
    good: ServerCertificate
    expired: ServerCertificate
    wrong_host: ServerCertificate
    self_signed: ServerCertificate
    renewed: ServerCertificate
    """As good as `good`, with another key."""
    old: ServerCertificate
    """As good, with an RSA key, as servers of 2010 have it."""
    old_expired: ServerCertificate


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def make_certificates(folder: Path) -> Certificates:
    """Make them all in `folder`."""
    authority = _Authority()
    cafile = folder / "ca.pem"
    cafile.write_bytes(authority.pem())
    last_year = datetime.now(UTC) - timedelta(days=365)
    return Certificates(
        cafile=cafile,
        good=authority.issue(folder / "good.pem"),
        expired=authority.issue(folder / "expired.pem", begins=last_year),
        wrong_host=authority.issue(folder / "wrong_host.pem", hosts=("mail.example.net",), addresses=()),
        self_signed=_Authority("localhost").issue(folder / "self_signed.pem"),
        renewed=authority.issue(folder / "renewed.pem"),
        old=authority.issue(folder / "old.pem", key=rsa.generate_private_key(65537, 2048)),
        old_expired=authority.issue(
            folder / "old_expired.pem", begins=last_year, key=rsa.generate_private_key(65537, 2048)
        ),
    )


class _Authority:
    def __init__(self, name: str = "Test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        self._certificate = (
            _builder(self._name, self._name, self._key, datetime.now(UTC) - timedelta(days=1), days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        path: Path,
        hosts: tuple[str, ...] = HOSTS,
        addresses: tuple[str, ...] = ("127.0.0.1", "::1"),
        begins: datetime | None = None,
        key: Key | None = None,
    ) -> ServerCertificate:
        key = key or ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(host) for host in hosts]
        numbers = [x509.IPAddress(ip_address(address)) for address in addresses]
        certificate = (
            _builder(_name(hosts[0]), self._name, key, begins or datetime.now(UTC) - timedelta(days=1), days=90)
            .add_extension(x509.SubjectAlternativeName([*names, *numbers]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.touch(mode=0o600)
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return ServerCertificate(path, sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest())


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, begins: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )
