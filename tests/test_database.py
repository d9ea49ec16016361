"""The database's neighbourhood: deadlines on PostgreSQL, a SQLite file that is gone, two installations on one database."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.db import OperationalError
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from tests.interop.installation import Installation
from tests.interop.installed import absent, program
from tests.interop.postgres import Postgres
from utm_mail.database import database

Open = Callable[..., DatabaseWrapper]


@pytest.fixture
def open_connection(postgres: Postgres, django_db_blocker: DjangoDbBlocker) -> Iterator[Open]:
    """Open a new database, with this query in its URL; it is closed in the end."""
    with django_db_blocker.unblock(), ExitStack() as stack:

        def open_new(query: str = "") -> DatabaseWrapper:
            entry = {"default": database(f"{postgres.new_database()}?{query}", Path("/nowhere"))}
            connection = DatabaseWrapper(ConnectionHandler(entry).settings["default"], "told")
            stack.callback(connection.close)
            connection.connect()
            return connection

        yield open_new


@pytest.mark.interop
@pytest.mark.parametrize(
    ("option", "value"),
    [
        (socket.TCP_USER_TIMEOUT, 30_000),
        (socket.TCP_KEEPIDLE, 30),
        (socket.TCP_KEEPINTVL, 10),
        (socket.TCP_KEEPCNT, 3),
    ],
)
def test_it_gives_up_on_a_silent_network(option: int, value: int, open_connection: Open) -> None:
    connected = open_connection()
    with socket.socket(fileno=os.dup(connected.connection.fileno())) as line:
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert line.getsockopt(socket.IPPROTO_TCP, option) == value


@pytest.mark.interop
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("synchronous_commit", "on"),
        ("statement_timeout", "1min"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("tcp_user_timeout", "30000"),
        ("tcp_keepalives_idle", "30"),
    ],
)
def test_it_tells_the_server_its_deadlines(name: str, value: str, open_connection: Open) -> None:
    connected = open_connection()
    with connected.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        assert cursor.fetchone() == (value,)


@contextmanager
def forgetful_firewall(port: int) -> Iterator[None]:
    """Every packet to and from `port` is lost, without an answer. Skips where none can be had."""
    rule = ["-i", "lo", "-p", "tcp", "-m", "multiport", "--ports", str(port), "-j", "DROP"]
    firewall = str(program("iptables", "iptables"))
    if subprocess.run([firewall, "-I", "INPUT", *rule], capture_output=True, check=False).returncode:
        absent("only root can lose packets")
    try:
        yield
    finally:
        subprocess.run([firewall, "-D", "INPUT", *rule], check=True)


@pytest.mark.interop
@pytest.mark.faults
def test_it_notices_that_its_connection_was_forgotten(postgres: Postgres, open_connection: Open) -> None:
    """Without deadlines this takes TCP a quarter of an hour."""
    connected = open_connection()

    def ask() -> None:
        with pytest.raises(OperationalError):
            cursor.execute("SELECT 1")

    with connected.cursor() as cursor, forgetful_firewall(postgres.port):
        failed = Thread(target=ask)
        failed.start()
        failed.join(90)
        assert not failed.is_alive()
    connected.connect()


@pytest.mark.interop
def test_it_leaves_the_last_word_to_the_url(open_connection: Open) -> None:
    connected = open_connection("keepalives_idle=7&options=-c%20statement_timeout%3D5s")
    with connected.cursor() as cursor, socket.socket(fileno=os.dup(connected.connection.fileno())) as line:
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('synchronous_commit')")
        assert cursor.fetchone() == ("5s", "on")


@pytest.mark.interop
def test_it_migrates_without_a_deadline(postgres: Postgres, tmp_path: Path) -> None:
    url = f"{postgres.new_database()}?options=-c%20statement_timeout%3D1ms"
    Installation(tmp_path, {"UTM_MAIL_DATABASE_URL": url}).manage("migrate", "-v0")


def test_it_does_not_begin_anew_where_the_database_is_gone(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.manage("migrate", "-v0")
    file = tmp_path / "utm_mail.sqlite3"
    kept = shutil.copy(file, tmp_path / "kept")
    file.unlink()
    for command in (["migrate"], ["up", "--port", "0"]):
        assert str(file) in installation.manage(*command, expect=1).stderr
    assert not file.exists()
    file.touch()
    assert str(file) in installation.manage("up", "--port", "0", expect=1).stderr
    assert not file.stat().st_size
    shutil.copy(kept, file)
    installation.manage("migrate", "-v0")
    file.unlink()
    (tmp_path / "databases").unlink()
    installation.manage("migrate", "-v0")


def test_it_makes_a_database_that_only_its_user_reads(tmp_path: Path) -> None:
    Installation(tmp_path).manage("migrate", "-v0")
    assert (tmp_path / "utm_mail.sqlite3").stat().st_mode & 0o777 == 0o600


def test_it_makes_no_empty_database_beneath_a_running_installation(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.prepare()
    with installation.up() as panel:
        for file in tmp_path.glob("utm_mail.sqlite3*"):
            if file.suffix != ".lock":
                file.unlink()
        page = Request(panel.address, headers={"Cookie": f"sessionid={32 * 'x'}"})
        with pytest.raises(HTTPError) as refused:
            urlopen(page, timeout=60)
        assert refused.value.code == 503
        assert "База данных недоступна" in refused.value.read().decode()
        assert panel.stop() == 0
    assert not (tmp_path / "utm_mail.sqlite3").exists()


def test_it_does_not_run_twice_on_one_sqlite_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for data in (first, second):
        data.mkdir()
    installation = Installation(first)
    installation.prepare()
    link = second / "link.sqlite3"
    link.symlink_to(first / "utm_mail.sqlite3")
    with installation.up():
        other = Installation(second, {"UTM_MAIL_DATABASE_URL": f"sqlite://{link}"})
        assert str(link) in other.manage("up", "--port", "0", expect=1).stderr


@pytest.mark.interop
def test_it_does_not_run_twice_on_one_postgresql_with_its_own_queue(postgres: Postgres, tmp_path: Path) -> None:
    env = {"UTM_MAIL_DATABASE_URL": postgres.new_database()}
    first, second = tmp_path / "first", tmp_path / "second"
    for data in (first, second):
        data.mkdir()
    with Installation(first, env).up():
        assert "tests_" in Installation(second, env).manage("up", "--port", "0", expect=1).stderr
    with Installation(second, env).up():
        pass
