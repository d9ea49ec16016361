"""An IMAP server for tests: the demonstration's, but for what a behaviour and its faults say, with folders in memory."""

import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain

from fetchrules.demo.imap import ImapSession
from fetchrules.demo.imap_folder import Item, SelectedFolder, Token, strings
from fetchrules.demo.maildrop import Folder as AnyFolder
from fetchrules.demo.maildrop import Held
from fetchrules.demo.server import Bad, Refusal
from tests.servers.faults import Action, Fault, Faults, Flood, Say, obeys, perform
from tests.servers.loopback import Hangup, Peer, ScriptedServer
from tests.servers.maildrop import Folder as Folder


class Step(StrEnum):
    """Where a fault can happen: the greeting, or the answer to a command."""

    GREETING = "greeting"
    CAPABILITY = "CAPABILITY"
    STARTTLS = "STARTTLS"
    LOGIN = "LOGIN"
    AUTHENTICATE = "AUTHENTICATE"
    NAMESPACE = "NAMESPACE"
    LIST = "LIST"
    SELECT = "SELECT"
    LISTING = "FETCH"
    FETCH = "UID FETCH"
    STORE = "UID STORE"
    SEARCH = "UID SEARCH"
    UID_EXPUNGE = "UID EXPUNGE"
    EXPUNGE = "EXPUNGE"
    LOGOUT = "LOGOUT"


USER, PASSWORD = "petrov", "petrovpasswd"
CAPABILITIES = ("IMAP4rev1", "UIDPLUS", "AUTH=PLAIN")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What kind of server it is. In the octets of a fault, {tag} is the command's. `slice`: answers in pieces of that size.

    `tells_capabilities`: with the login, unasked. `hides_capabilities`: behind the login it refuses to tell them.
    `most`: octets of a letter in one piece, however many are asked for; 0: as many as that. `oversizes`: the octets by which
    letters are said to be larger than they are.

    Single letters, by UID: `short` end after so many octets, whatever was told of their size; of those in `nothing` comes
    `BODY[] )`; in the middle of those in `breaks` the server hangs up; whoever asks for one of `refuses` hears these words (NO,
    BAD or BYE), and gets the letters before it; a STORE that names one of `keeps` is refused, of `breaks_storing` hung up on.

    `gives`: so many letters, in all sessions together (ImapServer.given), then every FETCH by UID is answered NO `limit_words`;
    `says_bye`: with a BYE instead. `message_limit`: no command is done for more letters (RFC 9738), but for the newest so many;
    it is answered OK, or refused where `message_limit_refuses`. `lists`: the server hangs up on a FETCH by number of more
    letters. `wants_id`: it lets nobody select a folder before the client has said ID (NetEase). `namespace`: the prefix of the
    personal namespace. `refuses_condstore`: a server that announces CONDSTORE knows no such word of SELECT, and does not count
    (mail.gov.in). `expunges`: else it says that it did. `select_takes`, `listing_takes`: seconds until SELECT, or a FETCH by
    number, is answered.
    """

    capabilities: tuple[str, ...] = CAPABILITIES
    tells_capabilities: bool = True
    hides_capabilities: bool = False
    read_only: bool = False
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
    wants_id: bool = False
    namespace: str = ""
    refuses_condstore: bool = False
    expunges: bool = True
    select_takes: float = 0.0
    listing_takes: float = 0.0
    faults: tuple[Fault, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it says in its answer to SELECT how often the folder has changed."""
        return "CONDSTORE" in self.capabilities and not self.refuses_condstore

    def without(self, *capabilities: str) -> "Behaviour":
        """The same server, not announcing `capabilities`."""
        return replace(self, capabilities=tuple(one for one in self.capabilities if one not in capabilities))


class ImapServer(ScriptedServer):
    """Serves the folders of one user while its context lasts."""

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
        self.user, self.password = user, password
        self.given = 0
        """Letters that were sent, or begun, in all sessions."""
        super().__init__(tls=tls, implicit=implicit)

    def session(self, peer: Peer) -> None:
        peer.slice = self.behaviour.slice
        _Session(self, peer).run()

    def log_in(self, user: str, password: str) -> dict[str, Folder] | None:
        """None: that is another user, or another password."""
        return self.folders if (user, password) == (self.user, self.password) else None


