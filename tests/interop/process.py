"""A real server as a child process: started on free ports, waited for until it answers, ended without a trace."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

START_SECONDS = 20
END_SECONDS = 15


class DidNotStart(Exception):
    """The server ended, or did not answer in time; the message holds what it printed."""


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of the loopback address that nobody listens on; all different, none promised."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in sockets)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ports: Sequence[int],
    log: Path,
    host: str = "127.0.0.1",
    env: Mapping[str, str] | None = None,
    ends_on: int = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block ends. The block begins when all `ports` of `host` accept connections. Raises DidNotStart."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    try:
        deadline = monotonic() + START_SECONDS
        for port in ports:
            _wait_for((host, port), process, deadline, log)
        yield process
    finally:
        end(process, ends_on)


def end(process: "subprocess.Popen[Any]", ends_on: int = signal.SIGTERM) -> int:
    """Ask the process to end; after END_SECONDS, end it and its children. Its exit code."""
    if process.poll() is None:
        process.send_signal(ends_on)
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _wait_for(address: tuple[str, int], process: "subprocess.Popen[bytes]", deadline: float, log: Path) -> None:
    pause = Event()
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError as error:
            if process.poll() is not None or monotonic() > deadline:
                raise DidNotStart(f"{process.args!r}, port {address[1]}:\n{log.read_text(errors='replace')}") from error
            pause.wait(0.02)
        else:
            return
