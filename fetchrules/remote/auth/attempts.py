"""The attempts of one session to log in.

A refusal before the password was said rules out that way alone, or all that show it if the name was refused. A refused
proof rules out its kind. A refused password ends the session: no other way would make it right.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from fetchrules.errors import ConnectionLost, FetchError, LoginRefused, RemoteProtocolError, TimedOut
from fetchrules.remote.auth.exchange import Refusal
from fetchrules.remote.auth.memory import LoginKey, LoginMemory
from fetchrules.remote.auth.ways import SHOWING, Kind, Way

CONNECTIONS = len(Kind)
"""How many there are at most where a server hangs up behind each login that it refuses."""

T = TypeVar("T")


class HungUp(LoginRefused):
    """The server hung up behind a login that it refused, and there is another way to try."""


def over_several_connections(attempt: Callable[[], T]) -> T:
    """Call `attempt` again where the server hung up behind a refused login, CONNECTIONS times in all."""
    for _ in range(CONNECTIONS - 1):
        with suppress(HungUp):
            return attempt()
    return attempt()


class Attempts:
    """Yields the ways of `order` that are left. Call `refused` or `accepted` for each before the next."""

    def __init__(self, memory: LoginMemory, login: LoginKey, order: tuple[Way, ...]) -> None:
        self.error: FetchError | None = None
        """The last refusal, until a way is accepted."""
        self._memory, self._login = memory, login
        self._way = order[0]
        self._left = _left(memory, login, order)

    def __iter__(self) -> Iterator[Way]:
        while self._left:
            self._way, *self._left = self._left
            yield self._way

    @property
    def more(self) -> bool:
        """Whether another way would follow."""
        return bool(self._left)

    def refused(self, refusal: Refusal, error: FetchError) -> None:
        """The server refused the way with `error`, which is raised where it is no verdict about the login (busy, over a limit)."""
        if not isinstance(error, LoginRefused | RemoteProtocolError):
            raise error
        self.error = error
        self._memory.refuse(self._login, self._way, refusal)
        if refusal is Refusal.PASSWORD and self._way in SHOWING:
            self._left = []
        elif refusal is not Refusal.MECHANISM:
            self._left = [way for way in self._left if way.kind is not self._way.kind]

    def accepted(self) -> None:
        self.error = None
        self._memory.accept(self._login, self._way)

    @contextmanager
    def explaining_a_hangup(self) -> Iterator[None]:
        """A connection that ends behind a refused login ends because of it."""
        try:
            yield
        except ConnectionLost as error:
            if self.error is None:
                raise
            raise HungUp(self.error.detail) from error
        except TimedOut as error:
            if self.error is None:
                raise
            raise self.error from error


def _left(memory: LoginMemory, login: LoginKey, order: tuple[Way, ...]) -> list[Way]:
    failed = memory.failed(login)
    if failed is None:
        return list(order)
    untried = [way for way in order if way not in failed.tried]
    if untried:
        return untried
    return [failed.surest] if failed.surest in order else list(order)
