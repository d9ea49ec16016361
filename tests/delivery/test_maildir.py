"""A Maildir that works: what is delivered, under which name, and that every step can be repeated."""

import re
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetchrules.delivery.fingerprint import Fingerprint
from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.spool import SpooledMailbox
from fetchrules.delivery.staging import Staged
from fetchrules.errors import LocalProtocolError
from tests.delivery.conftest import OpenMaildir, aged, descriptors

TRACE = b"Received: from a.example by b.example with ESMTP\r\n\tid 1; Sat, 1 Feb 2020 11:00:00 +0300 (MSK)\r\n"
LETTER = b"From: a@b\r\nSubject: hello\r\n\r\nbody\r\n"


def staged(
    mailbox: Maildir | SpooledMailbox,
    letter: bytes = LETTER,
    key: str = "1",
    told: datetime | None = None,
    flags: str = "",
) -> Staged:
    draft = mailbox.staging.begin(key, flags)
    draft.write(letter)
    return draft.finish(told)


def deliver(mailbox: Maildir, *letters: bytes) -> list[str]:
    waiting = [staged(mailbox, letter, str(number)) for number, letter in enumerate(letters)]
    mailbox.staging.sync(waiting)
    names = [letter.name for letter in waiting]
    assert mailbox.commit(names) == {}
    return names


def waiting_in(place: RootedPath) -> set[str]:
    return {path.name for path in (place.path / "tmp/utm-mail").iterdir()} - {"marker", "seal"}


def new_in(place: RootedPath) -> set[str]:
    return {path.name for path in (place.path / "new").iterdir()}


def cur_in(place: RootedPath) -> set[str]:
    return {path.name for path in (place.path / "cur").iterdir()}


def test_it_delivers_the_letter_with_local_line_ends(maildir: Maildir, place: RootedPath) -> None:
    (name,) = deliver(maildir, LETTER)
    assert (place.path / "new" / name).read_bytes() == LETTER.replace(b"\r\n", b"\n")


def test_no_letter_can_come_twice(maildir: Maildir) -> None:
    letter = staged(maildir)
    maildir.staging.sync([letter])
    assert list(maildir.in_doubt([letter.name])) == []


def test_it_shows_nothing_before_the_commit(maildir: Maildir, place: RootedPath) -> None:
    letter = staged(maildir)
    maildir.staging.sync([letter])
    assert (new_in(place), waiting_in(place)) == (set(), {letter.name})


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Maildir, RootedPath]]:
    """One Maildir for all examples of a law."""
    place = RootedPath(tmp_path_factory.mktemp("lasting"))
    maildir = Maildir(place, reserve=0)
    maildir.prepare(0)
    yield maildir, place
    maildir.close()


@settings(max_examples=60, deadline=None)
@given(
    chunks=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"", b".\r\n", b"\0\xff"]) | st.binary(max_size=5))
)
def test_it_delivers_the_same_octets_however_they_were_cut(
    lasting: tuple[Maildir, RootedPath], chunks: list[bytes]
) -> None:
    maildir, place = lasting
    draft = maildir.staging.begin("1")
    for chunk in chunks:
        draft.write(chunk)
    letter = draft.finish()
    whole = b"".join(chunks)
    assert maildir.commit([letter.name]) == {}
    assert (place.path / "new" / letter.name).read_bytes() == whole.replace(b"\r\n", b"\n")
    assert letter.size == len(whole)
    assert letter.fingerprint == _fingerprint(whole)


def _fingerprint(letter: bytes) -> str:
    result = Fingerprint()
    result.update(letter)
    return result.hexdigest()


def test_it_describes_the_staged_letter(maildir: Maildir) -> None:
    letter = staged(maildir)
    assert letter.size == len(LETTER)
    assert letter.head == b"From: a@b\nSubject: hello\n"


def test_it_names_files_by_the_convention(maildir: Maildir) -> None:
    name = staged(maildir, key="pop3:example.org:petrov|1|uid").name
    assert re.fullmatch(r"[0-9]{10}\.Q[0-9a-f]{16}K[0-9a-f]{16}\.mx\.example\.org", name)


def test_it_puts_the_keys_hash_into_the_name(maildir: Maildir) -> None:
    names = [staged(maildir, key=key).name for key in ("one", "one", "two")]
    hashes = [name.split(".")[1].split("K")[1] for name in names]
    assert len(set(names)) == 3
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("host", "in_name"),
    [
        ("a/b", r"a\057b"),
        ("a:b", r"a\072b"),
        ("a,S=1", r"a\054S=1"),
        ("й", r"\320\271"),
        ("a b", r"a\040b"),
        (".x", ".x"),
    ],
)
def test_it_escapes_the_host(place: RootedPath, host: str, in_name: str) -> None:
    maildir = Maildir(place, reserve=0, host=host)
    maildir.prepare(0)
    name = staged(maildir).name
    maildir.close()
    assert name.split(".", 2)[2] == in_name


