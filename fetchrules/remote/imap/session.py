"""An open IMAP folder. Letters are named by their UIDs, because message numbers shift."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from fetchrules.errors import ConnectionLost, FolderMissing, LocalProtocolError
from fetchrules.remote.account import Account
from fetchrules.remote.auth.attempts import over_several_connections
from fetchrules.remote.imap.deletion import Deletion
from fetchrules.remote.imap.folders import Selected, ask_for, introduction, list_folders, selected
from fetchrules.remote.imap.listing import PORTION, list_letters
from fetchrules.remote.imap.login import ImapReached, log_in, reach_imap
from fetchrules.remote.imap.protocol import Command, Verb
from fetchrules.remote.imap.retrieval import heads, retrieve
from fetchrules.remote.imap.shared import SharedConnection, log_out
from fetchrules.remote.mailbox import Connection, Listed, Listing, Retrieved, digest
from fetchrules.remote.memory import SERVERS, FolderKey, ServerMemory
from fetchrules.remote.net import Alive
from fetchrules.remote.tls import Demand, protected
from fetchrules.remote.transcript import Trace
from fetchrules.rule import INBOX


def open_imap(
    account: Account,
    *,
    cafile: str = "",
    trace: Trace | None = None,
    alive: Alive | None = None,
    memory: ServerMemory = SERVERS,
    shared: SharedConnection | None = None,
    known: str = "",
) -> "ImapMailbox":
    """Connect, log in, select the account's folder. Raises FetchError; then nothing is left open.

    A connection that is `shared` serves again, for the same account. Where the folder was small when we last saw it, its listing
    is asked for together with SELECT, unless SELECT alone may say that the folder is still as `known` (`ImapMailbox.state`).
    """
    folder = account.folder or INBOX
    key = FolderKey(account.host, account.port, account.user, folder)

    def opened(reached: ImapReached, before: list[Command]) -> ImapMailbox:
        if shared is not None:
            shared.worked = True
        try:
            small = 0 < memory.folders.take(key) <= PORTION
            reached, answers = ask_for(reached, folder, before=before, listing=small and " " not in known)
            there = selected(reached, folder, answers)
            return ImapMailbox(reached, there, partial(memory.folders.remember, key), shared)
        except BaseException as error:
            _leave(reached, shared) if isinstance(error, FolderMissing) else reached.conversation.close()
            raise

    def attempt(demand: Demand) -> ImapMailbox:
        idle = shared.take() if shared else None
        if idle is not None:
            with suppress(ConnectionLost):  # it may have been lost meanwhile: servers hang up on clients that are idle
                return opened(idle, [])
        return opened(*_logged_in(account, demand, cafile, trace, memory, alive))

    return protected(account, attempt)


def _leave(reached: ImapReached, shared: SharedConnection | None) -> None:
    if shared is None:
        log_out(reached)
    else:
        shared.hand_back(reached)


def _logged_in(
    account: Account, demand: Demand, cafile: str, trace: Trace | None, memory: ServerMemory, alive: Alive | None = None
) -> tuple[ImapReached, list[Command]]:
    """A session in which the account is logged in, and what is to be said there first."""

    def attempt() -> tuple[ImapReached, list[Command]]:
        reached = reach_imap(account, demand, cafile, trace, memory, alive)
        try:
            way, told = log_in(reached, account)
            reached = replace(reached, capabilities=told or reached.capabilities, way=way)
            return reached, [*introduction(reached), *([] if told else [Command(Verb.CAPABILITY)])]
        except BaseException:
            reached.conversation.close()
            raise

    return over_several_connections(attempt)


def list_imap_folders(account: Account, *, cafile: str = "", trace: Trace | None = None) -> dict[str, str]:
    """The selectable folders, by readable names, with their special uses (RFC 6154). Raises FetchError."""

    def attempt(demand: Demand) -> dict[str, str]:
        reached, before = _logged_in(account, demand, cafile, trace, SERVERS)
        try:
            return {folder.name: folder.use for folder in list_folders(reached.conversation, before)}
        finally:
            log_out(reached)

    return protected(account, attempt)


def probe_imap(account: Account, *, cafile: str = "", trace: Trace | None = None) -> Connection:
    """Connect without a login. Raises FetchError."""

    def attempt(demand: Demand) -> Connection:
        reached = reach_imap(account, demand, cafile, trace, SERVERS)
        reached.conversation.close()
        return reached.connection()

    return protected(account, attempt)


class ImapMailbox:
    """An open IMAP folder (a RemoteMailbox). The methods' contracts are those of RemoteMailbox."""

    def __init__(
        self,
        reached: ImapReached,
        there: Selected,
        remember: Callable[[int], None],
        shared: SharedConnection | None,
    ) -> None:
        """`remember` is called with the number of letters once they could be listed. `shared` gets the connection in the end."""
        conversation = reached.conversation
        self.connection = reached.connection()
        self.exists = there.exists
        self._reached, self._shared = reached, shared
        self._conversation = conversation
        self._selected = there
        self._remember = remember
        self._left = False
        self._state = there.state
        self._listed: Listing | None = None  # of which `state` is to be made
        self._deletion = Deletion(conversation, uidplus="UIDPLUS" in reached.capabilities)

    @property
    def state(self) -> str:
        """What SELECT said, or a digest of the last listing where it did not say enough."""
        if self._listed is not None:
            self._state, self._listed = _digest(self._listed), None
        return self._state

    @property
    def gives_heads(self) -> bool:
        return True

    @property
    def together(self) -> int:
        return self._deletion.together

    def listing(self, at_once: int | None = None) -> Listing:
        """The folder's letters. Letters that anybody has flagged \\Deleted count as listed, but are not collected."""
        with self._closing_on_error():
            listed = None if at_once else self._selected.listed
            found, whole = list_letters(self._conversation, self.exists, at_once, listed)
        if at_once is None:
            self._remember(self.exists)
        listing = Listing(
            letters=tuple(letter for _, (letter, flagged) in sorted(found.items()) if not flagged),
            epoch=self._selected.epoch,
            complete=whole and len(found) == self.exists,
            has_uids=self._selected.epoch is not None,
            flagged=tuple(letter for _, (letter, flagged) in sorted(found.items()) if flagged),
            unlisted=max(self.exists - len(found), 0),
        )
        if not self._selected.state:
            self._state, self._listed = "", listing
        return listing

    def heads(self, letters: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
        with self._closing_on_error():
            yield from heads(self._conversation, letters)

    def retrieve(self, letters: Iterable[Listed]) -> Iterator[Retrieved]:
        """Fetch `letters` without marking them as read."""
        with self._closing_on_error():
            yield from retrieve(self._conversation, letters)

    def delete(self, letters: Sequence[Listed]) -> Iterator[tuple[Listed, bool]]:
        """Flag and expunge `letters`, and no letter that somebody else has flagged. It takes effect at once."""
        with self._closing_on_error():
            yield from self._deletion.delete(letters)

    def mark_seen(self, letters: Sequence[Listed]) -> None:
        """Set \\Seen. A refusal (a read-only folder) does no harm, because the ledger knows the letters."""
        with self._closing_on_error():
            for _ in self._deletion.mark(letters, "(\\Seen)"):
                pass

    def reset(self) -> None:
        """Nothing: deletions took effect at once."""

    def quit(self) -> bool:
        """LOGOUT, or leave the connection to the next folder. True unless the session has failed: deletions took effect at once."""
        if self._left:
            return False
        if self._conversation.closed or self._conversation.protocol.unanswered:
            self.close()
            return False
        self._left = True
        _leave(self._reached, self._shared)
        return True

    def close(self) -> None:
        if not self._left:
            self._left = True
            self._conversation.close()

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        """Close the session also if an answer is not read to its end, for its rest would be taken for the next answer."""
        if self._conversation.protocol.unanswered:
            raise LocalProtocolError("a retrieval is under way")
        try:
            yield
        except BaseException:
            self.close()
            raise


def _digest(listing: Listing) -> str:
    """Of all that it tells of its letters; empty where it is not complete, or names do not last."""
    if not (listing.complete and listing.has_uids):
        return ""
    return digest([str(listing.epoch), *map(_line, listing.letters), "flagged", *map(_line, listing.flagged)])


def _line(letter: Listed) -> str:
    received = letter.received.timestamp() if letter.received else None
    return f"{letter.number} {letter.size} {letter.seen} {received}"
