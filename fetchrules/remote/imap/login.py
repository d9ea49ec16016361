"""From nothing to the authenticated state: connect, protect the connection as the rule demands, log in."""

from base64 import b64encode
from dataclasses import dataclass, replace

from fetchrules.errors import LoginRefused, ServerRefused, TlsRequired, TlsUnavailable
from fetchrules.remote.account import Account
from fetchrules.remote.imap.client import FencedImap
from fetchrules.remote.imap.refusals import refusal
from fetchrules.remote.imap.syntax import quoted
from fetchrules.remote.mailbox import Connection, TlsLevel
from fetchrules.remote.masking import Secrets
from fetchrules.remote.net import Alive, connect
from fetchrules.remote.tls import UNPROTECTED, Demand, Protection, Start, Trust, secure
from fetchrules.remote.transcript import Speaker, Trace


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that waits for a login, or has had it."""

    client: FencedImap
    protection: Protection
    address: str
    capabilities: frozenset[str]

    def connection(self) -> Connection:
        return Connection(
            address=self.address,
            tls=self.protection.level,
            tls_version=self.protection.version,
            certificate=self.protection.certificate,
            greeting=self.client.masked((self.client.welcome or b"").decode("utf-8", "replace").removeprefix("* OK ")),
            capabilities=self.capabilities,
        )


def reach(account: Account, demand: Demand, trust: Trust, trace: Trace | None, alive: Alive | None = None) -> Reached:
    """Connect, and stop before the login. Raises FetchError; then nothing is left open."""
    quoted(account.user)  # it and the password must not hold a command of their own: refused before we connect
    secrets = Secrets.of(b64encode(_plain(account)).decode(), quoted(account.password)[1:-1], account.password)
    stream = connect(account.host, account.port, account.deadlines, account.targets, alive)

    def note(text: str) -> None:
        if trace is not None:
            trace(Speaker.NOTE, text)

    def secured() -> Protection:
        protection = secure(stream, account, demand.check, trust)
        note(f"{protection.version}, certificate {protection.level.value}")
        return protection

    note(f"connected to {stream.address} port {account.port}")
    try:
        protection = secured() if demand.start is Start.AT_ONCE else UNPROTECTED
        client = FencedImap(stream, secrets, trace)
        announced = frozenset(client.capabilities)
        if demand.start in (Start.STARTTLS, Start.IF_OFFERED) and _starts_tls(client, demand.start):
            protection, announced = secured(), client.ask_capabilities()
        return Reached(client, protection, stream.address, announced)
    except BaseException:
        stream.close()
        raise


def _starts_tls(client: FencedImap, start: Start) -> bool:
    """Whether the handshake is next. Raises TlsUnavailable where it was demanded and is not."""
    if "STARTTLS" in client.capabilities and client.run(lambda: client.xatom("STARTTLS")).ok:
        client.begin_tls()
        return True
    if start is Start.STARTTLS:
        raise TlsUnavailable("the server does not offer STARTTLS, or refuses it")
    return False


def log_in(reached: Reached, account: Account) -> Reached:
    """Log in, and learn what the server can do for this user. Raises LoginRefused and the like."""
    client, announced = reached.client, reached.capabilities
    login_disabled = "LOGINDISABLED" in announced
    sayable = account.user.isascii() and account.password.isascii()
    if "AUTH=PLAIN" in announced and (login_disabled or not sayable):
        answer = client.authenticate_plain(_plain(account))
    elif login_disabled and reached.protection.level is TlsLevel.NONE:
        raise TlsRequired("LOGINDISABLED")
    elif login_disabled:
        raise ServerRefused("LOGINDISABLED, and no other way to log in that we know")
    else:
        answer = client.log_in(account.user, account.password)
    if not answer.ok:
        raise refusal(answer.words, LoginRefused)
    return replace(reached, capabilities=client.announced() or client.ask_capabilities())


def _plain(account: Account) -> bytes:
    """RFC 4616: authorization identity (none), NUL, user, NUL, password."""
    return f"\0{account.user}\0{account.password}".encode()
