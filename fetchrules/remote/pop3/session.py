"""An open POP3 mailbox."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

from fetchrules.errors import FetchError, LocalProtocolError, ServerRefused
from fetchrules.remote.account import Account
from fetchrules.remote.auth.attempts import over_several_connections
from fetchrules.remote.mailbox import (
    Begun,
    Chunk,
    Complete,
    Connection,
    Head,
    Listed,
    Listing,
    Refused,
    Retrieved,
    digest,
)
from fetchrules.remote.memory import SERVERS, ServerMemory
from fetchrules.remote.net import Alive
from fetchrules.remote.pop3.conversation import Pop3Conversation, is_limited
from fetchrules.remote.pop3.grammar import Capabilities, Status
from fetchrules.remote.pop3.login import log_in
from fetchrules.remote.pop3.protocol import Command, LetterBegan, LetterData, LetterEnded, Reply, Verb
from fetchrules.remote.pop3.reach import reach_pop3
from fetchrules.remote.tls import Demand, protected
from fetchrules.remote.transcript import Trace

OCTETS_AHEAD = 16 * 1024 * 1024
"""Octets, by the sizes of LIST, that are asked for ahead; the last letter may overshoot."""


def open_pop3(
    account: Account,
    *,
    cafile: str = "",
    trace: Trace | None = None,
    alive: Alive | None = None,
    memory: ServerMemory = SERVERS,
) -> "Pop3Mailbox":
    """Connect, log in, list. Raises FetchError; then nothing is left open."""

    def attempt(demand: Demand) -> Pop3Mailbox:
        return over_several_connections(lambda: opened(demand))

    def opened(demand: Demand) -> Pop3Mailbox:
        reached = reach_pop3(account, demand, cafile, trace, memory, alive)
        try:
            way, listing = log_in(reached, account)
            return Pop3Mailbox(reached.conversation, replace(reached, way=way).connection(), listing)
        except BaseException:
            reached.conversation.close()
            raise

    return protected(account, attempt)


def probe_pop3(account: Account, *, cafile: str = "", trace: Trace | None = None) -> Connection:
    """Connect, and QUIT without a login. Raises FetchError."""

    def attempt(demand: Demand) -> Connection:
        reached = reach_pop3(account, demand, cafile, trace, SERVERS)
        Pop3Mailbox(reached.conversation, reached.connection(), Listing()).quit()
        return reached.connection()

    return protected(account, attempt)


class Pop3Mailbox:
    """An open POP3 mailbox (a RemoteMailbox). The methods' contracts are those of RemoteMailbox."""

    def __init__(self, conversation: Pop3Conversation, connection: Connection, listing: Listing) -> None:
        self.connection = connection
        self.exists = len(listing.letters) + listing.unlisted
        self._conversation = conversation
        self._listing = listing
        self._tops = _TopTrust(Capabilities(connection.capabilities))

    @cached_property
    def state(self) -> str:
        """A digest of the listing, if that is complete."""
        listed = self._listing
        if not listed.complete or not listed.has_uids or listed.unlisted:
            return ""
        return digest(f"{letter.uid} {letter.size}" for letter in listed.letters)

    @property
    def gives_heads(self) -> bool:
        return self._tops.asks

    @property
    def together(self) -> int:
        return 1

    def listing(self, at_once: int | None = None) -> Listing:  # noqa: ARG002 (POP3 lists all or nothing)
        """The letters as they were at the login: RFC 1939 section 3 gives the session a snapshot."""
        return self._listing

    def heads(self, letters: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
        """TOP n 0 for `letters`, as far as the server is worth asking. Left before its end, it closes the session."""
        with self._under_way():
            unasked = iter(letters)
            while not self._tops.proven and self._tops.asks and (letter := next(unasked, None)):
                yield from self._heads(iter([letter]))
            yield from self._heads(unasked)
            for letter in unasked:
                yield letter, None

    def _heads(self, unasked: Iterator[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
        head = Head()
        for event in self._transfer(self._worth_asking(unasked), Verb.TOP):
            match event:
                case Begun():
                    head = Head()
                case Chunk(_, data):
                    head.feed(data)
                case Complete(letter):
                    self._tops.proven = True
                    yield letter, head.octets()
                case _:
                    self._tops.refused(limited=event.limited)
                    yield event.letter, None

    def _worth_asking(self, unasked: Iterator[Listed]) -> Iterator[Listed]:
        while self._tops.asks and (letter := next(unasked, None)):
            yield letter

    def retrieve(self, letters: Iterable[Listed]) -> Iterator[Retrieved]:
        """Fetch `letters`. The iterator has to be exhausted: left before its end, it closes the session."""
        with self._under_way():
            yield from self._transfer(iter(letters), Verb.RETR)

    def _transfer(self, letters: Iterator[Listed], verb: Verb) -> Iterator[Begun | Chunk | Complete | Refused]:
        asked = deque[Listed]()
        while self._ask_ahead(letters, verb, asked):
            event = self._conversation.hear()
            match event:
                case LetterBegan():
                    yield Begun(asked[0])
                case LetterData(data):
                    yield Chunk(asked[0], data)
                case LetterEnded():
                    yield Complete(asked.popleft())
                case _:
                    assert isinstance(event, Reply)
                    yield Refused(asked.popleft(), self._conversation.masked(event.line.text), is_limited(event.line))

    def _ask_ahead(self, letters: Iterator[Listed], verb: Verb, asked: deque[Listed]) -> bool:
        """Ask for more once half of the window is free, so that the line never idles; whether any are due."""
        window = self._conversation.window
        if len(asked) <= window // 2:
            commands = []
            octets = sum(letter.size for letter in asked)
            while len(asked) < window and octets < OCTETS_AHEAD and (letter := next(letters, None)):
                asked.append(letter)
                octets += letter.size
                commands.append(Command(verb, f"{letter.number} 0" if verb is Verb.TOP else str(letter.number)))
            if commands:
                self._conversation.say(commands)
        return bool(asked)

    def delete(self, letters: Sequence[Listed]) -> Iterator[tuple[Listed, bool]]:
        """DELE each of `letters`; done for good by `quit`, and by nothing else. Left before its end, it closes the session."""
        with self._under_way():
            replies = self._conversation.replies([Command(Verb.DELE, str(letter.number)) for letter in letters])
            for letter, reply in zip(letters, replies, strict=True):
                yield letter, reply.line.status is Status.OK

    def mark_seen(self, letters: Sequence[Listed]) -> None:
        """Nothing: POP3 has no such mark."""

    def reset(self) -> None:
        self._require_quiet()
        reply = self._conversation.ask(Command(Verb.RSET))
        if reply.line.status is not Status.OK:
            self.close()
            raise self._conversation.refused(reply.line, ServerRefused)

    def quit(self) -> bool:
        """QUIT, which commits the deletions. True: the server said that it did."""
        if self._conversation.closed or self._conversation.protocol.unanswered:
            self.close()
            return False
        try:
            return self._conversation.ask(Command(Verb.QUIT)).line.status is Status.OK
        except FetchError:
            return False
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection: the server takes back every deletion (RFC 1939 section 6)."""
        self._conversation.close()

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Close the session if an answer is not read to its end, for its rest would be taken for the next answer."""
        self._require_quiet()
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _require_quiet(self) -> None:
        if self._conversation.protocol.unanswered:
            raise LocalProtocolError("a retrieval is under way")


class _TopTrust:
    """Whether to ask a server for headers.

    Not if its CAPA lacks TOP. Until a header has come (`proven`), they are asked for one at a time, and no more after the first
    refusal; where TOP is announced, after the second, since the first may be that letter's fault.
    """

    def __init__(self, announced: Capabilities) -> None:
        self.proven = False
        self._refusals_left = 2 if announced.has("TOP") else 0 if announced.lines else 1

    @property
    def asks(self) -> bool:
        return self._refusals_left > 0

    def refused(self, *, limited: bool) -> None:
        """`limited`: the server refuses all headers for now."""
        if limited:
            self._refusals_left = 0
        elif not self.proven:
            self._refusals_left -= 1
