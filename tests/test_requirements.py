"""What the product needs to run is declared: it can be imported where nothing else is installed."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.interop.installation import ROOT, Installation

START = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

ABSENT = set(sys.argv[1:])
sys.meta_path.insert(0, Absent())
for name in [name for name in sys.modules if name.partition(".")[0] in ABSENT]:
    del sys.modules[name]
import django; django.setup()
import utm_mail.parts, fetchrules.urls, fetchrules.tasks
from utm_mail.celery import app
app.connection_for_write().transport
"""
"""Everything that `up`, a worker and beat import, where the modules named in the arguments are not installed."""


def declared() -> set[str]:
    """The distributions that installing the product brings, with what they bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(line) for line in project["dependencies"]]
    while waiting:
        one = waiting.pop()
        wanted = canonicalize_name(one.name), frozenset(one.extras)
        if wanted not in found:
            found.add(wanted)
            waiting.extend(_brought_by(one))
    return {name for name, _ in found}


def _brought_by(one: Requirement) -> Iterator[Requirement]:
    for line in requires(one.name) or ():
        other = Requirement(line)
        if other.marker is None or any(other.marker.evaluate({"extra": extra}) for extra in {"", *one.extras}):
            yield other


def test_it_starts_with_redis_where_nothing_else_is_installed(tmp_path: Path) -> None:
    ours = declared() | {"utm-mail"}
    absent = [name for name, by in packages_distributions().items() if ours.isdisjoint(map(canonicalize_name, by))]
    assert "pytest" in absent
    env = Installation(tmp_path, {"UTM_MAIL_REDIS_URL": "redis://127.0.0.1:1/0"}).env
    run = subprocess.run(
        [sys.executable, "-c", START, *absent],
        env={**env, "DJANGO_SETTINGS_MODULE": "utm_mail.settings"},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (run.returncode, run.stderr) == (0, "")
