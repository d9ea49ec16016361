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
from fetchrules.remote.pop3.grammar import Capabilities
from fetchrules.remote.pop3.protocol import Verb
from fetchrules.remote.recent import keep

DISTRUST_SECONDS = 86400.0
SERVERS_KEPT = 4096

Judge = Callable[[Verb, bool], None]
"""Called for each burst with its last verb, which is its kind, and whether more than its first command was answered."""


class CapabilityMemory:
    """The capabilities of the `limit` servers used last. Shared by all threads. `clock` is in seconds."""

    def __init__(self, limit: int, clock: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._known: OrderedDict[ServerKey, Capabilities] = OrderedDict()
        self._swallowed: OrderedDict[tuple[ServerKey, Verb], float] = OrderedDict()
        self._distrusted: OrderedDict[ServerKey, float] = OrderedDict()
        self._lock = Lock()

    def recall(self, key: ServerKey) -> Capabilities | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def remember(self, key: ServerKey, capabilities: Capabilities) -> None:
        with self._lock:
            keep(self._known, key, capabilities, self._limit)

    def forget(self, key: ServerKey) -> None:
        """Ask `key` again next time. Distrust of its pipelining stays."""
        with self._lock:
            self._known.pop(key, None)

    def pipelines(self, key: ServerKey, capabilities: Capabilities) -> bool:
        """Whether `key`, which has `capabilities`, may be sent several commands at a time."""
        with self._lock:
            distrusted = key in self._distrusted and self._clock() < self._distrusted[key]
        return capabilities.has("PIPELINING") and not distrusted

    def judge(self, key: ServerKey) -> Judge:
        """The judge of the bursts of a session with `key` that begins now."""
        return partial(self._judge, key, self._clock())

    def _judge(self, key: ServerKey, began: float, kind: Verb, answered: bool) -> None:
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
class MailboxKey:
    host: str
    port: int
    user: str


class SizeMemory:
    """The `limit` last IMAP mailboxes whose letters were far larger than listed. Shared by all threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[MailboxKey, None] = OrderedDict()
        self._lock = Lock()

    def distrusts(self, key: MailboxKey) -> bool:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return key in self._known

    def distrust(self, key: MailboxKey) -> None:
        with self._lock:
            keep(self._known, key, None, self._limit)


@dataclass(slots=True)
class ServerMemory:
    capabilities: CapabilityMemory = field(default_factory=lambda: CapabilityMemory(SERVERS_KEPT))
    sizes: SizeMemory = field(default_factory=lambda: SizeMemory(SERVERS_KEPT))
    logins: LoginMemory = field(default_factory=lambda: LoginMemory(SERVERS_KEPT))
    keys: SaltedKeys = field(default_factory=lambda: SaltedKeys(SERVERS_KEPT))


SERVERS = ServerMemory()
