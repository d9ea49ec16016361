"""An IMAP server for tests: the part of RFC 3501 and RFC 4315 that a collector needs, correct unless a fault says otherwise."""

import re
import ssl
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from threading import Lock
from types import TracebackType
from typing import ClassVar, Self

from tests.servers.faults import Action, Fault, Faults, Flood, Say, obeys, perform
from tests.servers.loopback import Hangup, LoopbackServer, Peer


class Step(StrEnum):
    """Where a fault can happen: the greeting, or the answer to a command."""

    GREETING = "greeting"
    CAPABILITY = "CAPABILITY"
    STARTTLS = "STARTTLS"
    LOGIN = "LOGIN"
    AUTHENTICATE = "AUTHENTICATE"
    LIST = "LIST"
    SELECT = "SELECT"
    LISTING = "FETCH"
    FETCH = "UID FETCH"
    STORE = "UID STORE"
    SEARCH = "UID SEARCH"
    UID_EXPUNGE = "UID EXPUNGE"
    EXPUNGE = "EXPUNGE"
    LOGOUT = "LOGOUT"


@dataclass(frozen=True, slots=True)
class ImapLetter:
    """A letter in a folder. `flags` are spelt as IMAP does, in lower case."""

    uid: int
    data: bytes
    flags: frozenset[str] = frozenset()
    received: datetime = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


class Folder:
    """A folder's letters, its UIDs never given twice while `validity` stays."""

    def __init__(self, letters: Iterable[bytes] = (), validity: int = 1_700_000_000) -> None:
        self._lock = Lock()
        self._letters: dict[int, ImapLetter] = {}
        self._next = 1
        self.validity = validity
        for data in letters:
            self.add(data)

    def add(self, data: bytes, *flags: str) -> int:
        """A letter arrives; its UID."""
        with self._lock:
            uid, self._next = self._next, self._next + 1
            self._letters[uid] = ImapLetter(uid, data, frozenset(flags))
            return uid

    @property
    def letters(self) -> tuple[ImapLetter, ...]:
        """What is there now."""
        with self._lock:
            return tuple(self._letters.values())

    @property
    def uids(self) -> list[int]:
        """The UIDs of what is there now."""
        return [letter.uid for letter in self.letters]

    def flag(self, uid: int, flag: str) -> None:
        """Set a flag."""
        with self._lock:
            if uid in self._letters:
                self._letters[uid] = replace(self._letters[uid], flags=self._letters[uid].flags | {flag})

    def renumber(self, first: int = 1) -> None:
        """The server loses its index: another UIDVALIDITY, and new UIDs from `first` on. Flags stay."""
        with self._lock:
            self.validity += 1
            letters = enumerate(self._letters.values(), start=first)
            self._letters = {uid: replace(one, uid=uid) for uid, one in letters}
            self._next = first + len(self._letters)

    def expunge(self, uids: Iterable[int] | None = None) -> list[int]:
        """Remove what is flagged \\deleted, of `uids` or of all; the UIDs that went."""
        with self._lock:
            chosen = self._letters if uids is None else set(uids)
            gone = [uid for uid, one in self._letters.items() if uid in chosen and "\\deleted" in one.flags]
            for uid in gone:
                del self._letters[uid]
            return gone


