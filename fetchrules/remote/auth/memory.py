"""Which ways to log in servers refuse, so that no poll adds a failed login that is of no use.

A refusal does not say whether the password is wrong or the server cannot do what it offers (it has no secret of that kind). So:

* A way counts as refused by the server if the same account then gets in by another way with the same password. For a day it is
  tried last, by every account there.
* An account whose login was refused goes on where it stopped, in the same session or in the next. When every way was refused, the
  password is taken to be wrong, and a session makes a single attempt: by the surest way, which is the last one that showed the
  password, else the last that proved it. After a day, with another password, or once it got in, it begins anew.
* An account that gets in by a way that had been refused had the right password all the time: the server's own trouble has
  passed, and nothing is learned of its ways.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from fetchrules.remote.account import ServerKey
from fetchrules.remote.auth.exchange import Refusal
from fetchrules.remote.auth.ways import SHOWING, Way
from fetchrules.remote.recent import keep

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class LoginKey:
    """An account at a server. `mark` is its password's."""

    server: ServerKey
    user: str
    mark: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The refusals since an account got in for the last time. `until` is the time when they are forgotten."""

    tried: frozenset[Way]
    surest: Way
    refusal: Refusal
    """That of the surest way."""
    until: float

    def and_also(self, way: Way, tried: frozenset[Way], refusal: Refusal) -> "Failed":
        before = (self.refusal, self.surest in SHOWING)
        surest, refusal = (way, refusal) if (refusal, way in SHOWING) >= before else (self.surest, self.refusal)
        return Failed(self.tried | tried, surest, refusal, self.until)


class LoginMemory:
    """The `limit` last failed accounts and refused ways. Shared by all threads. `clock` is in seconds."""

    def __init__(self, limit: int, clock: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._refused: OrderedDict[tuple[ServerKey, Way], float] = OrderedDict()
        self._failed: OrderedDict[LoginKey, Failed] = OrderedDict()
        self._lock = Lock()

    def refused(self, server: ServerKey) -> frozenset[Way]:
        """The ways to try last."""
        with self._lock:
            now = self._clock()
            return frozenset(way for way in Way if now < self._refused.get((server, way), now))

    def failed(self, login: LoginKey) -> Failed | None:
        with self._lock:
            return self._still_failed(login)

    def refuse(self, login: LoginKey, way: Way, refusal: Refusal) -> None:
        """The server refused `login` by `way`."""
        tried = frozenset({way}) if refusal is Refusal.MECHANISM else frozenset(w for w in Way if w.kind is way.kind)
        with self._lock:
            before = self._still_failed(login) or Failed(frozenset(), way, refusal, self._clock() + DAY)
            keep(self._failed, login, before.and_also(way, tried, refusal), self._limit)

    def accept(self, login: LoginKey, way: Way) -> None:
        """The server accepted `login` by `way`."""
        with self._lock:
            failed = self._still_failed(login)
            self._failed.pop(login, None)
            self._refused.pop((login.server, way), None)
            if failed is not None and way not in failed.tried:
                for refused in failed.tried:
                    keep(self._refused, (login.server, refused), self._clock() + DAY, self._limit)

    def _still_failed(self, login: LoginKey) -> Failed | None:
        failed = self._failed.get(login)
        return failed if failed is not None and self._clock() < failed.until else None
