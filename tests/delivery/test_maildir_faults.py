"""A Maildir on a disk that fails: nothing is delivered by halves, and everything is said."""

import errno
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fetchrules.delivery.disk import WriterExhausted, failure
from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.recipients import RootedPath
from fetchrules.errors import (
    DeliveryFailed,
    DiskFull,
    Exhausted,
    LocalProtocolError,
    MailboxUnwritable,
    MaildirReplaced,
    Retry,
)
from tests.delivery.conftest import OpenMaildir, descriptors, file_size_limit
from tests.delivery.test_maildir import LETTER, deliver, new_in, staged, waiting_in


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EACCES, MailboxUnwritable),
        (errno.EPERM, MailboxUnwritable),
        (errno.EROFS, MailboxUnwritable),
        (errno.ENOTDIR, MailboxUnwritable),
        (errno.ELOOP, MailboxUnwritable),
        (errno.EMFILE, WriterExhausted),
        (errno.ENFILE, WriterExhausted),
        (errno.ENOMEM, WriterExhausted),
        (errno.EIO, DeliveryFailed),
        (errno.EFBIG, DeliveryFailed),
        (errno.ESTALE, DeliveryFailed),
    ],
)
def test_it_says_what_an_error_means(number: int, kind: type[DeliveryFailed]) -> None:
    result = failure(OSError(number, os.strerror(number)), "new")
    assert type(result) is kind
    assert result.detail == f"new: {os.strerror(number)}"


def test_it_names_a_machine_without_descriptors_as_the_local_fault_that_it_is() -> None:
    result = failure(OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "new")
    assert isinstance(result, Exhausted)
    assert (result.code, result.retry) == (Exhausted.code, Retry.OURS)


def break_call(monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, fails: Callable[..., bool]) -> list[object]:
    """The system call `os.<name>` fails with `number` where `fails(*args)`; the first arguments of the failed calls."""
    real = getattr(os, name)
    failed: list[object] = []

    def call(*args: object, **kwargs: object) -> object:
        if fails(*args):
            failed.append(args[0])
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, call)
    return failed


