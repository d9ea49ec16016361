"""A real Redis on a free loopback port, with nothing on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.interop.installed import program
from tests.interop.process import DidNotStart, free_ports, running


@dataclass(frozen=True, slots=True)
class Redis:
    """A running Redis."""

    port: int

    def new_url(self) -> str:
        """A database that nobody has used, as UTM_MAIL_REDIS_URL takes it; there are sixteen."""
        return f"redis://127.0.0.1:{self.port}/{next(_databases)}"


_databases = count()


@contextmanager
def running_redis(directory: Path, fixed: int | None = None) -> Iterator[Redis]:
    """Run Redis in `directory`, on a free port or on that one."""
    binary = program("redis-server", "redis-server")
    for _ in range(5):
        port = fixed or free_ports(1)[0]
        options: list[str | Path] = [
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            directory,
        ]
        try:
            with running([binary, *options], ports=[port], log=directory / "redis.log"):
                yield Redis(port)
                return
        except DidNotStart as error:
            if "Address already in use" not in str(error):
                raise
    raise DidNotStart("no free port")