def test_it_keeps_names_short(place: RootedPath) -> None:
    maildir = Maildir(place, reserve=0, host="h" * 200)
    maildir.prepare(0)
    (name,) = deliver(maildir, LETTER)
    maildir.close()
    assert len(name) == 120


def test_it_keeps_names_short_with_flags(place: RootedPath) -> None:
    maildir = Maildir(place, reserve=0, host="mx." + "x" * 200)
    maildir.prepare(0)
    name = staged(maildir, flags="FRS").name
    assert (len(name), name[-6:]) == (120, ":2,FRS")
    maildir.close()


def test_it_delivers_letters_with_flags_as_seen_by_mail_programs(maildir: Maildir, place: RootedPath) -> None:
    letters = [staged(maildir, key="1", flags="S"), staged(maildir, key="2"), staged(maildir, key="3", flags="FR")]
    maildir.staging.sync(letters)
    read, plain, flagged = (letter.name for letter in letters)
    assert waiting_in(place) == {read, plain, flagged}
    assert maildir.commit([read, plain, flagged]) == {}
    assert (new_in(place), cur_in(place)) == ({plain}, {read, flagged})
    assert (read.partition(":")[2], flagged.partition(":")[2]) == ("2,S", "2,FR")


def test_it_makes_the_directory_for_letters_with_flags(maildir: Maildir, place: RootedPath) -> None:
    (place.path / "cur").rmdir()
    name = staged(maildir, flags="S").name
    assert maildir.commit([name]) == {}
    assert cur_in(place) == {name}


def test_a_host_cannot_look_like_flags(place: RootedPath) -> None:
    maildir = Maildir(place, reserve=0, host="mx:2,S")
    maildir.prepare(0)
    name = staged(maildir).name
    assert maildir.commit([name]) == {}
    assert new_in(place) == {name}
    maildir.close()


def test_it_makes_everything_private(maildir: Maildir, place: RootedPath) -> None:
    (name,) = deliver(maildir, LETTER)
    directories = [place.path, *(place.path / part for part in ("tmp", "new", "cur", "tmp/utm-mail"))]
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o700}
    assert stat.S_IMODE((place.path / "new" / name).stat().st_mode) == 0o600


def test_it_uses_a_maildir_that_is_there(open_maildir: OpenMaildir, place: RootedPath) -> None:
    for part in ("tmp", "new", "cur"):
        (place.path / part).mkdir(parents=True, mode=0o750)
    deliver(open_maildir(), LETTER)
    assert len(new_in(place)) == 1
    assert stat.S_IMODE((place.path / "new").stat().st_mode) == 0o750


def test_it_makes_the_root_too(tmp_path: Path) -> None:
    place = RootedPath(tmp_path / "var" / "mail", ("petrov",))
    maildir = Maildir(place, reserve=0)
    maildir.prepare(0)
    deliver(maildir, LETTER)
    maildir.close()
    assert len(new_in(place)) == 1


def test_it_follows_the_administrators_symlinks(tmp_path: Path) -> None:
    (tmp_path / "disk2").mkdir()
    (tmp_path / "mail").symlink_to("disk2")
    maildir = Maildir(RootedPath(tmp_path / "mail", ("petrov",)), reserve=0)
    maildir.prepare(0)
    maildir.close()
    assert (tmp_path / "disk2" / "petrov" / "new").is_dir()


def test_it_delivers_into_a_folder(open_maildir: OpenMaildir, place: RootedPath) -> None:
    deliver(open_maildir(folder="Работа/Счета"), LETTER)
    folder = place.path / ".&BCAEMAQxBD4EQgQw-.&BCEERwQ1BEIEMA-"
    assert len(list((folder / "new").iterdir())) == 1
    assert (folder / "maildirfolder").exists()


def test_it_knows_its_own_maildir_again(open_maildir: OpenMaildir, place: RootedPath) -> None:
    marker = open_maildir().staging.marker
    deliver(open_maildir(marker), LETTER)
    assert re.fullmatch("[0-9a-f]{32}", marker or "")
    assert (place.path / "tmp/utm-mail/marker").read_text() == f"{marker}\n"
    assert len(new_in(place)) == 1


def test_it_adopts_the_marker_that_is_there(open_maildir: OpenMaildir) -> None:
    assert open_maildir().staging.marker == open_maildir().staging.marker


