"""Names to addresses, within a deadline.

The system's resolver has none, so it works in a thread that we stop waiting for.
"""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from fetchrules.errors import HostNotFound, Interrupted
from fetchrules.remote.stopping import STOPPING

_LOOK_SECONDS = 0.5
"""While the resolver thinks, it is looked so often whether the process is to end."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address to try: the numeric address that is checked is the one in `sockaddr`."""

    family: int
    address: str
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def ascii_name(host: str) -> str:
    """`host` as DNS and TLS know it: an international name in its xn-- form, no dot at the end. Raises HostNotFound."""
    name = host.removesuffix(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise HostNotFound(f"not a host name: {host}") from error


def resolve(host: str, port: int, seconds: float) -> list[Endpoint]:
    """The addresses of `host`, in the order to try them.

    Raises HostNotFound, also when `seconds` pass without an answer, and Interrupted where the process ends meanwhile.
    """
    name = ascii_name(host)
    found = _lookup(name, port) if _is_numeric(name) else _lookup_within(name, port, seconds)
    if isinstance(found, HostNotFound):
        raise found
    return found


def _lookup_within(name: str, port: int, seconds: float) -> list[Endpoint] | HostNotFound:
    answers: SimpleQueue[list[Endpoint] | HostNotFound] = SimpleQueue()
    Thread(target=lambda: answers.put(_lookup(name, port)), name=f"resolve {name}", daemon=True).start()
    by = monotonic() + seconds
    while (left := by - monotonic()) > 0:
        try:
            return answers.get(timeout=min(left, _LOOK_SECONDS))
        except Empty:
            if STOPPING.is_set():
                raise Interrupted("the process ends") from None
    return HostNotFound("the resolver did not answer")


def _lookup(name: str, port: int) -> list[Endpoint] | HostNotFound:
    """The error is returned, not raised: it has to cross from one thread to another."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: a label too long, a NUL
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return HostNotFound(f"{name}: {reason}")
    return [Endpoint(family, str(sockaddr[0]), sockaddr) for family, _, _, _, sockaddr in found]


def _is_numeric(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
