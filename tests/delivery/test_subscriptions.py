"""The list of subscribed folders in a mailbox, in the versions that Dovecot writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fetchrules.delivery import subscriptions
from fetchrules.delivery.disk import OpenDirectory, open_place
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.subscriptions import subscribe


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[OpenDirectory]:
    with open_place(RootedPath(tmp_path)) as directory:
        yield directory


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b"A.B\n"),
        (b"", b"A.B\n"),
        (b"Junk\n", b"Junk\nA.B\n"),
        (b"Junk", b"Junk\nA.B\n"),
        (b"A.B\nJunk\n", b"A.B\nJunk\n"),
        (b"V\t2\n\nJunk\n", b"V\t2\n\nJunk\nA\tB\n"),
        (b"V\t2\n\nA\tB\n", b"V\t2\n\nA\tB\n"),
    ],
)
def test_it_subscribes(before: bytes | None, after: bytes, mailbox: OpenDirectory, tmp_path: Path) -> None:
    if before is not None:
        (tmp_path / "subscriptions").write_bytes(before)
    assert subscribe(mailbox, ".A.B")
    assert [path.name for path in tmp_path.iterdir()] == ["subscriptions"]
    assert (tmp_path / "subscriptions").read_bytes() == after


def test_it_leaves_a_list_that_somebody_is_changing(
    mailbox: OpenDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "_WAIT_SECONDS", 0.1)
    (tmp_path / "subscriptions.lock").touch()
    assert not subscribe(mailbox, ".A")
    assert [path.name for path in tmp_path.iterdir()] == ["subscriptions.lock"]


def test_it_follows_no_link(mailbox: OpenDirectory, tmp_path: Path) -> None:
    (tmp_path / "subscriptions").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        subscribe(mailbox, ".A")
    assert [path.name for path in tmp_path.iterdir()] == ["subscriptions"]
