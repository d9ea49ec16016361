"""What servers were capable of last time, so that a poll need not ask before it begins."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from fetchrules.remote.pop3.grammar import Capabilities


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A server as capabilities go: what it announces inside TLS differs from what it announces outside."""

    host: str
    port: int
    tls: bool


class CapabilityMemory:
    """The capabilities of the servers used last, at most `limit` of them. Shared by all threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[ServerKey, Capabilities] = OrderedDict()
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
            self._known[key] = capabilities
            self._known.move_to_end(key)
            while len(self._known) > self._limit:
                self._known.popitem(last=False)

    def forget(self, key: ServerKey) -> None:
        """Something went wrong with `key`: ask it again next time."""
        with self._lock:
            self._known.pop(key, None)
