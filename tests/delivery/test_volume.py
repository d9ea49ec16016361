"""The marker of the volume that Maildirs lie on: made once, never in place of anything, and no obstacle where it cannot be made."""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fetchrules.delivery.maildir import VOLUME_DIRECTORY, Maildir, is_maildir, make_volume_marker, volume_marker
from fetchrules.delivery.recipients import RootedPath
from tests.delivery.conftest import OpenMaildir


def test_it_makes_one_marker_for_ever(tmp_path: Path) -> None:
    assert volume_marker(tmp_path) is None
    marker = make_volume_marker(tmp_path, "draft")
    assert marker is not None
    assert make_volume_marker(tmp_path, "draft") == volume_marker(tmp_path) == marker
    assert sorted(path.name for path in (tmp_path / VOLUME_DIRECTORY).iterdir()) == ["marker", "seal"]


def test_workers_at_once_make_one_marker(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as workers:
        made = set(workers.map(lambda number: make_volume_marker(tmp_path, f"draft-{number}"), range(64)))
    assert made == {volume_marker(tmp_path)}
    assert sorted(path.name for path in (tmp_path / VOLUME_DIRECTORY).iterdir()) == ["marker", "seal"]


def test_each_volume_has_a_marker_of_its_own(tmp_path: Path) -> None:
    assert make_volume_marker(tmp_path / "one", "draft") != make_volume_marker(tmp_path / "two", "draft")


def file_in_the_way(root: Path) -> None:
    (root / VOLUME_DIRECTORY).write_text("mine")


def symlink_in_the_way(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / VOLUME_DIRECTORY).symlink_to(root / "elsewhere")


def nothing_in_the_marker(root: Path) -> None:
    (root / VOLUME_DIRECTORY).mkdir()
    (root / VOLUME_DIRECTORY / "marker").touch()


def pipe(root: Path) -> None:
    (root / VOLUME_DIRECTORY).mkdir()
    os.mkfifo(root / VOLUME_DIRECTORY / "marker")


def directory_in_the_way(root: Path) -> None:
    (root / VOLUME_DIRECTORY / "marker").mkdir(parents=True)


@pytest.mark.parametrize(
    "spoil", [file_in_the_way, symlink_in_the_way, nothing_in_the_marker, pipe, directory_in_the_way]
)
def test_it_leaves_alone_what_is_none_of_ours(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert volume_marker(tmp_path) is None
    assert make_volume_marker(tmp_path, "draft") is None
    assert sorted(tmp_path.rglob("*")) == before


def test_it_does_without_where_nobody_may_write(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    assert make_volume_marker(tiny_disk, "draft") is None


def test_it_does_without_where_the_disk_is_full(tiny_disk: Path) -> None:
    (tiny_disk / VOLUME_DIRECTORY).mkdir()
    with pytest.raises(OSError, match="No space left"):
        (tiny_disk / "filler").write_bytes(b"x" * (1 << 20))
    assert make_volume_marker(tiny_disk, "draft") is None
    assert list((tiny_disk / VOLUME_DIRECTORY).iterdir()) == []
    (tiny_disk / "filler").unlink()
    assert make_volume_marker(tiny_disk, "draft") == volume_marker(tiny_disk) is not None


def test_it_knows_a_maildir_by_its_marker(open_maildir: OpenMaildir, place: RootedPath) -> None:
    maildir: Maildir = open_maildir()
    assert maildir.staging.marker is not None
    assert is_maildir(place.path, maildir.staging.marker)
    assert not is_maildir(place.path, "0" * 32)
    assert not is_maildir(place.path.with_name("nobody"), maildir.staging.marker)
    (place.path / "tmp/utm-mail/marker").write_text("\n")
    assert not is_maildir(place.path, maildir.staging.marker)
