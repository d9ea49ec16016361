"""The product as users get it: a wheel, and an environment with the wheel and what it asks for, and nothing else."""

import fcntl
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.installation import ROOT, Programs
from tests.interop.installed import absent

_NO_SOURCE = (
    ".git",
    ".venv",
    ".*_cache",
    ".hypothesis",
    ".coverage*",
    "*.egg-info",
    "__pycache__",
    "build",
    "dist",
    "var",
)
"""What a clean clone does not have."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """Everything that is made of a checkout, in `directory`."""

    directory: Path

    @property
    def sdist(self) -> Path:
        """The source distribution."""
        return next((self.directory / "dist").glob("*.tar.gz"))

    @property
    def file(self) -> Path:
        """The wheel, built from the sdist; it is what is installed."""
        return next((self.directory / "dist").glob("*.whl"))

    @property
    def from_checkout(self) -> Path:
        """A wheel as it is built without an sdist in between."""
        return next((self.directory / "direct").glob("*.whl"))

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return self.directory / "environment" / "bin" / "python"

    def pip(self, *arguments: str) -> str:
        """What pip says of the environment. Fails where pip does."""
        return _run(*_pip(self.python), *arguments)

    @property
    def programs(self) -> Programs:
        """The environment's commands, called from a directory in which there is nothing.

        gunicorn stands apart, because it brings modules that the other processes may lack.
        """
        programs = self.python.parent
        return Programs(
            manage=(str(programs / "utm-mail"),),
            celery=(str(programs / "celery"),),
            gunicorn=("env", f"PYTHONPATH={self.directory / 'gunicorn'}", str(self.python), "-m", "gunicorn"),
            cwd=self.directory / "elsewhere",
        )


def wheel_in(directory: Path) -> Wheel:
    """The one wheel of a test session in `directory`, made by whichever of the session's processes comes first."""
    wheel = Wheel(directory)
    with _alone(directory.with_suffix(".lock")):
        if not (directory / "made").exists():
            shutil.rmtree(directory, ignore_errors=True)
            _make(wheel)
            (directory / "made").touch()
    return wheel


def _make(wheel: Wheel) -> None:
    source, tools = wheel.directory / "source", wheel.directory / "tools"
    (wheel.directory / "elsewhere").mkdir(parents=True)
    if subprocess.run([*_pip(), "download", "--no-deps", "-d", tools, "setuptools>=77"], check=False).returncode:
        absent("no package index answers")
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*_NO_SOURCE), symlinks=True)
    offline = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tools)}
    _run(sys.executable, "-m", "build", source, "--outdir", wheel.directory / "dist", env=offline)
    _run(*_pip(), "wheel", "--no-deps", "-w", wheel.directory / "direct", source, env=offline)

    _run(sys.executable, "-m", "venv", "--without-pip", wheel.python.parents[1])
    _run(*_pip(wheel.python), "install", f"{wheel.file}[postgres]")
    _run(*_pip(), "install", "--target", wheel.directory / "gunicorn", *_asked_for("server"))


def _asked_for(extra: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["optional-dependencies"][extra])


def _run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _pip(python: Path | None = None) -> list[str | Path]:
    of = ["--python", str(python)] if python else []
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", *of]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
