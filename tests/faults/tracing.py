"""A poll under strace: what it asks of the system, and what happens when one call of one kind fails, or is the last."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.engine import Ended
from tests.faults.steps import CONTINUE
from tests.faults.world import World
from tests.interop.installed import program
from tests.waiting import until

FILE_CALLS = ("openat", "close", "write", "pwrite64", "fsync", "fdatasync", "ftruncate")
NAME_CALLS = ("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat")
LINE_CALLS = ("connect", "sendto", "recvfrom", "shutdown")
ALL_CALLS = (*FILE_CALLS, *NAME_CALLS, *LINE_CALLS)


@dataclass(frozen=True, slots=True)
class Injection:
    """The `nth` time that a thread makes `call`: `how` as strace says it, such as `error=EIO` or `signal=KILL`."""

    call: str
    how: str
    nth: int

    def __str__(self) -> str:
        return f"{self.call}:{self.how}:when={self.nth}"


def poll_traced(world: World, injection: Injection | None = None) -> tuple[Ended, str]:
    """A poll of `world` whose claim nobody else has, and the calls that it made, as strace writes them."""
    strace = program("strace", "strace")
    act = world.begin_poll(alone=True, wait=True)
    assert act.stopped_or_ended()
    log = world.engine.data / f"{world.name}.strace"
    calls = ",".join(ALL_CALLS) if injection is None else injection.call
    command: list[str | Path] = [strace, "-f", "-q", "-y", "-o", log, "-e", f"trace={calls}", "-p", str(act.pid)]
    if injection is not None:
        command += ["-e", f"inject={injection}"]
    log.unlink(missing_ok=True)
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _is_traced(act.pid))
        act.signal(CONTINUE)
        ended = act.wait()
    finally:
        tracer.wait(30)
    return ended, log.read_text(errors="replace")


def count_calls(trace: str) -> Counter[str]:
    """How often each call was made, by the thread that made it most often: strace counts for each thread on its own."""
    made: Counter[tuple[str, str]] = Counter(re.findall(r"^(\d+) +(\w+)\(", trace, re.MULTILINE))
    most: Counter[str] = Counter()
    for (_, call), times in made.items():
        most[call] = max(most[call], times)
    return most


def was_injected(trace: str) -> bool:
    """Whether the fault happened, or the process was killed before it could be told."""
    return "(INJECTED)" in trace or "killed by SIGKILL" in trace


def _is_traced(pid: int) -> bool:
    status: Any = Path(f"/proc/{pid}/status").read_text()
    return re.search(r"^TracerPid:\t[1-9]", status, re.MULTILINE) is not None
