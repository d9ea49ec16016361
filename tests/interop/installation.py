"""An installation of the product as its users run it: commands and processes on a data directory of their own."""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.interop.dovecot import Dovecot
from tests.interop.process import free_ports
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Programs:
    """How the product's commands are called, and in which directory."""

    manage: tuple[str, ...]
    celery: tuple[str, ...]
    gunicorn: tuple[str, ...]
    cwd: Path


CHECKOUT = Programs(
    manage=(sys.executable, str(ROOT / "manage.py")),
    celery=(sys.executable, "-m", "celery"),
    gunicorn=(sys.executable, "-m", "gunicorn"),
    cwd=ROOT,
)


@dataclass(frozen=True, slots=True)
class Panel:
    """A running `manage.py up`."""

    process: "subprocess.Popen[str]"
    address: str
    log: Path

    @property
    def password(self) -> str | None:
        """The administrator's, where it printed one."""
        found = re.search(r": admin, .*?([\w-]{16})(?![\w-])", self.log.read_text())
        return found and found[1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(40)


class Installation:
    """The product on the data directory `data`; `env` are its UTM_MAIL_… variables and what else a process shall see."""

    def __init__(self, data: Path, env: Mapping[str, str] | None = None, programs: Programs = CHECKOUT) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("UTM_MAIL_", "DJANGO_"))}
        self.data = data
        self.programs = programs
        self.env = {**kept, "UTM_MAIL_DATA": str(data), "PYTHONUNBUFFERED": "1", **(env or {})}

    @classmethod
    def beside(cls, dovecot: Dovecot, data: Path, env: Mapping[str, str] | None = None) -> "Installation":
        """One that delivers into the Maildirs of `dovecot` and trusts its certificate."""
        delivery = f"maildir:{dovecot.mail}/{{domain}}/{{local}}"
        trust = str(dovecot.certificates.cafile)
        return cls(data, {"UTM_MAIL_DELIVERY": delivery, "SSL_CERT_FILE": trust, **(env or {})})

    def prepare(self) -> None:
        """Give it a database with all its tables: a copy of one that was made before, which is faster than migrations."""
        if "UTM_MAIL_DATABASE_URL" in self.env:
            self.manage("migrate", "-v0")
        else:
            shutil.copy(_migrated(), self.data)

    def manage(self, *arguments: str, text: str = "", expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` with `text` at its standard input."""
        done = subprocess.run(
            [*self.programs.manage, *arguments],
            input=text,
            capture_output=True,
            text=True,
            env=self.env,
            cwd=self.programs.cwd,
            timeout=120,
            check=False,
        )
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def paste(self, text: str) -> None:
        """Make these lines rules, as the text box does."""
        self.manage("rules", "import", "-", text=text)

    def poll(self, *arguments: str, expect: int = 0) -> list[dict[str, Any]]:
        """What `manage.py poll --json` says, by rule."""
        return [
            json.loads(line) for line in self.manage("poll", "--json", *arguments, expect=expect).stdout.splitlines()
        ]

    @contextmanager
    def celery(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """A process of Celery's own command line."""
        with self._process(*self.programs.celery, "-A", "utm_mail", *arguments) as (process, _log):
            yield process

    @contextmanager
    def up(self, *arguments: str) -> Iterator[Panel]:
        """`manage.py up` on a free port; the block begins when it has printed its address."""
        (port,) = free_ports(1)
        with self._process(*self.programs.manage, "up", "--port", str(port), *arguments) as (process, log):
            address = f"http://127.0.0.1:{port}/"
            until(lambda: address in log.read_text() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield Panel(process, address, log)

    @contextmanager
    def gunicorn(self, *arguments: str) -> Iterator[Panel]:
        """The web panel alone, as docker-compose.yml runs it, on a free port; the block begins when it listens."""
        (port,) = free_ports(1)
        bind = f"127.0.0.1:{port}"
        with self._process(*self.programs.gunicorn, "utm_mail.wsgi", "--bind", bind, *arguments) as (process, log):
            until(lambda: f"Listening at: http://{bind}" in log.read_text() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield Panel(process, f"http://{bind}/", log)
            process.terminate()
            process.wait(40)

    @contextmanager
    def _process(self, *command: str) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
        log = self.data / f"{len(list(self.data.glob('*.log')))}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                env=self.env,
                cwd=self.programs.cwd,
                start_new_session=True,
            )
        try:
            yield process, log
        finally:
            # Whoever wants to see it end in good order has done so by now.
            process.kill()
            process.wait()


@cache
def _migrated() -> Path:
    """A SQLite database in which nothing has happened yet."""
    made = Installation(Path(tempfile.mkdtemp(prefix="utm-mail-migrated-")))
    atexit.register(shutil.rmtree, made.data)
    made.manage("migrate", "-v0")
    return made.data / "utm_mail.sqlite3"
