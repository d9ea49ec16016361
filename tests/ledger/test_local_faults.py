"""What keeps this machine from collecting, read off the rules and the database's file."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from fetchrules.ledger.local_faults import LocalFault, local_faults
from fetchrules.models import FetchRule

pytestmark = pytest.mark.django_db

MakeRule = Callable[..., FetchRule]
NOW = timezone.now()
HOUR = timedelta(hours=1)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the database would be in."""
    path = tmp_path / "db.sqlite3"
    path.touch()
    monkeypatch.setitem(connection.settings_dict, "NAME", str(path))
    return path


def test_it_adds_up_what_rules_fail_by(make_rule: MakeRule) -> None:
    make_rule(last_error="disk_full", failures=1, failing_since=NOW, last_detail="/srv: 0 octets free")
    make_rule(last_error="disk_full", failures=9, failing_since=NOW - HOUR)
    make_rule(last_error="key_missing", failures=1, failing_since=NOW)
    make_rule(last_error="timed_out", failures=1, failing_since=NOW)
    make_rule(last_error="disk_full", failures=0)
    make_rule(last_error="disk_full", failures=5, owned=True)
    assert local_faults(NOW) == (
        LocalFault("disk_full", 2, NOW - HOUR, "/srv: 0 octets free"),
        LocalFault("key_missing", 1, NOW, ""),
    )


def test_it_finds_nothing_wrong_with_a_file_that_can_be_written_to(file: Path) -> None:
    assert local_faults(NOW) == ()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a file is SQLite's")
def test_it_knows_that_the_database_has_no_room(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(file.parent)
    full = os.statvfs_result([0 if name == "f_bavail" else getattr(disk, name) for name in _FIELDS])
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    assert local_faults(NOW) == (LocalFault("database_failed", 0, NOW, f"{file.parent}: no room"),)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a file is SQLite's")
def test_it_knows_that_the_database_is_read_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != file)  # the tests may run as root
    assert local_faults(NOW) == (LocalFault("database_failed", 0, NOW, f"{file}: read-only"),)


_FIELDS = (
    "f_bsize",
    "f_frsize",
    "f_blocks",
    "f_bfree",
    "f_bavail",
    "f_files",
    "f_ffree",
    "f_favail",
    "f_flag",
    "f_namemax",
)
