"""The local mail server, and a session in SMTP or LMTP (RFC 2033) that asks for a mailbox or hands over letters."""

import re
import smtplib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from fetchrules.delivery.outgoing import Outgoing
from fetchrules.errors import (
    DeliveryFailed,
    DeliveryRefused,
    DiskFull,
    LocalProtocolError,
    MailServerDown,
    RecipientUnknown,
    Retry,
)
from fetchrules.remote.authorities import unverified, verifying
from fetchrules.smtp import BoundedReplies


class Handover(StrEnum):
    LMTP = "lmtp"
    SMTP = "smtp"


class TlsUse(StrEnum):
    """For SMTP; LMTP stays on the machine or its private network."""

    NEVER = "never"
    MAY = "may"
    """STARTTLS where it is offered, with any certificate."""
    VERIFY = "verify"
    """STARTTLS with a certificate that verifies, or nothing."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `end` is for the reply to the end of a letter, while the server runs its filters, and for any whole reply.

    RFC 5321 §4.5.3.2 allows remote servers ten minutes there. `carry`: no letter is begun later than this after the first, since
    only between batches does a poll notice that it lost its claim.
    """

    connect: float = 20.0
    reply: float = 30.0
    end: float = 120.0
    carry: float = 120.0
    goodbye: float = 5.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """`host` and `port`, or the path of a Unix `socket`. With a `user`, the session logs in."""

    handover: Handover
    host: str = ""
    port: int = 0
    socket: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    tls: TlsUse = TlsUse.NEVER
    patience: Patience = Patience()

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
                if not parts.path.startswith("/") or "\0" in parts.path:
                    raise ValueError(f"not an absolute path: {parts.path!r}")
                return cls(Handover.LMTP, socket=parts.path)
            case "lmtp" if not parts.query and not parts.username:
                return cls(Handover.LMTP, _host(parts), parts.port or 24)
            case "smtp":
                user, password = unquote(parts.username or ""), unquote(parts.password or "")
                return cls(Handover.SMTP, _host(parts), parts.port or 25, "", user, password, _tls(parts))
        raise ValueError("not lmtp:/path, lmtp://host:port or smtp://host:port")


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


MAX_SIZE_DIGITS = 20
"""RFC 1870 §3."""

_ENHANCED = re.compile(rb"[245]\.(\d{1,3}\.\d{1,3})\b")
"""RFC 3463."""
_NO_ROOM = frozenset({b"2.2", b"3.1"})
"""Mailbox full, mail system full."""


class Unanswered(DeliveryFailed, retry=Retry.LATER):
    """The connection was lost between the end of a letter and the reply, so it may have been delivered."""


class Deferred(DeliveryFailed, retry=Retry.LATER):
    """The server did not take this letter now: it replied 4xx, or hung up within the letter."""


class Unreachable(MailServerDown):
    """No session could be opened."""


class HungUp(smtplib.SMTPResponseException):
    """The server replied and hung up before it had read everything."""

    smtp_error: bytes


class _BoundedLmtp(BoundedReplies, smtplib.LMTP):
    pass


def connect(server: MailServer, own_name: str) -> smtplib.SMTP:
    """A session after LHLO, or after EHLO, STARTTLS and AUTH as far as they are configured. Raises Unreachable."""
    kind = _BoundedLmtp if server.handover is Handover.LMTP else BoundedReplies
    with ExitStack() as undo:
        try:
            client = kind(server.socket or server.host, server.port, own_name, timeout=server.patience.connect)
            undo.callback(client.close)
            client.reply_seconds = server.patience.end
            if server.handover is Handover.LMTP:
                code, text = client.ehlo()
                if code != 250:
                    raise smtplib.SMTPHeloError(code, text)
            else:
                client.ehlo_or_helo_if_needed()
                _start_tls(client, server.tls)
            if server.user:
                client.login(server.user, server.password)
        except smtplib.SMTPAuthenticationError as error:  # its words are left out: they may repeat the password
            raise Unreachable(f"{server}: {error.smtp_code}") from error
        except smtplib.SMTPResponseException as error:
            raise Unreachable(f"{server}: {_said(error.smtp_code, error.smtp_error)}") from error
        except OSError as error:
            raise Unreachable(f"{server}: {error}") from error
        undo.pop_all()
    return client