def is_file(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def is_directory(fd: int) -> bool:
    return not is_file(fd)


def test_it_fails_when_a_letter_cannot_be_written(maildir: Maildir, place: RootedPath) -> None:
    before = descriptors()
    draft = maildir.staging.begin("1")
    with file_size_limit(10_000), pytest.raises(DeliveryFailed):
        draft.write(b"x" * 20_000)
    draft.discard()
    assert waiting_in(place) == set()
    assert descriptors() == before


def test_it_fails_when_the_last_octet_cannot_be_written(maildir: Maildir, place: RootedPath) -> None:
    draft = maildir.staging.begin("1")
    draft.write(b"x\r")
    with file_size_limit(1), pytest.raises(DeliveryFailed):
        draft.finish()
    draft.discard()
    assert waiting_in(place) == set()


def test_it_fails_when_closing_fails(maildir: Maildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = maildir.staging.begin("1")
    with monkeypatch.context() as broken:
        break_call(broken, "close", errno.EDQUOT, fails=is_file)
        with pytest.raises(DiskFull):
            draft.finish()
    draft.discard()
    assert waiting_in(place) == set()


def test_it_drops_the_letters_of_a_failed_fsync(
    maildir: Maildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = [staged(maildir, key=str(number)) for number in range(5)]
    with monkeypatch.context() as broken:
        failed = break_call(broken, "fsync", errno.EIO, fails=is_file)
        with pytest.raises(DeliveryFailed):
            maildir.staging.sync(letters)
    assert len(failed) <= len(letters), "an fsync was repeated"
    assert waiting_in(place) == set()


def test_it_drops_the_letters_whose_names_are_not_durable(
    maildir: Maildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = [staged(maildir)]
    with monkeypatch.context() as broken:
        failed = break_call(broken, "fsync", errno.ENOSPC, fails=is_directory)
        with pytest.raises(DiskFull):
            maildir.staging.sync(letters)
    assert len(failed) == 1
    assert waiting_in(place) == set()


def test_it_fails_when_a_letter_to_sync_has_vanished(maildir: Maildir, place: RootedPath) -> None:
    letters = [staged(maildir, key=key) for key in "12"]
    maildir.staging.remove([letters[0].name])
    with pytest.raises(DeliveryFailed):
        maildir.staging.sync(letters)
    assert waiting_in(place) == set()


def test_it_says_which_letters_could_not_be_moved(
    maildir: Maildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [staged(maildir, key=key).name for key in "123"]
    with monkeypatch.context() as broken:
        break_call(broken, "rename", errno.EDQUOT, fails=lambda name, *_: name == names[1])
        failures = maildir.commit(names)
    assert {name: type(error) for name, error in failures.items()} == {names[1]: DiskFull}
    assert (new_in(place), waiting_in(place)) == ({names[0], names[2]}, {names[1]})
    assert maildir.commit(names) == {}
    assert new_in(place) == set(names)


def test_it_concludes_nothing_when_new_is_not_durable(maildir: Maildir, monkeypatch: pytest.MonkeyPatch) -> None:
    name = staged(maildir).name
    with monkeypatch.context() as broken:
        break_call(broken, "fsync", errno.EIO, fails=is_directory)
        with pytest.raises(DeliveryFailed):
            maildir.commit([name])
    assert maildir.commit([name]) == {}


def test_it_concludes_nothing_when_cur_is_not_durable(
    maildir: Maildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = staged(maildir, flags="S").name
    cur = (place.path / "cur").stat().st_ino
    with monkeypatch.context() as broken:
        failed = break_call(broken, "fsync", errno.EIO, fails=lambda fd: os.fstat(fd).st_ino == cur)
        for _ in range(2):  # the letter is gone from staging by the second time, and still not durable
            with pytest.raises(DeliveryFailed):
                maildir.commit([name])
    assert len(failed) == 2
    assert maildir.commit([name]) == {}


def test_it_makes_no_marker_that_is_not_durable(place: RootedPath, monkeypatch: pytest.MonkeyPatch) -> None:
    maildir = Maildir(place, reserve=0)
    with monkeypatch.context() as broken:
        break_call(broken, "fsync", errno.EIO, fails=is_file)
        with pytest.raises(DeliveryFailed):
            maildir.prepare(0)
    assert not (place.path / "tmp/utm-mail/marker").exists()
    maildir.prepare(0)
    maildir.close()


def test_it_makes_the_whole_marker_durable_and_its_seal(place: RootedPath, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, sizes = os.fsync, dict[int, int]()

    def syncing(fd: int) -> None:
        status = os.fstat(fd)
        sizes.setdefault(status.st_ino, status.st_size)
        fsync(fd)

    with monkeypatch.context() as watched:
        watched.setattr(os, "fsync", lambda file: syncing(file if isinstance(file, int) else file.fileno()))
        maildir = Maildir(place, reserve=0)
        maildir.prepare(0)
        maildir.close()
    for name in ("marker", "seal"):
        status = (place.path / "tmp/utm-mail" / name).stat()
        assert sizes[status.st_ino] == status.st_size


def test_it_wants_room(place: RootedPath) -> None:
    free = shutil.disk_usage(place.root).free
    maildir = Maildir(place)
    with pytest.raises(DiskFull):
        maildir.prepare(2 * free)
    maildir.prepare(1000)
    maildir.close()


def test_it_leaves_a_reserve_for_others(place: RootedPath) -> None:
    free = shutil.disk_usage(place.root).free
    maildir = Maildir(place, reserve=2 * free)
    with pytest.raises(DiskFull):
        maildir.prepare(0)
    maildir.close()


def test_it_finds_a_disk_full_while_writing(tiny_disk: Path) -> None:
    place = RootedPath(tiny_disk, ("petrov",))
    maildir = Maildir(place, reserve=0)
    maildir.prepare(1000)
    draft = maildir.staging.begin("1")
    with pytest.raises(DiskFull):
        draft.write(b"x" * 300_000)
    draft.discard()
    deliver(maildir, LETTER)
    maildir.close()


def test_it_finds_a_disk_without_room_for_files(tiny_disk: Path) -> None:
    place = RootedPath(tiny_disk, ("petrov",))
    maildir = Maildir(place, reserve=0)
    maildir.prepare(1000)
    free = os.statvfs(tiny_disk).f_favail
    for number in range(free):
        staged(maildir, key=str(number))
    with pytest.raises(DiskFull):
        staged(maildir)
    with pytest.raises(DiskFull):
        maildir.prepare(0)
    maildir.close()


@pytest.mark.parametrize("part", ["", "tmp", "tmp/utm-mail", "new"])
def test_it_follows_no_symlink_below_the_root(open_maildir: OpenMaildir, place: RootedPath, part: str) -> None:
    marker = open_maildir().staging.marker
    elsewhere = place.root / "elsewhere"
    (place.path / part).rename(elsewhere)
    (place.path / part).symlink_to(elsewhere)
    for known in (marker, None):
        with pytest.raises(MailboxUnwritable):
            open_maildir(known)


def test_it_follows_no_symlink_that_stands_for_a_letter(maildir: Maildir, place: RootedPath, tmp_path: Path) -> None:
    letter = staged(maildir)
    (tmp_path / "secret").write_text("x")
    (place.path / "tmp/utm-mail" / letter.name).unlink()
    (place.path / "tmp/utm-mail" / letter.name).symlink_to(tmp_path / "secret")
    with pytest.raises(MailboxUnwritable):
        maildir.staging.sync([letter])


def test_it_says_when_the_mailbox_is_a_file(open_maildir: OpenMaildir, place: RootedPath) -> None:
    place.path.parent.mkdir()
    place.path.touch()
    with pytest.raises(MailboxUnwritable):
        open_maildir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_it_says_when_it_may_not_write(open_maildir: OpenMaildir, place: RootedPath) -> None:
    place.path.parent.mkdir(mode=0o500)
    with pytest.raises(MailboxUnwritable):
        open_maildir()


def test_it_lets_go_of_everything_after_a_failure(open_maildir: OpenMaildir, place: RootedPath) -> None:
    marker = open_maildir().staging.marker
    shutil.rmtree(place.path / "new")
    before = descriptors()
    maildir = Maildir(place, marker)
    with pytest.raises(MaildirReplaced):
        maildir.prepare(0)
    with pytest.raises(LocalProtocolError):
        maildir.commit([])
    maildir.close()
    assert descriptors() == before


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_it_delivers_where_no_time_can_be_set(refusal: int, maildir: Maildir, monkeypatch: pytest.MonkeyPatch) -> None:
    break_call(monkeypatch, "utime", refusal, fails=lambda *_: True)
    letter = staged(maildir, told=datetime(2019, 5, 3, tzinfo=UTC))
    maildir.staging.sync([letter])
    assert maildir.commit([letter.name]) == {}


def test_it_reports_a_look_that_fails(maildir: Maildir, monkeypatch: pytest.MonkeyPatch) -> None:
    break_call(monkeypatch, "scandir", errno.EACCES, fails=lambda *_: True)
    with pytest.raises(MailboxUnwritable):
        maildir.staging.leftovers()


def test_it_never_raises_from_discarding(maildir: Maildir, monkeypatch: pytest.MonkeyPatch) -> None:
    name = staged(maildir).name
    draft = maildir.staging.begin("2")
    with monkeypatch.context() as broken:
        break_call(broken, "unlink", errno.EROFS, fails=lambda *_: True)
        break_call(broken, "close", errno.EIO, fails=is_file)
        maildir.staging.remove([name])
        draft.discard()


def test_it_writes_the_whole_marker_however_little_is_written_at_a_time(
    place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:1]))
    maildir = Maildir(place, reserve=0)
    maildir.prepare(0)
    deliver(maildir, LETTER)
    maildir.close()


def test_it_makes_directories_durable_that_somebody_made_and_did_not_see_to(
    open_maildir: OpenMaildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tmp", "new", "cur", "tmp/utm-mail"):
        (place.path / name).mkdir(parents=True, exist_ok=True)
    synced: set[Path] = set()
    fsync = os.fsync

    def seen(fd: int) -> None:
        synced.add(Path(f"/proc/self/fd/{fd}").resolve())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", seen)
    open_maildir()
    home = place.path
    assert {home / "tmp" / "utm-mail", home / "tmp", home, home.parent, place.root} <= synced


def test_it_needs_no_right_to_read_the_directories_on_its_way(
    open_maildir: OpenMaildir, place: RootedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.path.mkdir(parents=True)
    opened = os.open

    def denied(path: str | Path, flags: int, *args: int, **kwargs: int) -> int:
        if path == "." and not flags & os.O_PATH and os.path.samestat(os.fstat(kwargs["dir_fd"]), place.root.stat()):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", denied)
    assert open_maildir().staging.marker


OWN, ANOTHER, ROOTS_OWNER = 0, 12345, 23456


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another's directories")
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o2775])
@pytest.mark.parametrize(
    "planted", ["example.org", "example.org/petrov", "example.org/petrov/tmp", "example.org/petrov/new"]
)
def test_it_takes_over_nothing_that_another_user_has_put_where_all_may(
    mode: int, planted: str, place: RootedPath
) -> None:
    (place.root / planted).mkdir(parents=True)
    os.chown(place.root / planted, ANOTHER, ANOTHER)
    (place.root / planted).parent.chmod(mode)
    maildir = Maildir(place, reserve=0)
    with pytest.raises(MailboxUnwritable, match="uid 12345"):
        maildir.prepare(0)
    maildir.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another's directories")
@pytest.mark.parametrize(
    ("mode", "root_owner", "owner"),
    [
        (0o755, OWN, ANOTHER),  # only who owns the root could have made it
        (0o700, ROOTS_OWNER, ROOTS_OWNER),
        (0o777, OWN, OWN),
        (0o2770, ROOTS_OWNER, ROOTS_OWNER),
    ],
)
def test_it_takes_over_what_its_administrator_has_made(
    mode: int, root_owner: int, owner: int, place: RootedPath
) -> None:
    domain = place.root / "example.org"
    domain.mkdir()
    os.chown(domain, owner, owner)
    os.chown(place.root, root_owner, root_owner)
    place.root.chmod(mode)
    maildir = Maildir(place, reserve=0)
    maildir.prepare(0)
    maildir.close()
    assert (place.path / "new").is_dir()