class _CutOff(Hangup):
    """The server hangs up within an answer, which ends so."""

    def __init__(self, end: bytes = b"") -> None:
        super().__init__()
        self.end = end


class _Session(ImapSession):
    """A correct session, but for what the behaviour and its faults say."""

    def __init__(self, server: ImapServer, peer: Peer) -> None:
        super().__init__(peer, server.log_in)
        self.behaviour = server.behaviour
        self.server = server
        self.peer = peer
        self._faults = Faults(server.behaviour.faults)
        self._knows_client = False

    def capabilities(self) -> Sequence[str]:
        starttls = ["STARTTLS"] if self.server.tls is not None and not self.peer.secure else []
        return [*self.behaviour.capabilities, *starttls]

    def code(self) -> str:
        return super().code() if self.behaviour.tells_capabilities else ""

    def greet(self) -> None:
        perform(self._faults.due(Step.GREETING), self.peer, lambda: b"* OK IMAP ready\r\n")

    def command(self, line: str) -> None:
        self.server.said.append(line.partition(" ")[2])
        super().command(line)

    def obey(self, tag: str, verb: str, arguments: list[Token]) -> None:
        step = Step(verb) if verb in Step.__members__.values() else None
        action = _tagged(self._faults.due(step), tag) if step else None
        perform(action, self.peer, lambda: self._whole_answer(tag, verb, arguments))
        if step is Step.STARTTLS and obeys(action) and self.server.tls is not None:
            self.peer.start_tls(self.server.tls)

    def _whole_answer(self, tag: str, verb: str, arguments: list[Token]) -> bytes:
        lines: list[bytes] = []
        try:
            lines.extend(self.answer(tag, verb, arguments))
        except _CutOff as cut:
            self.peer.send(b"".join(lines) + cut.end)
            raise
        return b"".join(lines)

    def commands(self) -> dict[str, Callable[[list[Token]], Iterable[bytes]]]:
        commands = {**super().commands(), "STARTTLS": self._starttls}
        if "LIST" in commands:
            listed = commands["LIST"]
            commands["LIST"] = lambda given: chain([b'LIST (\\Noselect) "/" "[Gmail]"'], listed(given))
            commands |= self._extensions()
            if self.behaviour.counts:
                select = commands["SELECT"]
                commands["SELECT"] = lambda given: select(given[:-1] if given[1:] == [["CONDSTORE"]] else given)
            if self.behaviour.hides_capabilities:
                commands["CAPABILITY"] = self._hide
        if "UIDPLUS" not in self.behaviour.capabilities:
            commands.pop("UID EXPUNGE", None)
        return commands

    def _extensions(self) -> dict[str, Callable[[list[Token]], Iterable[bytes]]]:
        known: dict[str, Callable[[list[Token]], Iterable[bytes]]] = {
            "ID": self._say_id,
            "ENABLE": lambda given: [f"ENABLED {' '.join(strings(given, 1))}".encode()],
            "NAMESPACE": lambda _: [f'NAMESPACE (("{self.behaviour.namespace}" ".")) NIL NIL'.encode()],
        }
        return {name: command for name, command in known.items() if name in self.behaviour.capabilities}

    def _hide(self, _: list[Token]) -> Iterable[bytes]:
        raise Refusal("no")

    def _say_id(self, _: list[Token]) -> Iterable[bytes]:
        self._knows_client = True
        return [b"ID NIL"]

    def _starttls(self, _: list[Token]) -> Iterable[bytes]:
        if self.server.tls is None:
            raise Bad("no TLS here")
        self.status = "OK begin TLS"
        return ()

    def opened(self, folder: AnyFolder, *, read_only: bool) -> SelectedFolder:
        self.peer.stopping.wait(self.behaviour.select_takes)
        if self.behaviour.wants_id and not self._knows_client:
            raise Refusal("SELECT Unsafe Login. Please contact kefu@188.com for help")
        assert isinstance(folder, Folder)
        return _Selected(folder, self, read_only=read_only or self.behaviour.read_only)