def _start_tls(client: smtplib.SMTP, use: TlsUse) -> None:
    match use:
        case TlsUse.VERIFY:
            client.starttls(context=verifying())
        case TlsUse.MAY if client.has_extn("starttls"):
            with suppress(smtplib.SMTPResponseException):  # 454: not now; the session goes on in plain text
                client.starttls(context=unverified())
        case _:
            return
    client.ehlo_or_helo_if_needed()


class Dialogue:
    """An open session about one `recipient`, for one thread."""

    def __init__(self, client: smtplib.SMTP, recipient: str, patience: Patience) -> None:
        _set_timeout(client, patience.reply)
        self._patience = patience
        self._client = client
        self._recipient = recipient

    @property
    def is_open(self) -> bool:
        """Whether no loss of the connection has been noticed."""
        return self._client.sock is not None

    def is_alive(self) -> bool:
        with suppress(OSError):
            return self._command("NOOP")[0] == 250
        return False

    def ask(self) -> None:
        """Raises RecipientUnknown if the recipient has no mailbox, DeliveryFailed."""
        with self._lost():
            self._name("", [], RecipientUnknown)
            self._reset()

    def hand_over(self, letter: Outgoing, pieces: Iterator[bytes]) -> None:
        """Deliver a letter; `pieces` are the octets after DATA, the terminator in the last.

        Raises Unanswered if the server may have taken it, another DeliveryFailed (DeliveryRefused, Deferred, DiskFull) if not.
        """
        with self._lost():
            self._check_size(letter.octets)
            self._begin(letter)
            self._demand(self._command("DATA"), 354)
            last = self._send_all_but_the_last(pieces)
        try:
            _set_timeout(self._client, self._patience.end)
            self._send(last)
            code, text = self._client.getreply()
            _set_timeout(self._client, self._patience.reply)
        except HungUp as error:
            code, text = error.smtp_code, error.smtp_error
            if code < 400:
                raise Unanswered(f"taken before its end: {_said(code, text)}") from error
        except OSError as error:
            raise Unanswered(f"no reply to the end of the letter: {error}") from error
        if 400 <= code <= 599:
            raise self._refusal(code, text)
        if not 200 <= code <= 299:
            self._client.close()
            raise Unanswered(_said(code, text))

    def close(self) -> None:
        """QUIT, and close whatever the reply. Never raises; may be called twice."""
        with suppress(OSError):
            _set_timeout(self._client, self._patience.goodbye)
            self._client.quit()
        self._client.close()

    def _command(self, line: str) -> tuple[int, bytes]:
        """The reply to a command. Raises OSError."""
        if "\r" in line or "\n" in line:
            raise LocalProtocolError(f"one command, not several: {line!r}")
        self._send(f"{line}\r\n".encode())
        return self._client.getreply()

    def _send(self, octets: bytes) -> None:
        """A failure closes the connection. Raises HungUp if the server has said why, else SMTPServerDisconnected."""
        sock = self._client.sock
        if sock is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        try:
            sock.sendall(octets)
        except OSError as error:
            with suppress(smtplib.SMTPServerDisconnected):
                sock.settimeout(self._patience.goodbye)
                reply = self._client.getreply()
                self._client.close()
                raise HungUp(*reply) from error
            raise smtplib.SMTPServerDisconnected(str(error)) from error

    def _begin(self, letter: Outgoing) -> None:
        """Name sender and recipient, or with a null sender if they are refused: only bounces need a sender.

        Eight bits are sent to servers without 8BITMIME (RFC 6152) too, because we do not parse MIME.
        """
        options = [f"SIZE={letter.octets}"] if self._client.has_extn("size") else []
        if letter.eight_bit and self._client.has_extn("8bitmime"):
            options.append("BODY=8BITMIME")
        try:
            self._name(letter.sender, options)
        except DeliveryRefused:
            if not letter.sender or not self.is_open:
                raise
            self._name("", options)

    def _name(self, sender: str, options: list[str], unwelcome: type[DeliveryRefused] = DeliveryRefused) -> None:
        """MAIL and RCPT, with SMTPUTF8 (RFC 6531) only if the recipient needs it. Raises `unwelcome` for a refused RCPT."""
        recipient, utf8 = self._recipient, not self._recipient.isascii()
        if utf8 and not self._client.has_extn("smtputf8"):
            recipient, utf8 = _in_ascii(recipient), False
        if utf8:
            options = [*options, "SMTPUTF8"]
        elif not sender.isascii():
            sender = ""
        self._demand(self._command(" ".join([f"MAIL FROM:<{sender}>", *options])), 250)
        self._demand(self._command(f"RCPT TO:<{recipient}>"), 250, 251, refused=unwelcome)

    def _check_size(self, octets: int) -> None:
        limit = self._client.esmtp_features.get("size", "")
        if limit.isdecimal() and len(limit) <= MAX_SIZE_DIGITS and 0 < int(limit) < octets:
            raise DeliveryRefused(f"{octets} octets, and the server takes at most {limit}")

    def _send_all_but_the_last(self, pieces: Iterator[bytes]) -> bytes:
        """A letter that has begun can only be given up with its connection. Raises OSError, Deferred."""
        try:
            last = next(pieces)
            for piece in pieces:
                self._send(last)
                last = piece
        except smtplib.SMTPServerDisconnected as error:
            raise Deferred(f"broken off in the middle of the letter: {error}") from error
        except OSError:
            self._client.close()
            raise
        return last

    def _demand(self, reply: tuple[int, bytes], *codes: int, refused: type[DeliveryRefused] = DeliveryRefused) -> None:
        """Raises DeliveryFailed, after RSET, unless the reply's code is one of `codes`."""
        if reply[0] in codes:
            return
        refusal = self._refusal(*reply, refused)
        if self.is_open:
            self._reset()
        raise refusal

    def _refusal(self, code: int, text: bytes, refused: type[DeliveryRefused] = DeliveryRefused) -> DeliveryFailed:
        """The error that an unexpected reply stands for. Closes the connection after 421 or nonsense."""
        enhanced = _ENHANCED.match(text)
        about_the_letter = 400 <= code <= 599 and code != 421
        if not about_the_letter:
            self._client.close()
        if code == 452 or (enhanced and enhanced[1] in _NO_ROOM):
            return DiskFull(_said(code, text))
        if not about_the_letter:
            return DeliveryFailed(_said(code, text))
        return refused(_said(code, text)) if code >= 500 else Deferred(_said(code, text))

    def _reset(self) -> None:
        code, _ = self._command("RSET")
        if code != 250:
            self._client.close()

    @contextmanager
    def _lost(self) -> Iterator[None]:
        """A connection that is lost here is lost before the end of a letter, so nothing was delivered."""
        try:
            yield
        except HungUp as error:
            raise self._refusal(error.smtp_code, error.smtp_error) from error
        except OSError as error:
            raise DeliveryFailed(str(error)) from error


def _set_timeout(client: smtplib.SMTP, seconds: float) -> None:
    if client.sock is not None:
        client.sock.settimeout(seconds)


def _said(code: int, text: bytes | str) -> str:
    words = " ".join((text if isinstance(text, str) else text.decode(errors="replace")).split())
    return f"{code} {words}" if code >= 0 else words


def _in_ascii(address: str) -> str:
    """The address with its domain in A-labels. Raises DeliveryRefused where that is not enough."""
    local, at, domain = address.partition("@")
    try:
        return local.encode("ascii").decode() + at + domain.encode("idna").decode()
    except UnicodeError as error:
        raise DeliveryRefused(f"the server takes no address such as {address}") from error
