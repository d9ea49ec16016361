"""A delay line works, and leaves nothing behind."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.line import line, missing
from tests.interop.installed import absent
from tests.interop.process import free_ports, running


class Broken(Exception):
    pass


def use_and_break(directory: Path) -> None:
    """Raises Broken with the line."""
    (port,) = free_ports(1)
    with line(10, directory) as there:
        server: list[str | Path] = [
            *there.inside,
            sys.executable,
            "-m",
            "http.server",
            str(port),
            "--directory",
            directory,
        ]
        with (
            running(server, ports=[port], host=there.hosts[-1], log=directory / "server.log"),
            socket.create_connection((there.hosts[0], port), 10) as connection,
        ):
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            assert connection.recv(9) == b"HTTP/1.0 "
        raise Broken(there)


def test_it_carries_and_is_gone_after_an_error(tmp_path: Path) -> None:
    if why := missing():
        absent(f"a delay line needs {why}")
    with pytest.raises(Broken) as broken:
        use_and_break(tmp_path)
    (gone,) = broken.value.args
    assert not Path(f"/sys/class/net/{gone.device}").exists()
    assert subprocess.run([*gone.inside, "true"], check=False, capture_output=True).returncode
