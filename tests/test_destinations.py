"""From UTM_MAIL_DELIVERY to the directory that letters arrive in."""

from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules import destinations
from fetchrules.errors import MaildirReplaced
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, LocalMarker, Run
from fetchrules.poll.run import poll
from tests.conftest import MakeRule
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import Mailbox, Pop3Server

pytestmark = pytest.mark.django_db


def poll_fine(rule: FetchRule) -> int:
    """A poll that must not fail; how many letters it fetched."""
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
    result = poll(run_id)
    assert result is not None
    assert result.error is None
    return result.counts.fetched


def test_it_delivers_into_a_folder_and_elsewhere_when_that_changes(
    make_rule: MakeRule, tmp_path: Path, settings: Settings
) -> None:
    maildir, drop = tmp_path / "i.petrov", Maildrop([letter("one")])
    folders = {"": maildir, "?folder=Сбор": maildir / ".&BCEEMQQ+BEA-", "?folder=Later": maildir / ".Later"}
    with Pop3Server({"petrov": Mailbox("petrovpasswd", drop)}) as server:
        rule = make_rule(server="127.0.0.1", port=server.port, user="petrov", keep=True, encryption="plaintext")
        for fetched, (options, directory) in enumerate(folders.items()):
            settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{local}}{options}"
            if fetched:
                drop.add(letter(f"new {fetched}"))
            assert poll_fine(rule) == 1
            assert len(list((directory / "new").iterdir())) == 1
            assert (directory / "maildirfolder").exists() == bool(options)
    assert set(LocalMarker.objects.values_list("path", flat=True)) == {str(directory) for directory in folders.values()}


def test_it_minds_that_another_directory_was_recorded_meanwhile(tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{local}}"
    destination = destinations.Destination("i.petrov@mydomain.ru")
    LocalMarker.objects.create(path=str(tmp_path / "i.petrov"), marker="0" * 32)
    with pytest.raises(MaildirReplaced):
        destination.prepare(0)
    destination.close()


def test_it_forgets_the_marker_of_the_folder(tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{local}}?folder=Collected"
    destination = destinations.Destination("petrov@mydomain.ru")
    destination.prepare(0)
    destination.close()
    assert LocalMarker.objects.get().path == str(tmp_path / "petrov" / ".Collected")
    assert destinations.forget_marker("petrov@mydomain.ru")
    assert not LocalMarker.objects.exists()


@pytest.mark.parametrize(
    ("delivery", "one", "other", "same"),
    [
        ("maildir:/mail/{local}", "petrov@one.ru", "Petrov@two.ru", True),
        ("maildir:/mail/{domain}/{local}", "petrov@one.ru", "PETROV@ONE.ru", True),
        ("maildir:/mail/{domain}/{local}", "petrov@one.ru", "petrov@two.ru", False),
        ("maildir:/mail/{domain}/{local}", "no/where@one.ru", "No/Where@one.ru", True),
        ("maildir:/mail/{domain}/{local}", "no/where@one.ru", "where@one.ru", False),
        ("lmtp:127.0.0.1:24", "petrov@one.ru", "petrov@two.ru", False),
    ],
)
def test_it_knows_the_names_of_one_mailbox(delivery: str, one: str, other: str, same: bool, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = delivery
    assert (destinations.mailbox_key(one) == destinations.mailbox_key(other)) == same
