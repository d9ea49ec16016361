"""How many sessions with PostgreSQL the product needs: while its polls wait for servers, and for polls one after another."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from tests.interop.installation import Installation
from tests.interop.postgres import Postgres
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import Behaviour, Mailbox, Pop3Server
from tests.waiting import until
from utm_mail.postgresql import base
from utm_mail.postgresql.base import Sessions

pytestmark = pytest.mark.interop

POLLS = 64
IN_A_ROW = 50
AT_MOST = 10
"""Sessions of one process."""
AT_MOST_IN_A_ROW = 4
"""Sessions of a process that polls in one thread: the command's own, and one each to poll, to close idle polls and to renew."""


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
        ours.paste("".join(_rule(f"127.0.1.{number}", number, port) for number in range(1, POLLS + 1)))
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


def test_polls_one_after_another_open_no_new_sessions(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.new_database()
    ours = Installation(tmp_path, {"UTM_MAIL_DATABASE_URL": url, "UTM_MAIL_CONCURRENCY": "1"})
    ours.prepare()
    mailboxes = {f"u{number}": Mailbox("pw", Maildrop([letter(str(number))])) for number in range(1, IN_A_ROW + 1)}
    with (
        Pop3Server(mailboxes, Behaviour(capabilities=("TOP", "UIDL"))) as server,
        psycopg.connect(url, autocommit=True) as watcher,
    ):
        ours.paste("".join(_rule(server.address, number, server.port) for number in range(1, IN_A_ROW + 1)))
        for outcome in ("collected", "nothing_new"):
            before = _sessions_so_far(watcher)
            assert [row["outcome"] for row in ours.poll("--all")] == IN_A_ROW * [outcome]
            assert 1 <= _sessions_so_far(watcher) - before <= AT_MOST_IN_A_ROW


def _sessions_so_far(watcher: "psycopg.Connection[Any]") -> int:
    """How many sessions this database has had; it counts the last ones when they end."""

    def has_counted() -> bool:
        others = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return watcher.execute(others).rowcount == 0

    until(has_counted)
    row = watcher.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def _rule(address: str, number: int, port: int) -> str:
    return f"{address}:pop3 u{number} pw u{number}@mydomain.ru plaintext port {port}\n"


@pytest.fixture
def parameters(postgres: Postgres) -> dict[str, Any]:
    return {"conninfo": postgres.new_database(), "autocommit": True}


def opened(sessions: Sessions, parameters: dict[str, Any]) -> Any:
    session = sessions.take(parameters)
    if session is None:
        session = psycopg.connect(**parameters)
        sessions.opened(session)
    return session


def test_a_session_serves_again(parameters: dict[str, Any]) -> None:
    sessions = Sessions()
    first = opened(sessions, parameters)
    second = opened(sessions, parameters)
    assert second is not first
    sessions.give_back(first, parameters)
    assert opened(sessions, parameters) is first
    sessions.give_back(first, parameters)
    assert sessions.take({"conninfo": "another"}) is None


def test_a_session_that_is_broken_or_busy_does_not(parameters: dict[str, Any]) -> None:
    sessions = Sessions()
    broken = opened(sessions, parameters)
    sessions.give_back(broken, parameters)
    with psycopg.connect(**parameters) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [broken.info.backend_pid])
    session = opened(sessions, parameters)
    assert session is not broken
    session.autocommit = False
    session.execute("SELECT 1")
    sessions.give_back(session, parameters)
    assert session.closed
    unused = opened(sessions, parameters)
    unused.autocommit = False
    sessions.give_back(unused, parameters)
    assert unused.closed


def test_whoever_finds_none_waits_and_hears_of_it(parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PATIENCE", 0.1)
    sessions = Sessions()
    held = [opened(sessions, parameters) for _ in range(base.AT_MOST)]
    with pytest.raises(psycopg.OperationalError, match="in use"):
        sessions.take(parameters)
    sessions.give_back(held[0], parameters)
    assert sessions.take(parameters) is held.pop(0)


def test_old_sessions_are_closed(parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    first, second = opened(sessions, parameters), opened(sessions, parameters)
    sessions.give_back(first, parameters)
    monkeypatch.setattr(base, "KEPT", -1.0)
    sessions.give_back(second, parameters)
    assert first.closed
    assert second.closed
