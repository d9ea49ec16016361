"""What servers were capable of last time, so that a poll need not ask before it begins; and which of it was not true.

A proxy may pass on that the server behind it pipelines (RFC 2449 section 6.6) and itself obey one command a read and drop
the rest. It is known by its silence: of a burst of commands, sent while nothing was unanswered, the first at most is
answered, and not an octet comes to the second. A connection that breaks of itself seldom breaks just there, and still
more seldom twice in a row. So PIPELINING is belied, for a day, by two such bursts of one kind in sessions that did not
overlap (when a server goes down, all its sessions break at once), with no burst of that kind answered further in between.
After that day one such burst is enough, until one is answered.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import monotonic

from fetchrules.remote.pop3.commands import Verb
from fetchrules.remote.pop3.grammar import Capabilities
from fetchrules.remote.recent import keep

DISTRUST_SECONDS = 86400.0
"""How long a server that belied PIPELINING is asked one thing at a time."""

Judge = Callable[[Verb, bool], None]
"""Told of each burst that a session sends: its last verb, which says of what kind it is, and whether more than its first
command was answered.
"""


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A server as capabilities go: what it announces inside TLS differs from what it announces outside."""

    host: str
    port: int
    tls: bool


class CapabilityMemory:
    """The servers used last, at most `limit` of them. Shared by all threads. `clock` is in seconds."""

    def __init__(self, limit: int, clock: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._known: OrderedDict[ServerKey, Capabilities] = OrderedDict()
        self._swallowed: OrderedDict[tuple[ServerKey, Verb], float] = OrderedDict()
        self._distrusted: OrderedDict[ServerKey, float] = OrderedDict()
        self._lock = Lock()

    def recall(self, key: ServerKey) -> Capabilities | None:
        """What `key` announced last, if that is known."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def remember(self, key: ServerKey, capabilities: Capabilities) -> None:
        """Keep what `key` has just announced."""
        with self._lock:
            keep(self._known, key, capabilities, self._limit)

    def forget(self, key: ServerKey) -> None:
        """Something went wrong with `key`: ask it again next time. What it belied stays known."""
        with self._lock:
            self._known.pop(key, None)

    def pipelines(self, key: ServerKey, capabilities: Capabilities) -> bool:
        """Whether `key`, which has `capabilities`, may be sent several commands at a time."""
        with self._lock:
            distrusted = key in self._distrusted and self._clock() < self._distrusted[key]
        return capabilities.has("PIPELINING") and not distrusted

    def judge(self, key: ServerKey) -> Judge:
        """What a session with `key` that begins now has to tell of its bursts."""
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
