"""Facts about servers that this process remembers from one poll to the next.

POP3 capabilities are remembered, so that a poll need not ask first. A proxy may announce that the server behind it pipelines
(RFC 2449 section 6.6), but obey one command of each read and drop the rest. Its sign is a burst of commands of which at most
the first is answered; a connection that breaks by itself seldom breaks just there. So PIPELINING is distrusted for a day
after two such bursts of one kind in sessions that did not overlap (a server that goes down breaks all its sessions at once),
with no answered burst of that kind in between. After that day one such burst is enough, until one is answered.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from time import monotonic

from fetchrules.remote.account import ServerKey
from fetchrules.remote.auth.memory import LoginMemory
from fetchrules.remote.auth.scram import SaltedKeys
from fetchrules.remote.recent import keep

DISTRUST_SECONDS = 86400.0
SERVERS_KEPT = 4096

Judge = Callable[[str, bool], None]
"""Called for each burst with its last verb, which is its kind, and whether more than its first command was answered."""


class CapabilityMemory:
    """The capabilities of the `limit` servers used last. Shared by all threads. `clock` is in seconds."""

    def __init__(self, limit: int, clock: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._known: OrderedDict[ServerKey, frozenset[str]] = OrderedDict()
        self._swallowed: OrderedDict[tuple[ServerKey, str], float] = OrderedDict()
        self._distrusted: OrderedDict[ServerKey, float] = OrderedDict()
        self._lock = Lock()

    def recall(self, key: ServerKey) -> frozenset[str] | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def remember(self, key: ServerKey, capabilities: frozenset[str]) -> None:
        with self._lock:
            keep(self._known, key, capabilities, self._limit)

    def forget(self, key: ServerKey) -> None:
        """Ask `key` again next time. Distrust of its pipelining stays."""
        with self._lock:
            self._known.pop(key, None)

    def trusts(self, key: ServerKey) -> bool:
        """Whether nothing speaks against sending `key` several commands at a time."""
        with self._lock:
            return key not in self._distrusted or self._clock() >= self._distrusted[key]

    def judge(self, key: ServerKey) -> Judge:
        """The judge of the bursts of a session with `key` that begins now."""
        return partial(self._judge, key, self._clock())

    def _judge(self, key: ServerKey, began: float, kind: str, answered: bool) -> None:
        with self._lock:
            before = self._swallowed.get((key, kind))
            if answered:
                self._swallowed.pop((key, kind), None)
            elif before is None or before <= began:
                now = self._clock()
                keep(self._swallowed, (key, kind), now, self._limit)
                if before is not None:
                    keep(self._distrusted, key, now + DISTRUST_SECONDS, self._limit)


@dataclass(frozen=True, slots=True)
class FolderKey:
    host: str
    port: int
    user: str
    folder: str


class FolderMemory:
    """How many letters the `limit` folders listed last had. Shared by all threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._exists: OrderedDict[FolderKey, int] = OrderedDict()
        self._lock = Lock()

    def take(self, key: FolderKey) -> int:
        """What is known, 0 if nothing is. It is forgotten: a listing that breaks is not tried in the same way again."""
        with self._lock:
            return self._exists.pop(key, 0)

    def remember(self, key: FolderKey, exists: int) -> None:
        with self._lock:
            keep(self._exists, key, exists, self._limit)


class AddressMemory:
    """The addresses at which the `limit` hosts used last have answered. Shared by all threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def recall(self, host: str) -> str | None:
        with self._lock:
            return self._known.get(host)

    def remember(self, host: str, address: str) -> None:
        with self._lock:
            keep(self._known, host, address, self._limit)


@dataclass(slots=True)
class ServerMemory:
    addresses: AddressMemory = field(default_factory=lambda: AddressMemory(SERVERS_KEPT))
    capabilities: CapabilityMemory = field(default_factory=lambda: CapabilityMemory(SERVERS_KEPT))
    folders: FolderMemory = field(default_factory=lambda: FolderMemory(SERVERS_KEPT))
    logins: LoginMemory = field(default_factory=lambda: LoginMemory(SERVERS_KEPT))
    keys: SaltedKeys = field(default_factory=lambda: SaltedKeys(SERVERS_KEPT))


SERVERS = ServerMemory()