class _Selected(SelectedFolder):
    """The selected folder: where letters and their flags go wrong."""

    def __init__(self, folder: Folder, session: _Session, *, read_only: bool) -> None:
        self._modseq = folder.modseq  # before the letters are looked at: it may be too low, but not too high
        super().__init__(folder, read_only=read_only)
        self._session = session
        self._behaviour = session.behaviour
        self._refuses = False

    def opened(self) -> Iterator[bytes]:
        yield from super().opened()
        if self._behaviour.counts:
            yield b"OK [HIGHESTMODSEQ %d] the last change" % self._modseq

    def choose(self, numbers: str, *, by_uid: bool) -> list[tuple[int, Held]]:
        """RFC 9738: the newest of them, if they are too many."""
        chosen, most = super().choose(numbers, by_uid=by_uid), self._behaviour.message_limit
        if most is None or len(chosen) <= most:
            return chosen
        if self._behaviour.message_limit_refuses:
            raise Refusal(f"[MESSAGELIMIT {most}] too many")
        self._session.status = f"OK [MESSAGELIMIT {most} {chosen[-most][1].uid}] not all"
        return chosen[-most:]

    def check(self, numbers: str) -> None:
        """Letters that do not exist are left out, as by many servers."""

    def fetch(self, numbers: str, asked: Token, *, by_uid: bool) -> Iterator[bytes]:
        self._refuses = by_uid
        if not by_uid:
            self._session.peer.stopping.wait(self._behaviour.listing_takes)
            most = self._behaviour.lists
            if most is not None and len(super().choose(numbers, by_uid=False)) > most:
                raise Hangup
        if self._behaviour.most and isinstance(asked, list):
            asked = [re.sub(r"\.(\d+)>$", self._smaller, item) if isinstance(item, str) else item for item in asked]
        return super().fetch(numbers, asked, by_uid=by_uid)

    def _smaller(self, size: re.Match[str]) -> str:
        return f".{min(int(size[1]), self._behaviour.most)}>"

    def fetched(self, number: int, letter: Held, items: Sequence[Item]) -> bytes:
        if self._refuses:
            self._refuse(letter)
        answer = super().fetched(number, replace(letter, size=letter.size + self._behaviour.oversizes), items)
        if any(item.name in {"BODY[]", "BODY[]<0>"} for item in items):
            self._session.server.given += 1
        asks_for_text = any(item.cut for item in items)
        if asks_for_text and letter.uid in self._behaviour.nothing:
            return answer.partition(b"{")[0] + b")"
        if asks_for_text and letter.uid in self._behaviour.breaks:
            raise _CutOff(b"* " + answer[: len(answer) // 2])
        return answer

    def _refuse(self, letter: Held) -> None:
        behaviour = self._behaviour
        words = behaviour.refuses.get(letter.uid, "")
        if behaviour.gives is not None and self._session.server.given >= behaviour.gives:
            words = f"{'BYE' if behaviour.says_bye else 'NO'} {behaviour.limit_words}"
        kind, _, words = words.partition(" ")
        match kind:
            case "NO":
                raise Refusal(words)
            case "BAD":
                raise Bad(words)
            case "BYE":
                raise _CutOff(f"* BYE {words}\r\n".encode())

    def text(self, letter: Held) -> bytes:
        return super().text(letter)[: self._behaviour.short.get(letter.uid)]

    def store(self, numbers: str, name: str, given: Sequence[Token], *, by_uid: bool) -> Iterator[bytes]:
        uids = {letter.uid for _, letter in self.choose(numbers, by_uid=by_uid)}
        if uids & self._behaviour.breaks_storing:
            raise Hangup
        if uids & self._behaviour.keeps:
            raise Refusal("not this one")
        return super().store(numbers, name, given, by_uid=by_uid)

    def expunge(self, uids: str | None = None) -> Sequence[bytes]:
        return super().expunge(uids) if self._behaviour.expunges else ()


def _tagged(action: Action | None, tag: str) -> Action | None:
    match action:
        case Say(octets, hang_up):
            return Say(octets.replace(b"{tag}", tag.encode()), hang_up)
        case Flood(first=first):
            return replace(action, first=first.replace(b"{tag}", tag.encode()))
        case _:
            return action
