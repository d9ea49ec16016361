"""The local mail server that letters are handed to, and how an administrator writes it down."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit


class Handover(StrEnum):
    LMTP = "lmtp"
    SMTP = "smtp"


class TlsUse(StrEnum):
    """What is asked of an SMTP connection. LMTP stays on the machine, or on its private network."""

    NEVER = "never"
    MAY = "may"
    """STARTTLS where it is offered, whatever the certificate: better than plain text."""
    VERIFY = "verify"
    """STARTTLS, demanded, with a certificate that verifies."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """`host` and `port`, or the path of a Unix `socket`. With a `user`, the session logs in; `password` is not in repr."""

    handover: Handover
    host: str = ""
    port: int = 0
    socket: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    tls: TlsUse = TlsUse.NEVER

    def __str__(self) -> str:
        return self.socket or f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "MailServer":
        """`lmtp:/path`, `lmtp://host[:port]` or `smtp://[user:password@]host[:port][?tls=never|may|verify]`.

        TLS is demanded where there is a login, else used where it is offered. Raises ValueError.
        """
        parts = urlsplit(url)
        match parts.scheme:
            case "lmtp" if not parts.netloc:
                return cls(Handover.LMTP, socket=_socket(parts))
            case "lmtp" if not parts.query and not parts.username:
                return cls(Handover.LMTP, _host(parts), parts.port or 24)
            case "smtp":
                user, password = unquote(parts.username or ""), unquote(parts.password or "")
                return cls(Handover.SMTP, _host(parts), parts.port or 25, "", user, password, _tls(parts))
        raise ValueError("not lmtp:/path, lmtp://host:port or smtp://host:port")


def _socket(parts: SplitResult) -> str:
    if not parts.path.startswith("/") or "\0" in parts.path:
        raise ValueError(f"not an absolute path: {parts.path!r}")
    return parts.path


def _host(parts: SplitResult) -> str:
    if not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError("a host, perhaps a port, and no path")
    return parts.hostname


def _tls(parts: SplitResult) -> TlsUse:
    options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    if not options:
        return TlsUse.VERIFY if parts.username else TlsUse.MAY
    if options.keys() != {"tls"}:
        raise ValueError("the only option is tls=never, tls=may or tls=verify")
    return TlsUse(options["tls"][-1])
