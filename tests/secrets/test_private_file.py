"""Nobody else on the machine may look into the data: whatever starts mends it."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fetchrules.secrets.private_file import close_to_others, open_to_others
from tests.interop.installation import ROOT, Installation

ENTRIES = [
    ("manage.py", "shell", "-v0", "-c", "pass"),
    ("-c", "import utm_mail.wsgi"),
    ("-m", "celery", "-A", "utm_mail", "report"),
]
"""The command line, the web panel under another server, worker and scheduler."""


def modes(directory: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (directory, *directory.iterdir())}


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """One that an older version, or a copy, has left open."""
    data = tmp_path / "data"
    data.mkdir()
    installation = Installation(data)
    installation.prepare()
    sqlite3.connect(data / "utm_mail.sqlite3").execute("PRAGMA journal_mode=WAL")
    for name in ("utm_mail.sqlite3-wal", "utm_mail.sqlite3-shm", "keys", "secret_key"):
        (data / name).touch()
    (data / "keys").write_text("")
    (data / "secret_key").write_text("only for tests")
    for path in data.iterdir():
        path.chmod(0o644)
    data.chmod(0o755)
    return installation


@pytest.mark.parametrize("entry", ENTRIES)
def test_it_closes_what_is_open_at_each_start(entry: tuple[str, ...], installation: Installation) -> None:
    subprocess.run(
        [sys.executable, *entry], env=installation.env, cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    found = modes(installation.data)
    assert found.pop("data") == "0o700"
    assert {name: mode for name, mode in found.items() if mode != "0o600"} == {}
    assert {"utm_mail.sqlite3", "keys", "secret_key"} <= found.keys()


def test_it_makes_nothing_that_others_may_read(installation: Installation) -> None:
    made = installation.data / "made"
    installation.env["MADE"] = str(made)
    code = "import os; open(os.environ['MADE'], 'w').close()"
    installation.manage("shell", "-v0", "-c", code)
    assert oct(stat.S_IMODE(made.stat().st_mode)) == "0o600"


def test_it_shuts_nobody_out_of_a_directory_that_is_not_its_own(tmp_path: Path) -> None:
    before = os.umask(0o022)
    tmp_path.chmod(0o1777)
    database = tmp_path / "db"
    database.touch(0o644)
    close_to_others(tmp_path, database)
    os.umask(before)
    assert modes(tmp_path) == {tmp_path.name: "0o1777", "db": "0o600"}
    assert list(open_to_others(tmp_path, database)) == [tmp_path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another's files")
def test_it_leaves_a_directory_open_in_which_others_have_files(tmp_path: Path) -> None:
    before = os.umask(0o022)
    (tmp_path / "postgresql").mkdir()
    os.chown(tmp_path / "postgresql", 12345, 12345)
    tmp_path.chmod(0o755)
    close_to_others(tmp_path, None)
    os.umask(before)
    assert modes(tmp_path)[tmp_path.name] == "0o755"
