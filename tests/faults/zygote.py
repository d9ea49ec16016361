"""A process with the product loaded that forks a child for each act: starting Python anew would take a second every time.

It reads requests from its standard input, one JSON object a line, and answers on its standard output:

    {"id": 7, "act": "poll", "args": {…}, "change": "…", "stop": […], "wait": true, "kill_after": 0.02}
    {"id": 7, "pid": 4711}   {"id": 7, "stopped": true}   {"id": 7, "status": 0, "peak": 51200, "seconds": 0.03}
    {"signal": 7, "number": 18}

The child is what `manage.py poll` would be: real settings, a real database, and no thread or descriptor of this process. What it
returns it leaves in the file `results/<id>` of the data directory.
"""

import faulthandler
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

Request = dict[str, Any]


class Zygote:
    """Serves requests until its input ends; then no child is left."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._children: dict[int, tuple[int, float]] = {}
        """By process: its request, and when it began."""
        self._kills: list[tuple[float, int]] = []
        self._unread = b""
        self._woken, wakes = os.pipe()
        for end in (self._woken, wakes):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until end of input."""
        while self._read(self._wait()):
            self._kill_due()
            self._reap()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _wait(self) -> list[int]:
        due = min((at for at, _ in self._kills), default=None)
        timeout = None if due is None else max(0.0, due - time.monotonic())
        return select.select([0, self._woken], [], [], timeout)[0]

    def _read(self, ready: list[int]) -> bool:
        if self._woken in ready:
            os.read(self._woken, 4096)
        if 0 not in ready:
            return True
        data = os.read(0, 65536)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(data)

    def _obey(self, request: Request) -> None:
        if "signal" in request:
            for pid, (number, _) in self._children.items():
                if number == request["signal"]:
                    os.kill(pid, request["number"])
            return
        pid = os.fork()
        if not pid:
            self._be_the_child(request)
        self._children[pid] = (request["id"], time.monotonic())
        if "kill_after" in request:
            self._kills.append((time.monotonic() + request["kill_after"], pid))
        _say(id=request["id"], pid=pid)

    def _kill_due(self) -> None:
        now = time.monotonic()
        for pid in [pid for at, pid in self._kills if at <= now and pid in self._children]:
            os.kill(pid, signal.SIGKILL)
        self._kills = [(at, pid) for at, pid in self._kills if at > now]

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status, usage = os.wait4(pid, os.WNOHANG | os.WUNTRACED)
            if not ended:
                continue
            number, began = self._children[pid]
            if os.WIFSTOPPED(status):
                _say(id=number, stopped=True)
                continue
            del self._children[pid]
            seconds = time.monotonic() - began
            _say(id=number, status=os.waitstatus_to_exitcode(status), peak=usage.ru_maxrss, seconds=seconds)

    def _be_the_child(self, request: Request) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(self._data / "engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        for spare in (nothing, log, self._woken):
            os.close(spare)
        faulthandler.register(signal.SIGUSR1)
        code = 1
        try:
            code = _perform(request, self._data / "results" / str(request["id"]))
        except BaseException:  # noqa: BLE001 -- the top of a process: what it died of is read in the log
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _perform(request: Request, result: Path) -> int:
    """Do what the request asks; the exit code."""
    from django.db import connections

    from tests.faults.acts import ACTS
    from tests.faults.circumstances import CIRCUMSTANCES
    from tests.faults.mutants import MUTANTS
    from tests.faults.steps import stop_at

    if request.get("wait"):
        os.kill(os.getpid(), signal.SIGSTOP)
    for change in filter(None, request.get("change", "").split(", ")):
        (CIRCUMSTANCES | MUTANTS)[change]()
    for stop in request.get("stop", ()):
        stop_at(*stop)
    code = 0
    try:
        answer = ACTS[request["act"]](**request.get("args", {}))
        result.write_text(json.dumps(answer))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    connections.close_all()
    return code


def _say(**answer: object) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Load everything that a poll needs, and serve."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import get_commands
    from django.utils import translation

    for module in _NEEDED:
        importlib.import_module(module)
    get_commands()
    translation.gettext("default")
    data: Path = settings.DATA_DIR
    (data / "results").mkdir(exist_ok=True)
    _say(ready=True)
    Zygote(data).serve()


_NEEDED = (
    "django.db.models.sql.compiler",
    "encodings.idna",
    "fetchrules.management.commands.poll",
    "tests.faults.acts",
    "tests.faults.circumstances",
    "tests.faults.mutants",
    "tests.faults.steps",
)
"""What a poll would load by itself, each child anew."""


if __name__ == "__main__":
    main()
