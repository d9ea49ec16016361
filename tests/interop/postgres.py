"""A real PostgreSQL on a free loopback port. It refuses to run as root; then it runs as the user of its package."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg

from tests.interop.installed import program
from tests.interop.process import DidNotStart, free_ports, running

_databases = count(1)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running PostgreSQL; `tests` is its superuser and has no password."""

    port: int

    def new_database(self) -> str:
        """Make an empty database; its URL, as UTM_MAIL_DATABASE_URL takes it."""
        name = f"tests_{next(_databases)}"
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="tests", dbname="postgres", autocommit=True
        ) as server:
            server.execute(f"CREATE DATABASE {name}".encode())
        return f"postgres://tests@127.0.0.1:{self.port}/{name}"


@contextmanager
def running_postgres(directory: Path) -> Iterator[Postgres]:
    """Run PostgreSQL in `directory`."""
    programs = _programs()
    as_user = _as_user()
    directory.chmod(0o755)
    data, sockets = directory / "data", directory / "sockets"
    for place in (data, sockets):
        place.mkdir(mode=0o700)
        if as_user:
            shutil.chown(place, _USER)
    subprocess.run(
        [*as_user, programs / "initdb", "--auth=trust", "--username=tests", "--encoding=UTF8", "--no-sync", "-D", data],
        check=True,
        capture_output=True,
        cwd="/",
    )
    for _ in range(5):
        (port,) = free_ports(1)
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={sockets}"]
        command: list[str | Path] = [*as_user, programs / "postgres", "-D", data, "-p", str(port), *options]
        try:
            with running(command, ports=[port], log=directory / "postgres.log", ends_on=signal.SIGINT):
                _wait_until_ready(port)
                yield Postgres(port)
                return
        except DidNotStart as error:
            if "could not bind" not in str(error):
                raise
    raise DidNotStart("no free port")


_USER = "postgres"


def _programs() -> Path:
    """The directory of the newest installed server: Debian keeps it out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    return program("postgres", "postgresql").parent


def _as_user() -> list[str]:
    if os.getuid():
        return []
    account = pwd.getpwnam(_USER)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--"]


def _wait_until_ready(port: int) -> None:
    """It accepts connections before it can serve them; libpq's own `connect_timeout` does the waiting."""
    for _ in range(200):
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="tests", dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            continue
        return
    raise DidNotStart(f"PostgreSQL on port {port} serves nobody")
