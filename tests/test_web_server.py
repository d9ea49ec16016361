"""The server of `up`: who opens many connections gets few answered, and keeps nobody else out."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from tests.interop.installation import Installation
from tests.waiting import until
from utm_mail.web_server import FILES, Web

TOGETHER = 8


@pytest.fixture
def server() -> Iterator[Web]:
    with Web("127.0.0.1", 0, TOGETHER) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def connected(server: Web, place: str) -> socket.socket:
    """A connection from that address."""
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=20, source_address=(place, 0))


def asked(server: Web, place: str) -> bytes:
    """What the first line says to somebody at that address; nothing where nobody answers."""
    with connected(server, place) as line:
        try:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return line.makefile("rb").readline()
        except ConnectionError:
            return b""


def test_it_answers_others_though_one_address_opens_all_it_can(server: Web) -> None:
    with ExitStack() as idle:
        for _ in range(5 * TOGETHER):
            idle.enter_context(connected(server, "127.0.0.2"))
        until(lambda: asked(server, "127.0.0.2") == b"")
        assert b" 200 " in asked(server, "127.0.0.3")
    until(lambda: b" 200 " in asked(server, "127.0.0.2"))


def test_it_has_no_more_connections_than_it_may_from_all_addresses_together(server: Web) -> None:
    with ExitStack() as idle:
        for number in range(TOGETHER):
            idle.enter_context(connected(server, f"127.0.1.{number // 2 + 1}"))
        until(lambda: asked(server, "127.0.0.3") == b"")
    until(lambda: b" 200 " in asked(server, "127.0.0.3"))


def test_it_may_open_as_many_files_as_the_system_lets_it(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, soft), hard))  # what a process inherits
    try:
        with Installation(tmp_path).up() as panel:
            now, _ = resource.prlimit(panel.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert now == min(FILES, hard if hard != resource.RLIM_INFINITY else FILES)
