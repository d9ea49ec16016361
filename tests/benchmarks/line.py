"""A network of a given round trip with real TCP: two TUN devices, and between them a program that holds every packet.

The near end lies where we are; the far end lies in a network namespace that has no name and is gone with the program's end.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from tests.interop.process import DidNotStart, running
from tests.waiting import until

SOURCE = Path(__file__).with_name("line.c")
TUN = Path("/dev/net/tun")
HOSTS = 16
"""Of them each has several mailboxes, so that a server always has one that is due."""


@dataclass(frozen=True, slots=True)
class Line:
    """`hosts` are addresses of the far end; a command behind `inside` runs there. `device` is the name of both ends."""

    device: str
    hosts: tuple[str, ...]
    inside: tuple[str, ...]


def missing() -> str:
    """What a line needs and this machine has not; empty if it has everything."""
    if os.geteuid() or not os.access(TUN, os.R_OK | os.W_OK):
        return f"root and {TUN}"
    return " ".join(program for program in ("cc", "ip", "nsenter") if not which(program))


@contextmanager
def line(milliseconds: int, directory: Path) -> Iterator[Line]:
    """A line of that round trip; its program and its log lie in `directory`. Raises DidNotStart."""
    program, log = directory / "line", directory / "line.log"
    subprocess.run(["cc", "-O2", "-pthread", "-o", program, SOURCE], check=True)
    number = next(n for n in range(256) if not Path(f"/sys/class/net/utmline{n}").exists())
    name, network = f"utmline{number}", f"198.18.{number}"  # RFC 2544: addresses for benchmarks
    with running([program, name, str(milliseconds * 500)], ports=[], log=log) as process:
        until(lambda: "ready" in log.read_text() or process.poll() is not None)
        if process.poll() is not None:
            raise DidNotStart(log.read_text())
        inside = ("nsenter", f"--net=/proc/{process.pid}/ns/net")
        up = f"link set {name} up mtu 1500 txqueuelen 10000\n"
        _ip((), f"address add {network}.1/24 dev {name}\n{up}")
        everywhere = f"link set lo up\nroute add local {network}.128/25 dev lo\n"
        _ip(inside, f"address add {network}.2/24 dev {name}\n{up}{everywhere}")
        yield Line(name, tuple(f"{network}.{128 + host}" for host in range(HOSTS)), inside)


def _ip(prefix: tuple[str, ...], commands: str) -> None:
    subprocess.run([*prefix, "ip", "-batch", "-"], input=commands, text=True, check=True)
