"""An IMAP folder that is open: what `poll` works with. Letters are named by their UIDs alone; message numbers shift."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from fetchrules.errors import FetchError, RemoteProtocolError, ServerRefused
from fetchrules.remote.account import Account
from fetchrules.remote.imap.client import FencedImap
from fetchrules.remote.imap.fetched import listing
from fetchrules.remote.imap.folders import encode_folder, folders
from fetchrules.remote.imap.memory import MEMORY, MailboxKey
from fetchrules.remote.imap.opening import log_in, reach
from fetchrules.remote.imap.refusals import refusal
from fetchrules.remote.imap.retrieval import retrieve
from fetchrules.remote.imap.syntax import quoted, uid_set
from fetchrules.remote.mailbox import Connection, Listed, Listing, Retrieved
from fetchrules.remote.tls import Demand, Trust, protected
from fetchrules.remote.transcript import Trace

INBOX = "INBOX"
SYSTEM_TRUST = Trust()

LETTERS_MAX = 200_000
"""Letters of a folder that are listed, the newest. A larger one is collected in several goes: its listing is never complete."""

LINE_OF_LISTING_MAX = 512
"""Octets that the listing may have for each letter, its keywords included."""

FOLDERS_MAX = 10_000

UIDS_AT_ONCE = 500
"""In a command that names them one by one: servers take lines of 8,000 octets and more."""

LINES_OF_CHANGES_MAX = 1000 + 4 * UIDS_AT_ONCE
"""In the answer to such a command: Exchange counts the letters anew behind each one that it expunges."""


def open_imap(account: Account, *, trust: Trust = SYSTEM_TRUST, trace: Trace | None = None) -> "ImapMailbox":
    """Connect, log in, select the account's folder. Raises FetchError; then nothing is left open."""

    def attempt(demand: Demand) -> ImapMailbox:
        reached = reach(account, demand, trust, trace)
        try:
            reached = log_in(reached, account)
            selected = _select(reached.client, account.folder or INBOX)
            key = MailboxKey(account.host, account.port, account.user)
            return ImapMailbox(reached.client, reached.connection(), selected, key)
        except BaseException:
            reached.client.shutdown()
            raise

    return protected(account, attempt)


def list_folders(account: Account, *, trust: Trust = SYSTEM_TRUST, trace: Trace | None = None) -> tuple[str, ...]:
    """The folders that can be selected, as people write their names. Raises FetchError."""

    def attempt(demand: Demand) -> tuple[str, ...]:
        reached = reach(account, demand, trust, trace)
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


def probe_imap(account: Account, *, trust: Trust = SYSTEM_TRUST, trace: Trace | None = None) -> Connection:
    """How `account`'s server would be reached: all that comes before a login. Raises FetchError."""

    def attempt(demand: Demand) -> Connection:
        reached = reach(account, demand, trust, trace)
        reached.client.shutdown()
        return reached.connection()

    return protected(account, attempt)


@dataclass(frozen=True, slots=True)
class Selected:
    """What SELECT told of a folder. `epoch` is its UIDVALIDITY; None: a server whose UIDs do not last."""

    exists: int
    epoch: int | None


def _select(client: FencedImap, folder: str) -> Selected:
    """Raises ServerRefused, also where there is no such folder."""
    quoted(folder)  # modified UTF-7 would carry CR and LF unharmed, but nobody calls a folder so
    answer = client.select_folder(encode_folder(folder))
    if not answer.ok:
        raise refusal(answer.words, ServerRefused)
    exists = client.number("EXISTS")
    if exists is None:  # taken for none, it would be a complete list of nothing
        raise RemoteProtocolError("SELECT does not say how many letters there are")
    return Selected(exists, client.number("UIDVALIDITY"))