USER, PASSWORD = "petrov", "petrovpasswd"
CAPABILITIES = ("IMAP4rev1", "UIDPLUS", "AUTH=PLAIN")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What kind of server it is. In the octets of a fault, {tag} is the command's. `slice`: answers in pieces of that size.

    `tells_capabilities`: with the login, unasked. `quotes`: short letters come as quoted strings instead of literals.
    `most`: octets of a letter in one piece, however many are asked for; 0: as many as that. `oversizes`: the octets by which
    letters are said to be larger than they are.

    Single letters, by UID: `short` end after so many octets, whatever was told of their size; of those in `nothing` comes
    `BODY[] )`; in the middle of those in `breaks` the server hangs up; whoever asks for one of `refuses` hears these words (NO,
    BAD or BYE), and gets the letters before it; a STORE that names one of `keeps` is refused, of `breaks_storing` hung up on.

    `gives`: so many letters, in all sessions together (ImapServer.given), then every FETCH by UID is answered NO `limit_words`;
    `says_bye`: with a BYE instead. `message_limit`: no command is done for more letters (RFC 9738), but for the newest so many;
    it is answered OK, or refused where `message_limit_refuses`. `lists`: the server hangs up on a FETCH by number of more
    letters. `expunges`: else it says that it did. `select_takes`, `listing_takes`: seconds until SELECT, or a FETCH by number,
    is answered.
    """

    capabilities: tuple[str, ...] = CAPABILITIES
    tells_capabilities: bool = True
    read_only: bool = False
    quotes: bool = False
    slice: int = 0
    most: int = 0
    oversizes: int = 0
    short: Mapping[int, int] = field(default_factory=dict)
    nothing: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()
    refuses: Mapping[int, str] = field(default_factory=dict)
    keeps: frozenset[int] = frozenset()
    breaks_storing: frozenset[int] = frozenset()
    gives: int | None = None
    limit_words: str = "[OVERQUOTA] Account exceeded its limits"
    says_bye: bool = False
    message_limit: int | None = None
    message_limit_refuses: bool = False
    lists: int | None = None
    expunges: bool = True
    select_takes: float = 0.0
    listing_takes: float = 0.0
    faults: tuple[Fault, ...] = ()

    def without(self, *capabilities: str) -> "Behaviour":
        """The same server, not announcing `capabilities`."""
        return replace(self, capabilities=tuple(one for one in self.capabilities if one not in capabilities))


class ImapServer:
    """Serves the folders of one user while its context lasts. `said` keeps every command line of every session."""

    def __init__(
        self,
        folders: Mapping[str, Folder] | Folder,
        behaviour: Behaviour | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        user: str = USER,
        password: str = PASSWORD,
    ) -> None:
        self.folders = {"INBOX": folders} if isinstance(folders, Folder) else dict(folders)
        self.behaviour = behaviour or Behaviour()
        self.tls = tls
        self.implicit = implicit
        self.user, self.password = user, password
        self.said: list[str] = []
        self.given = 0
        """Letters that were sent, or begun, in all sessions."""
        self._server = LoopbackServer(self._serve)
        self.host, self.port = self._server.address, self._server.port

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._server.connections

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, traceback)
        assert not self._server.failures, self._server.failures

    def _serve(self, peer: Peer) -> None:
        peer.slice = self.behaviour.slice
        if self.implicit:
            assert self.tls is not None
            peer.start_tls(self.tls)
        _Session(self, peer).run()


class _Session:
    """One connection. Every `_verb` method does what the command says and gives the untagged part of the answer."""

    def __init__(self, server: ImapServer, peer: Peer) -> None:
        self._server = server
        self._behaviour = server.behaviour
        self._peer = peer
        self._faults = Faults(server.behaviour.faults)
        self._argument = ""
        self._status = "OK done"
        self._folder: Folder | None = None
        self._over = False

    def run(self) -> None:
        perform(self._faults.due(Step.GREETING), self._peer, lambda: b"* OK IMAP ready\r\n")
        while not self._over:
            line = self._peer.read_line().decode("utf-8", "replace")
            self._server.said.append(line.partition(" ")[2])
            self._command(*_split(line))

    def _command(self, tag: str, verb: str, argument: str) -> None:
        self._argument = argument
        step = _step(verb)
        if step is None:
            self._peer.send(f"{tag} BAD what?\r\n".encode())
            return
        verb_does = self._ANSWERS[step]

        def answer() -> bytes:
            self._status = "OK done"
            untagged = verb_does(self)
            return untagged + f"{tag} {self._status}\r\n".encode()

        action = _tagged(self._faults.due(step), tag)
        perform(action, self._peer, answer)
        if step is Step.STARTTLS and obeys(action) and self._server.tls is not None:
            self._peer.start_tls(self._server.tls)

    def _capability(self) -> bytes:
        return f"* CAPABILITY {self._capabilities()}\r\n".encode()

    def _capabilities(self) -> str:
        starttls = ["STARTTLS"] if self._server.tls is not None and not self._peer.secure else []
        return " ".join([*self._behaviour.capabilities, *starttls])

    def _starttls(self) -> bytes:
        self._status = "OK begin TLS" if self._server.tls is not None else "BAD no TLS here"
        return b""

    def _login(self) -> bytes:
        user, password = (_unquoted(word) for word in re.findall(r'"(?:[^"\\]|\\.)*"', self._argument))
        return self._log_in(user, password)

    def _authenticate(self) -> bytes:
        self._peer.send(b"+ \r\n")
        _, user, password = b64decode(self._peer.read_line()).decode().split("\0")
        return self._log_in(user, password)

    def _log_in(self, user: str, password: str) -> bytes:
        if (user, password) != (self._server.user, self._server.password):
            self._status = "NO [AUTHENTICATIONFAILED] wrong user or password"
        elif self._behaviour.tells_capabilities:
            self._status = f"OK [CAPABILITY {self._capabilities()}] logged in"
        return b""

    def _list(self) -> bytes:
        lines = [f'* LIST (\\HasNoChildren) "/" "{name}"\r\n' for name in self._server.folders]
        return "".join(['* LIST (\\Noselect) "/" "[Gmail]"\r\n', *lines]).encode()

    def _select(self) -> bytes:
        self._peer.stopping.wait(self._behaviour.select_takes)
        self._folder = self._server.folders.get(_unquoted(self._argument))
        if self._folder is None:
            self._status = "NO [NONEXISTENT] no such folder"
            return b""
        self._status = "OK [READ-ONLY] done" if self._behaviour.read_only else "OK [READ-WRITE] done"
        exists, validity = len(self._folder.letters), self._folder.validity
        return f"* FLAGS (\\Seen)\r\n* {exists} EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY {validity}] .\r\n".encode()

    def _listing(self) -> bytes:
        """By message numbers."""
        self._peer.stopping.wait(self._behaviour.listing_takes)
        first, _, last = self._argument.split(" ")[0].partition(":")
        chosen = list(enumerate(self._selected().letters, start=1))[int(first) - 1 : int(last)]
        if self._behaviour.lists is not None and len(chosen) > self._behaviour.lists:
            raise Hangup
        form = '* {} FETCH (UID {} FLAGS ({}) INTERNALDATE {:"%d-%b-%Y %H:%M:%S +0000"} RFC822.SIZE {})\r\n'
        return "".join(
            form.format(
                number, one.uid, " ".join(sorted(one.flags)), one.received, len(one.data) + self._behaviour.oversizes
            )
            for number, one in self._within_limit(chosen)
        ).encode()

    def _within_limit(self, chosen: list[tuple[int, ImapLetter]]) -> list[tuple[int, ImapLetter]]:
        """RFC 9738: the newest of them, if they are too many."""
        most = self._behaviour.message_limit
        if most is None or len(chosen) <= most:
            return chosen
        if self._behaviour.message_limit_refuses:
            self._status = f"NO [MESSAGELIMIT {most}] too many"
            return []
        self._status = f"OK [MESSAGELIMIT {most} {chosen[-most][1].uid}] not all"
        return chosen[-most:]

    def _fetch(self) -> bytes:
        asked = re.search(r"BODY\.PEEK\[(HEADER)?\](?:<(\d+)\.(\d+)>)?", self._argument)
        answers: list[bytes] = []
        for number, one in self._within_limit(self._chosen()):
            words = self._refusal(one)
            if words.startswith("BYE"):
                self._peer.send(b"".join(answers) + f"* {words}\r\n".encode())
                raise Hangup
            if words:
                self._status = words
                break
            if asked is None:
                answers.append(f"* {number} FETCH (UID {one.uid})\r\n".encode())
                continue
            answer = self._text(number, one, asked)
            if one.uid in self._behaviour.breaks:
                self._peer.send(b"".join(answers) + answer[: len(answer) // 2])
                raise Hangup
            answers.append(answer)
        return b"".join(answers)

    def _refusal(self, letter: ImapLetter) -> str:
        behaviour = self._behaviour
        if behaviour.gives is None or self._server.given < behaviour.gives:
            return behaviour.refuses.get(letter.uid, "")
        return f"{'BYE' if behaviour.says_bye else 'NO'} {behaviour.limit_words}"

    def _text(self, number: int, letter: ImapLetter, asked: re.Match[str]) -> bytes:
        """A letter, its header, or a piece of them."""
        part, first, most = asked.groups()
        start, size = int(first or 0), int(most) if most else None
        data = letter.data[: self._behaviour.short.get(letter.uid)]
        if part:
            data = data[: data.index(b"\r\n\r\n") + 4] if b"\r\n\r\n" in data else data
        elif start == 0:
            self._server.given += 1
        if size is not None:
            data = data[start : start + min(size, self._behaviour.most or size)]
        name = f"BODY[{part or ''}]" + (f"<{start}>" if size is not None else "")
        head = f"* {number} FETCH (UID {letter.uid} {name} "
        if letter.uid in self._behaviour.nothing:
            return f"{head})\r\n".encode()
        if self._behaviour.quotes and not set(data) & set(b'\r\n"\\\0'):
            return f'{head}"'.encode() + data + b'")\r\n'
        return f"{head}{{{len(data)}}}\r\n".encode() + data + b")\r\n"

    def _store(self) -> bytes:
        if self._behaviour.read_only:
            self._status = "NO [READ-ONLY] not here"
            return b""
        flag = re.search(r"\((\S+)\)", self._argument)
        assert flag is not None
        chosen = self._within_limit(self._chosen())
        uids = {one.uid for _, one in chosen}
        if uids & self._behaviour.breaks_storing:
            raise Hangup
        if uids & self._behaviour.keeps:
            self._status = "NO not this one"
            return b""
        for uid in uids:
            self._selected().flag(uid, flag[1].lower())
        return b""

    def _search(self) -> bytes:
        named = re.match(r"UID (\d+):(\d+) ", self._argument)
        first, last = (int(named[1]), int(named[2])) if named else (1, 2**32)
        looked_at = self._within_limit(
            [(0, one) for one in self._selected().letters if first <= one.uid <= last],
        )
        found = [str(one.uid) for _, one in looked_at if "\\deleted" in one.flags]
        return f"* SEARCH {' '.join(found)}".rstrip().encode() + b"\r\n"

    def _uid_expunge(self) -> bytes:
        if "UIDPLUS" not in self._behaviour.capabilities:
            self._status = "BAD what?"
            return b""
        return self._expunged([one.uid for _, one in self._within_limit(self._chosen())])

    def _expunge(self) -> bytes:
        return self._expunged(None)

    def _expunged(self, uids: list[int] | None) -> bytes:
        if not self._behaviour.expunges:
            return b""
        before = self._selected().uids
        answers = []
        for uid in self._selected().expunge(uids):
            answers.append(f"* {before.index(uid) + 1} EXPUNGE\r\n")
            before.remove(uid)
        return "".join(answers).encode()

    def _logout(self) -> bytes:
        self._over = True
        return b"* BYE see you\r\n"

    def _selected(self) -> Folder:
        assert self._folder is not None
        return self._folder

    def _chosen(self) -> list[tuple[int, ImapLetter]]:
        letters = list(enumerate(self._selected().letters, start=1))
        last = max([one.uid for _, one in letters], default=0)
        wanted: set[int] = set()
        for part in self._argument.split(" ")[0].split(","):
            first, _, end = part.partition(":")
            wanted |= set(range(int(first), (last if end == "*" else int(end or first)) + 1))
        return [(number, one) for number, one in letters if one.uid in wanted]

    _ANSWERS: ClassVar[dict[Step, Callable[["_Session"], bytes]]] = {
        Step.CAPABILITY: _capability,
        Step.STARTTLS: _starttls,
        Step.LOGIN: _login,
        Step.AUTHENTICATE: _authenticate,
        Step.LIST: _list,
        Step.SELECT: _select,
        Step.LISTING: _listing,
        Step.FETCH: _fetch,
        Step.STORE: _store,
        Step.SEARCH: _search,
        Step.UID_EXPUNGE: _uid_expunge,
        Step.EXPUNGE: _expunge,
        Step.LOGOUT: _logout,
    }


def _split(line: str) -> tuple[str, str, str]:
    """Tag, verb (UID and what follows it as one) and argument."""
    tag, _, rest = line.partition(" ")
    verb, _, argument = rest.partition(" ")
    if verb.upper() == "UID":
        second, _, argument = argument.partition(" ")
        verb = f"{verb} {second}"
    return tag, verb.upper(), argument


def _step(verb: str) -> Step | None:
    return Step(verb) if verb in Step.__members__.values() else None


def _tagged(action: Action | None, tag: str) -> Action | None:
    match action:
        case Say(octets, hang_up):
            return Say(octets.replace(b"{tag}", tag.encode()), hang_up)
        case Flood(first=first):
            return replace(action, first=first.replace(b"{tag}", tag.encode()))
        case _:
            return action


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1])