def test_it_agrees_on_one_marker_with_others_that_begin_now(place: RootedPath) -> None:
    maildirs = [Maildir(place, reserve=0) for _ in range(8)]
    start = threading.Barrier(len(maildirs))

    def begin(maildir: Maildir) -> None:
        start.wait(10)
        maildir.prepare(0)
        deliver(maildir, LETTER)
        maildir.close()

    threads = [threading.Thread(target=begin, args=(maildir,)) for maildir in maildirs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({maildir.staging.marker for maildir in maildirs}) == 1
    assert (len(new_in(place)), waiting_in(place)) == (8, set())


def test_it_may_commit_again(maildir: Maildir, place: RootedPath) -> None:
    names = deliver(maildir, LETTER)
    assert maildir.commit(names) == {}
    assert new_in(place) == set(names)


def test_it_commits_after_a_restart(open_maildir: OpenMaildir, place: RootedPath) -> None:
    before = open_maildir()
    letters = [staged(before, LETTER, key) for key in "12"]
    before.staging.sync(letters)
    before.commit([letters[0].name])
    before.close()
    after = open_maildir(before.staging.marker)
    assert after.commit([letter.name for letter in letters]) == {}
    assert new_in(place) == {letter.name for letter in letters}


def test_it_takes_a_letter_that_the_user_has_moved_for_delivered(maildir: Maildir, place: RootedPath) -> None:
    (name,) = deliver(maildir, LETTER)
    (place.path / "new" / name).rename(place.path / "cur" / f"{name}:2,S")
    assert maildir.commit([name]) == {}
    assert new_in(place) == set()


def test_it_commits_nothing(maildir: Maildir) -> None:
    maildir.staging.sync([])
    assert maildir.commit([]) == {}


def test_it_discards_what_was_staged(maildir: Maildir, place: RootedPath) -> None:
    name = staged(maildir).name
    maildir.staging.remove([name])
    maildir.staging.remove([name])
    assert (waiting_in(place), new_in(place)) == (set(), set())


def test_it_discards_a_draft(maildir: Maildir, place: RootedPath) -> None:
    before = descriptors()
    draft = maildir.staging.begin("1")
    draft.write(LETTER)
    draft.discard()
    draft.discard()
    assert waiting_in(place) == set()
    assert descriptors() == before


def test_it_finds_only_old_letters_of_ours(maildir: Maildir, place: RootedPath) -> None:
    name, _young = (staged(maildir, key=key).name for key in "12")
    staging = place.path / "tmp/utm-mail"
    (staging / "1.somebody.elses").touch()
    assert maildir.staging.leftovers() == []
    old = aged(staging, name)
    assert maildir.staging.leftovers() == [old]


def test_it_keeps_the_time_of_arrival(maildir: Maildir, place: RootedPath) -> None:
    """The time of the file, which IMAP servers tell as INTERNALDATE."""
    told, traced = datetime(2019, 5, 3, 12, tzinfo=UTC), LETTER.replace(b"From", TRACE + b"From")
    letters = {
        "told": staged(maildir, traced, told=told),
        "traced": staged(maildir, traced),
        "unknown": staged(maildir),
    }
    maildir.staging.sync(list(letters.values()))
    assert maildir.commit([letter.name for letter in letters.values()]) == {}
    times = {name: (place.path / "new" / letter.name).stat().st_mtime for name, letter in letters.items()}
    assert times["told"] == told.timestamp()
    assert times["traced"] == datetime(2020, 2, 1, 8, tzinfo=UTC).timestamp()
    assert abs(times["unknown"] - time.time()) < 60


def test_it_keeps_no_descriptor_open(place: RootedPath) -> None:
    before = descriptors()
    maildir = Maildir(place, reserve=0)
    maildir.prepare(0)
    maildir.prepare(0)
    deliver(maildir, LETTER, LETTER)
    maildir.staging.leftovers()
    maildir.close()
    maildir.close()
    assert descriptors() == before


def test_it_can_be_opened_again_after_closing(maildir: Maildir, place: RootedPath) -> None:
    maildir.close()
    maildir.prepare(0)
    deliver(maildir, LETTER)
    assert len(new_in(place)) == 1


@pytest.mark.parametrize("name", ["../../../etc/passwd", "marker", "", "1.Q0K0.x", "/etc/passwd"])
def test_it_touches_no_file_that_is_not_a_staged_letter(maildir: Maildir, name: str) -> None:
    with pytest.raises(LocalProtocolError):
        maildir.commit([name])
    with pytest.raises(LocalProtocolError):
        maildir.staging.remove([name])


def test_it_wants_to_be_prepared_first(place: RootedPath) -> None:
    with pytest.raises(LocalProtocolError):
        Maildir(place).staging.begin("1")
    with pytest.raises(LocalProtocolError):
        Maildir(place).commit([])