class ImapMailbox:
    """An open IMAP folder (a RemoteMailbox). The methods' contracts are those of RemoteMailbox."""

    def __init__(self, client: FencedImap, connection: Connection, selected: Selected, key: MailboxKey) -> None:
        self.connection = connection
        self._client = client
        self._selected = selected
        self._key = key
        self._uidplus = "UIDPLUS" in connection.capabilities
        self._flagged: set[int] = set()

    def listing(self) -> Listing:
        """The folder's letters but those that somebody has flagged \\Deleted: they are on their way out.

        Such a letter counts as listed, so that the list is complete; should its flag be taken back, it is compared with
        what the ledger knows of its UID, not taken for new.
        """
        with self._closing_on_error():
            count = min(self._selected.exists, LETTERS_MAX)
            found, whole = self._list(self._selected.exists - count + 1, count) if count else ({}, True)
            if not found and count < self._selected.exists:
                # Nothing where the newest should be: there are not so many letters as the server says.
                found, whole = self._list(1, count)
        letters = tuple(letter for _, (letter, flagged) in sorted(found.items()) if not flagged)
        return Listing(
            letters=letters,
            epoch=self._selected.epoch,
            complete=whole and len(found) == self._selected.exists,
            has_uids=self._selected.epoch is not None,
            octets=sum(letter.size for letter in letters),
            flagged=tuple(letter for _, (letter, flagged) in sorted(found.items()) if flagged),
            unlisted=max(self._selected.exists - len(found), 0),
        )

    def _list(self, first: int, count: int) -> tuple[dict[int, tuple[Listed, bool]], bool]:
        """By UID, each of `count` letters from the `first` on, and whether it is flagged \\Deleted; and whether these are all.

        A server that cannot tell of one letter (Gmail says NO, Exchange BAD) has told of the others. Raises ServerRefused where
        it has told of none.
        """
        # By message numbers, this once: a server may not renumber during FETCH, and letters that arrive now stay out.
        client = self._client
        client.response("FETCH")  # what was told unasked
        answer = client.run(
            lambda: client.fetch(f"{first}:{first + count - 1}", "(UID FLAGS INTERNALDATE RFC822.SIZE)"),
            octets=LINE_OF_LISTING_MAX * (count + 1000),
            lines=2 * count + 1000,
            bad_is_no=True,
        )
        found = listing(answer.data if answer.ok else client.response("FETCH")[1])
        if not answer.ok and not found:
            raise refusal(answer.words, ServerRefused)
        return found, answer.ok

    def retrieve(self, letters: Iterable[Listed]) -> Iterator[Retrieved]:
        """Fetch `letters`, many small ones in one command; nothing is marked as read by it.

        An answer that is far longer than the sizes of its letters ends the session. From the next one on they are fetched piece
        by piece, whatever is told of them: the connection, with megabytes on their way, is not worth keeping.
        """
        with self._closing_on_error():
            try:
                yield from retrieve(self._client, letters, trusting=not MEMORY.distrusts(self._key))
            except RemoteProtocolError:
                if self._client.overflowed:
                    MEMORY.distrust(self._key)
                raise

    def delete(self, letters: Sequence[Listed]) -> frozenset[int]:
        """Flag and expunge `letters`, and no letter that somebody else has flagged. It takes effect at once."""
        with self._closing_on_error():
            chunks = [letters[start : start + UIDS_AT_ONCE] for start in range(0, len(letters), UIDS_AT_ONCE)]
            return frozenset().union(*(self._delete(chunk) for chunk in chunks))

    def _delete(self, letters: Sequence[Listed]) -> frozenset[int]:
        uids = frozenset(letter.number for letter in letters)
        if not self._flag(uids, "(\\Deleted)"):
            return frozenset()
        self._flagged |= uids
        return uids if self._expunge(uids) else frozenset()

    def _expunge(self, uids: frozenset[int]) -> bool:
        """Whether the server has done it."""
        client = self._client
        if self._uidplus:  # RFC 4315
            return client.run(lambda: client.uid("EXPUNGE", uid_set(uids)), lines=LINES_OF_CHANGES_MAX).ok
        answer = client.run(lambda: client.uid("SEARCH", "DELETED"))
        if not answer.ok:
            return False
        doomed = {int(uid) for line in answer.data if line for uid in line.split() if uid.isdigit()}
        if uids <= doomed <= self._flagged:
            return client.run(client.expunge, lines=LINES_OF_CHANGES_MAX).ok
        # EXPUNGE would take others' letters with ours, or the answer cannot be believed: it lacks some of ours. They stay
        # flagged, and whoever expunges next takes them.
        return False

    def mark_seen(self, letters: Sequence[Listed]) -> None:
        """\\Seen. A server that refuses (a folder that may only be read) changes nothing: the ledger knows."""
        with self._closing_on_error():
            for start in range(0, len(letters), UIDS_AT_ONCE):
                self._flag(frozenset(letter.number for letter in letters[start : start + UIDS_AT_ONCE]), "(\\Seen)")

    def _flag(self, uids: frozenset[int], flags: str) -> bool:
        client = self._client
        command = "STORE", uid_set(uids), "+FLAGS.SILENT", flags
        return client.run(lambda: client.uid(*command), lines=LINES_OF_CHANGES_MAX).ok

    def reset(self) -> None:
        """Nothing: deletions took effect at once."""

    def quit(self) -> bool:
        """LOGOUT. True if all went well up to here: what was deleted was confirmed when it was."""
        if self._client.closed:
            return False
        with suppress(FetchError):
            self._client.run(self._client.logout)
        self.close()
        return True

    def close(self) -> None:
        """Drop the connection."""
        self._client.shutdown()

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            yield
        except FetchError:
            self.close()
            raise
