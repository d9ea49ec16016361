"""Whose letters have turned out far larger than their server says, so that no poll trusts those sizes again."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from fetchrules.remote.recent import keep


@dataclass(frozen=True, slots=True)
class MailboxKey:
    """A mailbox as a server knows it."""

    host: str
    port: int
    user: str


class SizeMemory:
    """The mailboxes whose sizes were far too small, the `limit` met last. Shared by all threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[MailboxKey, None] = OrderedDict()
        self._lock = Lock()

    def distrusts(self, key: MailboxKey) -> bool:
        """Whether the sizes told of `key`'s letters are no hint of what an answer will hold."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return key in self._known

    def distrust(self, key: MailboxKey) -> None:
        """An answer was longer than the sizes of its letters allow for."""
        with self._lock:
            keep(self._known, key, None, self._limit)


MEMORY = SizeMemory(limit=4096)
