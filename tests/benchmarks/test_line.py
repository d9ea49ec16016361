"""A delay line and a proxy carry, and a line leaves nothing behind."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.benchmarks.line import line, missing
from tests.benchmarks.proxy import HOSTS, distant
from tests.interop.installed import absent
from tests.interop.process import free_ports, running


class Broken(Exception):
    pass


@contextmanager
def web_server(directory: Path, host: str, inside: Sequence[str] = ()) -> Iterator[int]:
    (port,) = free_ports(1)
    command = [*inside, sys.executable, "-m", "http.server", str(port), "--directory", str(directory)]
    with running(command, ports=[port], host=host, log=directory / "server.log"):
        yield port


def answer(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), 10) as connection:
        connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        return connection.recv(9)


def use_and_break(directory: Path) -> None:
    """Raises Broken with the line."""
    with line(10, directory) as there, web_server(directory, there.hosts[0], there.inside) as port:
        assert answer(there.hosts[-1], port) == b"HTTP/1.0 "
        raise Broken(there)


def test_a_line_carries_and_is_gone_after_an_error(tmp_path: Path) -> None:
    if why := missing():
        absent(f"a delay line needs {why}")
    with pytest.raises(Broken) as broken:
        use_and_break(tmp_path)
    (gone,) = broken.value.args
    assert not Path(f"/sys/class/net/{gone.device}").exists()
    assert subprocess.run([*gone.inside, "true"], check=False, capture_output=True).returncode


def test_a_proxy_carries(tmp_path: Path) -> None:
    with web_server(tmp_path, "127.0.0.1") as port, distant({"http": port}, 10, tmp_path) as near:
        assert answer(HOSTS[-1], near["http"]) == b"HTTP/1.0 "
