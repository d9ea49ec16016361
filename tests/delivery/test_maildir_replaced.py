"""A Maildir that somebody exchanges, empties or unmounts: nothing is made there, and nothing is concluded from it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetchrules.delivery import marker as marker_module
from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.recipients import RootedPath
from fetchrules.errors import MaildirReplaced
from tests.delivery.conftest import OpenMaildir
from tests.delivery.test_maildir import new_in, staged


def remove(place: RootedPath) -> None:
    shutil.rmtree(place.path)


def exchange(place: RootedPath) -> None:
    place.path.rename(place.path.with_name("old"))
    other = Maildir(place, reserve=0)
    other.prepare(0)
    other.close()


def move_away(place: RootedPath) -> None:
    place.path.rename(place.path.with_name("old"))


def empty_tmp(place: RootedPath) -> None:
    shutil.rmtree(place.path / "tmp")
    (place.path / "tmp").mkdir()


def remove_staging(place: RootedPath) -> None:
    shutil.rmtree(place.path / "tmp/utm-mail")


def remake_staging(place: RootedPath) -> None:
    marker = (place.path / "tmp/utm-mail/marker").read_text()
    shutil.rmtree(place.path / "tmp/utm-mail")
    (place.path / "tmp/utm-mail").mkdir()
    (place.path / "tmp/utm-mail/marker").write_text(marker)


def remove_new(place: RootedPath) -> None:
    shutil.rmtree(place.path / "new")


def remake_new(place: RootedPath) -> None:
    shutil.rmtree(place.path / "new")
    (place.path / "new").mkdir()


def remove_cur(place: RootedPath) -> None:
    shutil.rmtree(place.path / "cur")


def remake_cur(place: RootedPath) -> None:
    (place.path / "cur").rename(place.path / "old")  # so that the new one has another inode
    (place.path / "cur").mkdir()


def remove_marker(place: RootedPath) -> None:
    (place.path / "tmp/utm-mail/marker").unlink()


def change_marker(place: RootedPath) -> None:
    (place.path / "tmp/utm-mail/marker").write_text("0" * 32 + "\n")


def spoil_marker(place: RootedPath) -> None:
    (place.path / "tmp/utm-mail/marker").write_text("\n")


ALTERATIONS = [
    remove, exchange, move_away, empty_tmp, remove_staging, remake_staging, remove_new, remake_new, remove_marker,
    change_marker, spoil_marker,
]  # fmt: skip


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_it_concludes_nothing_from_another_maildir(
    maildir: Maildir, place: RootedPath, alter: Callable[[RootedPath], None]
) -> None:
    name = staged(maildir).name
    alter(place)
    with pytest.raises(MaildirReplaced):
        maildir.commit([name])
    with pytest.raises(MaildirReplaced):
        maildir.prepare(0)


def test_it_moves_nothing_in_a_maildir_that_was_put_away(maildir: Maildir, place: RootedPath) -> None:
    name = staged(maildir).name
    old = place.path.rename(place.path.with_name("old"))
    with pytest.raises(MaildirReplaced):
        maildir.commit([name])
    assert list((old / "new").iterdir()) == []


@pytest.mark.parametrize("alter", [step for step in ALTERATIONS if step not in {remake_staging, remake_new}])
def test_it_will_not_open_another_maildir(
    open_maildir: OpenMaildir, place: RootedPath, alter: Callable[[RootedPath], None]
) -> None:
    """Remade directories with the right marker cannot be told from a mailbox that was copied to another disk."""
    marker = open_maildir().staging.marker
    alter(place)
    listing = sorted(place.root.rglob("*"))
    with pytest.raises(MaildirReplaced):
        open_maildir(marker)
    assert sorted(place.root.rglob("*")) == listing, "something was made where nothing is known"


@pytest.mark.parametrize("alter", [remove, exchange, empty_tmp, remove_staging, remake_staging, remove_new])
def test_it_concludes_nothing_when_the_maildir_goes_during_the_commit(
    maildir: Maildir, place: RootedPath, alter: Callable[[RootedPath], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = staged(maildir).name
    rename = os.rename

    def rename_too_late(*args: Any, **directories: Any) -> None:
        with monkeypatch.context() as restored:
            restored.setattr(os, "rename", rename)
            alter(place)
        rename(*args, **directories)

    monkeypatch.setattr(os, "rename", rename_too_late)
    with pytest.raises(MaildirReplaced):
        maildir.commit([name])


@pytest.mark.parametrize("alter", [remove, exchange, empty_tmp, remove_staging, remove_cur, remake_cur])
def test_it_concludes_nothing_when_the_maildir_goes_while_letters_with_flags_are_committed(
    maildir: Maildir, place: RootedPath, alter: Callable[[RootedPath], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = staged(maildir, flags="S").name
    rename = os.rename

    def rename_and_alter(*args: Any, **directories: Any) -> None:
        rename(*args, **directories)
        with monkeypatch.context() as restored:
            restored.setattr(os, "rename", rename)
            alter(place)

    monkeypatch.setattr(os, "rename", rename_and_alter)
    with pytest.raises(MaildirReplaced):
        maildir.commit([name])


def test_it_notices_a_marker_that_vanishes_while_it_is_made(place: RootedPath, monkeypatch: pytest.MonkeyPatch) -> None:
    maildir = Maildir(place, reserve=0)
    monkeypatch.setattr(os, "link", lambda *_, **__: None)
    with pytest.raises(MaildirReplaced):
        maildir.prepare(0)
    maildir.close()


def copy(place: RootedPath) -> None:
    """As a back-up that is restored does: everything is as it was, and nothing the same."""
    shutil.copytree(place.path, place.path.with_name("copy"))
    shutil.rmtree(place.path)
    place.path.with_name("copy").rename(place.path)


def test_it_tells_a_copy_from_the_original(open_maildir: OpenMaildir, place: RootedPath) -> None:
    original = open_maildir()
    assert original.staging.sealed
    copy(place)
    restored = open_maildir(original.staging.marker)
    assert not restored.staging.sealed
    restored.staging.seal([])
    assert restored.staging.sealed


def test_it_knows_a_maildir_that_was_renamed(open_maildir: OpenMaildir, place: RootedPath) -> None:
    marker = open_maildir().staging.marker
    place.path.rename(place.path.with_name("aside"))
    place.path.with_name("aside").rename(place.path)
    assert open_maildir(marker).staging.sealed


def test_it_stands_for_no_copy_without_the_letters(open_maildir: OpenMaildir, place: RootedPath) -> None:
    original = open_maildir()
    names = [staged(original, key=key).name for key in "12"]
    copy(place)
    restored = open_maildir(original.staging.marker)
    (place.path / "tmp/utm-mail" / names[0]).unlink()
    with pytest.raises(MaildirReplaced, match="without 1 letters"):
        restored.staging.seal(names)
    assert not restored.staging.sealed
    restored.staging.seal(names[1:])
    assert restored.staging.sealed


def test_it_seals_again_what_another_maker_has_broken(
    open_maildir: OpenMaildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, replace = place.path / "tmp/utm-mail/marker", os.replace

    def replace_late(*args: Any, **directories: Any) -> None:
        monkeypatch.setattr(os, "replace", replace)
        os.link(marker, marker.with_name("draft"))
        marker.with_name("draft").unlink()
        replace(*args, **directories)

    monkeypatch.setattr(os, "replace", replace_late)
    assert open_maildir().staging.sealed


def test_it_works_where_no_seal_holds(
    open_maildir: OpenMaildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that gives a file another inode whenever it is asked."""
    numbers = iter(range(100))
    monkeypatch.setattr(marker_module, "_identity", lambda _: f"{next(numbers)} 0\n".encode())
    maildir = open_maildir()
    assert not maildir.staging.sealed
    name = staged(maildir).name
    maildir.commit([name])
    assert new_in(place) == {name}


def test_it_does_not_wait_for_a_marker_that_is_a_pipe(place: RootedPath, open_maildir: OpenMaildir) -> None:
    marker = open_maildir().staging.marker
    (place.path / "tmp/utm-mail/marker").unlink()
    os.mkfifo(place.path / "tmp/utm-mail/marker")
    with pytest.raises(MaildirReplaced):
        open_maildir(marker)


def test_it_will_not_mistake_an_unmounted_disk_for_a_delivery(tiny_disk: Path) -> None:
    place = RootedPath(tiny_disk / "mail", ("petrov",))
    maildir = Maildir(place, reserve=0)
    maildir.prepare(0)
    name = staged(maildir).name
    maildir.close()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tiny_disk], check=True)
    try:
        with pytest.raises(MaildirReplaced):
            maildir.prepare(0)
        assert list(tiny_disk.iterdir()) == []
    finally:
        subprocess.run(["umount", tiny_disk], check=True)
    maildir.prepare(0)
    assert maildir.commit([name]) == {}
    assert new_in(place) == {name}
    maildir.close()
