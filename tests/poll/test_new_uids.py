"""An IMAP folder that gets another UIDVALIDITY: marks as read are other letters' by now, and prove nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.ledger import departures, runs
from fetchrules.models import FetchRule, Letter, Run, ServiceSettings
from fetchrules.poll.run import poll
from tests.rulebook.texts import apply
from tests.servers.imap import PASSWORD, USER, Behaviour, Folder, ImapServer
from tests.servers.maildrop import letter

pytestmark = pytest.mark.django_db

NAMES = ("petrov", "sidorov")


@dataclass
class Office:
    """A folder with one reader or two."""

    server: ImapServer
    folder: Folder
    mail: Path

    def read_by(self, name: str) -> runs.Counts:
        """One reader's poll, without fault."""
        rule = FetchRule.objects.get(recipient=f"{name}@mydomain.ru")
        (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
        result = poll(run_id)
        assert result is not None
        assert result.error is None
        return result.counts

    def has(self, name: str) -> list[str]:
        """The subjects of what a reader got."""
        texts = [path.read_bytes() for path in (self.mail / name / "new").glob("*")]
        return sorted(text.split(b"Subject: ")[1].split(b"\n")[0].decode() for text in texts)

    def flag(self, uid: int, *flags: str) -> None:
        """Another client sets these flags and no others."""
        self.folder._letters[uid] = replace(self.folder._letters[uid], flags=frozenset(flags))


@pytest.fixture
def open_office(tmp_path: Path, settings: Settings) -> Iterator[Callable[..., Office]]:
    """Begin with so many readers, whose rules say `words`."""
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{local}}"
    folder = Folder()
    with ImapServer(folder) as server:

        def start(readers: int = 1, words: str = "keep") -> Office:
            line = f"127.0.0.1:imap {USER} {PASSWORD} {{}}@mydomain.ru {words} plaintext port {server.port}\n"
            apply(
                "".join(line.format(name) for name in NAMES[:readers]), ServiceSettings.current().text_version, by=None
            )
            return Office(server, folder, tmp_path)

        yield start


def two_days_later() -> None:
    """What is missing has been so for long."""
    Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=2))


def test_it_deletes_no_letter_unread_that_it_could_not_fetch_under_its_old_uid(
    open_office: Callable[..., Office],
) -> None:
    office = open_office(words="keep flush")
    uid = office.folder.add(letter("one"))
    office.folder.add(letter("two"))
    office.server.behaviour = Behaviour(refuses={uid: "BAD not now"})
    assert office.read_by("petrov").held == 1
    office.server.behaviour = Behaviour()
    office.flag(uid, "\\Seen")
    office.folder.uidvalidity += 1
    for _ in range(3):
        office.read_by("petrov")
        two_days_later()
    assert office.has("petrov") == ["one", "two"]
    assert office.folder.uids == []


def test_it_gives_a_letter_to_a_reader_who_was_late_when_the_uids_changed(open_office: Callable[..., Office]) -> None:
    office = open_office(readers=2)
    office.folder.add(letter("one"))
    office.read_by("petrov")
    office.folder.uidvalidity += 1
    office.read_by("sidorov")
    office.read_by("petrov")
    assert (office.has("petrov"), office.has("sidorov")) == (["one"], ["one"])


def test_it_forgets_no_letter_that_is_listed_by_another_uid(open_office: Callable[..., Office]) -> None:
    office = open_office()
    uid = office.folder.add(letter("one"))
    office.read_by("petrov")
    office.folder.uidvalidity += 1
    for _ in range(2):
        office.read_by("petrov")
        two_days_later()
    assert departures.purge(timezone.now() + departures.REMEMBER + timedelta(days=3)) == 0
    office.flag(uid)
    office.read_by("petrov")
    assert office.has("petrov") == ["one"]


def test_it_looks_at_a_read_letter_once_after_the_uids_changed(open_office: Callable[..., Office]) -> None:
    office = open_office()
    for name in ("one", "two"):
        office.folder.add(letter(name))
    office.read_by("petrov")
    office.folder.add(letter("three"), "\\Seen")
    assert (office.read_by("petrov").octets, office.has("petrov")) == (0, ["one", "two"])
    office.folder.uidvalidity += 1
    counts = office.read_by("petrov")
    assert (counts.fetched, counts.left) == (0, {"seen": 3, "renamed": 2})
    assert office.read_by("petrov").fetched == 0
    for _ in range(2):
        counts = office.read_by("petrov")
        assert (counts.octets, counts.left) == (0, {"seen": 3})
