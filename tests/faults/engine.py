"""An installation of the product whose processes a test starts, stops and kills: the harness's end of `zygote`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KEY = "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PATIENCE = 60.0
"""Seconds until a child that should have ended or stopped is a failure."""

Stop = tuple[str, str, int, int]
"""A step, "before" or "after", the how-manieth time, and the signal: see `steps.stop_at`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended. `status` is its exit code or a negative signal; `peak` its largest size in KiB."""

    status: int
    peak: int
    seconds: float
    result: Any = None

    @property
    def killed(self) -> bool:
        """Whether a SIGKILL ended it."""
        return self.status == -signal.SIGKILL


class Act:
    """Something that a child is doing."""

    def __init__(self, engine: "Engine", number: int) -> None:
        self._engine = engine
        self._number = number
        self._changed = Condition()
        self._told: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        """Of the process that does it."""
        return int(self._await("pid")["pid"])

    def wait(self, seconds: float = PATIENCE) -> Ended:
        """Its end. Raises TimeoutError, with where the child was, and it is killed."""
        try:
            told = self._await("status", seconds)
        except TimeoutError as error:
            self.signal(signal.SIGUSR1)
            self.doze(1.0)
            self.signal(signal.SIGKILL)
            error.add_note(self._engine.log[-4000:])
            raise
        result = self._engine.data / "results" / str(self._number)
        answer = json.loads(result.read_text()) if told["status"] == 0 else None
        result.unlink(missing_ok=True)
        return Ended(told["status"], told["peak"], told["seconds"], answer)

    def stopped_or_ended(self, seconds: float = PATIENCE) -> bool:
        """Wait until it sleeps (True) or is over (False)."""
        return "status" not in self._await("stopped", seconds)

    def doze(self, seconds: float) -> None:
        """Let it work for so long, or until it is over."""
        with self._changed:
            self._changed.wait_for(lambda: "status" in self._told, seconds)

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it is over."""
        with self._changed:
            self._told.pop("stopped", None)
        self._engine.tell(signal=self._number, number=int(number))

    def hear(self, told: Mapping[str, Any]) -> None:
        """What the zygote says about it."""
        with self._changed:
            self._told.update(told)
            self._changed.notify_all()

    def _await(self, name: str, seconds: float = PATIENCE) -> dict[str, Any]:
        with self._changed:
            if not self._changed.wait_for(lambda: name in self._told or "status" in self._told, seconds):
                raise TimeoutError(f"act {self._number} of {self._engine.data}: {self._told}")
            return dict(self._told)


class Engine:
    """A running zygote on the data directory `data`."""

    def __init__(self, data: Path, process: "subprocess.Popen[bytes]", env: Mapping[str, str]) -> None:
        self.data = data
        self.mail = Path(env["UTM_MAIL_DELIVERY"].removeprefix("maildir:").partition("/{")[0])
        self.env = dict(env)
        self._process = process
        self._acts: dict[int, Act] = {}
        self._lock = Lock()
        self._begun = 0
        self._hearing = Thread(target=self._hear, name=f"zygote {process.pid}", daemon=True)
        self._hearing.start()

    def begin(
        self,
        act: str,
        *,
        change: str = "",
        stop: Sequence[Stop] = (),
        wait: bool = False,
        kill_after: float | None = None,
        **args: Any,
    ) -> Act:
        """Start an act in a child of its own.

        `change` names circumstances or mutants, parted by ", "; `stop` says where it gets signals; `wait`: it sleeps before
        it begins; `kill_after` is in seconds.
        """
        with self._lock:
            self._begun += 1
            begun = self._acts[self._begun] = Act(self, self._begun)
            request = {"id": self._begun, "act": act, "args": args, "change": change, "stop": stop, "wait": wait}
        self.tell(**request, **({} if kill_after is None else {"kill_after": kill_after}))
        return begun

    def do(self, act: str, **args: Any) -> Any:
        """Start an act and wait for what it returns."""
        ended = self.begin(act, **args).wait()
        assert ended.status == 0, f"{act}: {ended.status}\n{self.log[-4000:]}"
        return ended.result

    @property
    def log(self) -> str:
        """What the children printed."""
        log = self.data / "engine.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def tell(self, **request: Any) -> None:
        """Write one request."""
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """End the zygote; it ends its children."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._hearing.join()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self._lock:
                act = self._acts.get(told.pop("id", 0))
                if act is not None and "status" in told:
                    del self._acts[act._number]
            if act is not None:
                act.hear(told)


@contextmanager
def running_engine(data: Path, env: Mapping[str, str] | None = None) -> Iterator[Engine]:
    """An engine with an empty, migrated database; `env` are further variables."""
    data.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UTM_MAIL_", "DJANGO_"))}
    own = {
        "DJANGO_SETTINGS_MODULE": "utm_mail.settings",
        "UTM_MAIL_DATA": str(data),
        "UTM_MAIL_DELIVERY": f"maildir:{data}/mail/{{domain}}/{{local}}",
        "UTM_MAIL_KEYS": KEY,
        "UTM_MAIL_SECRET_KEY": "only-for-tests",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    env = {**kept, **own, **(env or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.zygote"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
        cwd=ROOT,
    )
    engine = Engine(data, process, env)
    try:
        engine.do("migrate")
        yield engine
    finally:
        engine.close()
