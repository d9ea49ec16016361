"""An open IMAP folder and the way to it. Letters are named by their UIDs, because message numbers shift."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from fetchrules.errors import FetchError, LoginRefused, RemoteProtocolError, ServerRefused, TlsRequired, TlsUnavailable
from fetchrules.remote.account import Account
from fetchrules.remote.imap.client import FencedImap, refusal
from fetchrules.remote.imap.deletion import Deletion, mark
from fetchrules.remote.imap.fetched import list_letters
from fetchrules.remote.imap.retrieval import LETTERS_AT_ONCE, heads, retrieve
from fetchrules.remote.imap.syntax import folders, quoted
from fetchrules.remote.mailbox import Connection, Listed, Listing, Retrieved, TlsLevel
from fetchrules.remote.memory import SERVERS, MailboxKey, ServerMemory, SizeMemory
from fetchrules.remote.net import Alive, connect
from fetchrules.remote.tls import UNPROTECTED, Demand, Protection, Start, protected, secure
from fetchrules.remote.transcript import Secrets, Speaker, Trace
from fetchrules.utf7 import encode_folder


@dataclass(frozen=True, slots=True)
class Reached:
    client: FencedImap
    protection: Protection
    address: str
    capabilities: frozenset[str]

    def connection(self) -> Connection:
        greeting = (self.client.welcome or b"").decode("utf-8", "replace").removeprefix("* OK ")
        return self.protection.connection(self.address, self.client.masked(greeting), self.capabilities)


def reach(account: Account, demand: Demand, cafile: str, trace: Trace | None, alive: Alive | None = None) -> Reached:
    """Connect, and stop before the login. Raises FetchError; then nothing is left open."""
    quoted(account.user)  # raises for a command hidden in it, before we connect
    secrets = Secrets.of(b64encode(_plain(account)).decode(), quoted(account.password)[1:-1], account.password)
    stream = connect(account.host, account.port, account.deadlines, account.targets, alive)

    def note(text: str) -> None:
        if trace is not None:
            trace(Speaker.NOTE, text)

    def secured() -> Protection:
        protection = secure(stream, account, demand.check, cafile)
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
    """Whether the handshake is next. Raises TlsUnavailable where it is demanded but not offered."""
    if "STARTTLS" in client.capabilities and client.run(lambda: client.xatom("STARTTLS")).ok:
        client.begin_tls()
        return True
    if start is Start.STARTTLS:
        raise TlsUnavailable("the server does not offer STARTTLS, or refuses it")
    return False


def log_in(reached: Reached, account: Account) -> Reached:
    """Log in, and learn the capabilities for this user. Raises LoginRefused and the like."""
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


INBOX = "INBOX"
FOLDERS_MAX = 10_000


def open_imap(
    account: Account,
    *,
    cafile: str = "",
    trace: Trace | None = None,
    alive: Alive | None = None,
    memory: ServerMemory = SERVERS,
) -> "ImapMailbox":
    """Connect, log in, select the account's folder. Raises FetchError; then nothing is left open."""

    def attempt(demand: Demand) -> ImapMailbox:
        reached = reach(account, demand, cafile, trace, alive)
        try:
            reached = log_in(reached, account)
            reached.client.learn_most(reached.capabilities)
            exists, epoch = _select(reached.client, account.folder or INBOX)
            key = MailboxKey(account.host, account.port, account.user)
            return ImapMailbox(reached.client, reached.connection(), exists, epoch, memory.sizes, key)
        except BaseException:
            reached.client.shutdown()
            raise

    return protected(account, attempt)


def list_folders(account: Account, *, cafile: str = "", trace: Trace | None = None) -> tuple[str, ...]:
    """The selectable folders, by readable names. Raises FetchError."""

    def attempt(demand: Demand) -> tuple[str, ...]:
        reached = reach(account, demand, cafile, trace)
        client = reached.client
        try:
            log_in(reached, account)
            answer = client.run(lambda: client.list('""', '"*"'), lines=FOLDERS_MAX)
            client.run(client.logout)
        finally:
            client.shutdown()
        if not answer.ok:
            raise refusal(answer.words, ServerRefused)
        return folders(answer.data)

    return protected(account, attempt)


