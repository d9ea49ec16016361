"""How many sessions with PostgreSQL the product needs while its polls wait for servers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psycopg

from tests.interop.installation import Installation
from tests.interop.postgres import Postgres
from tests.waiting import until

POLLS = 64
AT_MOST = 10
"""Sessions of one process."""


@contextmanager
def slow_server() -> Iterator[int]:
    """The port of a server on every loopback address that accepts connections and says nothing."""
    with socket.create_server(("", 0), backlog=2 * POLLS) as listening:
        held: list[socket.socket] = []

        def hold() -> None:
            while True:
                try:
                    held.append(listening.accept()[0])
                except OSError:
                    return

        Thread(target=hold, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            for connection in held:
                connection.close()
            listening.shutdown(socket.SHUT_RDWR)


def test_polls_that_wait_for_their_servers_share_few_sessions(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.new_database()
    ours = Installation(tmp_path, {"UTM_MAIL_DATABASE_URL": url, "UTM_MAIL_CONCURRENCY": str(POLLS)})
    ours.prepare()
    with slow_server() as port, psycopg.connect(url, autocommit=True) as watcher:
        ours.paste("".join(_rule(number, port) for number in range(1, POLLS + 1)))
        met: set[int] = set()

        def all_wait() -> bool:
            theirs = watcher.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            met.update(pid for (pid,) in theirs.fetchall())
            running = watcher.execute("SELECT count(*) FROM fetchrules_run WHERE state = 'running'").fetchone()
            return running == (POLLS,)

        with ours._process(*ours.programs.manage, "poll", "--all"):
            until(all_wait, 60)
        assert 1 <= len(met) <= AT_MOST


def _rule(number: int, port: int) -> str:
    return f"127.0.1.{number}:pop3 u{number} pw u{number}@mydomain.ru plaintext port {port}\n"
