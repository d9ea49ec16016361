"""Dovecots at a distance: on a delay line where the machine can have one, else behind a proxy."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import line, proxy
from tests.interop.dovecot import Dovecot, running_dovecot
from tests.interop.fixtures import short_path


@dataclass(frozen=True, slots=True)
class Place:
    """`hosts` are addresses that lead to the `dovecot`, on these `ports`; `distance` says how far it is, and by what."""

    distance: str
    hosts: tuple[str, ...]
    ports: Mapping[str, int]
    dovecot: Dovecot

    @property
    def host(self) -> str:
        return self.hosts[0]


@contextmanager
def place(milliseconds: int, dovecot: Dovecot) -> Iterator[Place]:
    """Behind a round trip of so many milliseconds; for 0, and behind a proxy, it is this Dovecot."""
    if not milliseconds:
        yield Place("loopback", ("127.0.0.1",), _ports(dovecot), dovecot)
        return
    with short_path() as name:
        directory = Path(name)
        if line.missing():
            with proxy.distant(_ports(dovecot), milliseconds, directory) as ports:
                yield Place(f"{milliseconds} ms (proxy)", proxy.HOSTS, ports, dovecot)
            return
        with (
            line.line(milliseconds, directory) as there,
            short_path() as home,
            running_dovecot(Path(home), host=there.hosts[0], inside=there.inside) as far,
        ):
            yield Place(f"{milliseconds} ms (delay line)", there.hosts, _ports(far), far)


def _ports(dovecot: Dovecot) -> dict[str, int]:
    return {"pop3": dovecot.pop3, "pop3s": dovecot.pop3s, "imap": dovecot.imap, "imaps": dovecot.imaps}