def probe_imap(account: Account, *, cafile: str = "", trace: Trace | None = None) -> Connection:
    """Connect without a login. Raises FetchError."""

    def attempt(demand: Demand) -> Connection:
        reached = reach(account, demand, cafile, trace)
        reached.client.shutdown()
        return reached.connection()

    return protected(account, attempt)


def _select(client: FencedImap, folder: str) -> tuple[int, int | None]:
    """The count of letters, and UIDVALIDITY: None where UIDs do not last. Raises ServerRefused."""
    quoted(folder)  # modified UTF-7 would carry CR and LF unharmed, but nobody calls a folder so
    answer = client.select_folder(encode_folder(folder))
    if not answer.ok:
        raise refusal(answer.words, ServerRefused)
    exists = client.number("EXISTS")
    if exists is None:  # taken for none, it would be a complete list of nothing
        raise RemoteProtocolError("SELECT does not say how many letters there are")
    return exists, client.number("UIDVALIDITY")


class ImapMailbox:
    """An open IMAP folder (a RemoteMailbox). The methods' contracts are those of RemoteMailbox."""

    def __init__(
        self,
        client: FencedImap,
        connection: Connection,
        exists: int,
        epoch: int | None,
        sizes: SizeMemory,
        key: MailboxKey,
    ) -> None:
        self.connection = connection
        self.exists = exists
        self.together = 0
        self._client = client
        self._epoch = epoch
        self._sizes, self._key = sizes, key
        self._deletion = Deletion(client, uidplus="UIDPLUS" in connection.capabilities)

    def listing(self, at_once: int | None = None) -> Listing:
        """The folder's letters. Letters that anybody has flagged \\Deleted count as listed, but are not collected."""
        with self._closing_on_error():
            found, whole = list_letters(self._client, self.exists, at_once)
        return Listing(
            letters=tuple(letter for _, (letter, flagged) in sorted(found.items()) if not flagged),
            epoch=self._epoch,
            complete=whole and len(found) == self.exists,
            has_uids=self._epoch is not None,
            flagged=tuple(letter for _, (letter, flagged) in sorted(found.items()) if flagged),
            unlisted=max(self.exists - len(found), 0),
        )

    def heads(self, letters: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
        with self._closing_on_error():
            yield from heads(self._client, letters)

    def retrieve(self, letters: Iterable[Listed], at_once: int | None = None) -> Iterator[Retrieved]:
        """Fetch `letters`, many small ones in one command, without marking them as read.

        An answer far longer than the listed sizes ends the session; from the next session on, letters come piece by piece.
        """
        most = min(at_once or LETTERS_AT_ONCE, LETTERS_AT_ONCE)
        with self._closing_on_error():
            try:
                yield from retrieve(self._client, letters, most, trusting=not self._sizes.distrusts(self._key))
            except RemoteProtocolError:
                if self._client.overflowed:
                    self._sizes.distrust(self._key)
                raise

    def delete(self, letters: Sequence[Listed]) -> Iterator[tuple[Listed, bool]]:
        """Flag and expunge `letters`, and no letter that somebody else has flagged. It takes effect at once."""
        with self._closing_on_error():
            yield from self._deletion.delete(letters)

    def mark_seen(self, letters: Sequence[Listed]) -> None:
        """Set \\Seen. A refusal (a read-only folder) does no harm, because the ledger knows the letters."""
        with self._closing_on_error():
            for _ in mark(self._client, letters, "(\\Seen)"):
                pass

    def reset(self) -> None:
        """Nothing: deletions took effect at once."""

    def quit(self) -> bool:
        """LOGOUT. True unless the session has failed: deletions were confirmed at once."""
        if self._client.closed:
            return False
        with suppress(FetchError):
            self._client.run(self._client.logout)
        self.close()
        return True

    def close(self) -> None:
        self._client.shutdown()

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            yield
        except FetchError:
            self.close()
            raise
        finally:
            self.together = self._client.together
