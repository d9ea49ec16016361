"""From UTM_MAIL_DELIVERY to the directory that letters arrive in."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.delivery.maildir import VOLUME_DIRECTORY, Maildir, volume_marker
from fetchrules.errors import DeliveryFailed, MaildirReplaced, VolumeMissing
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, LocalMarker, Run
from fetchrules.poll import destinations
from fetchrules.poll.run import poll
from tests.conftest import MakeRule
from tests.poll.conftest import adopt
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
    known = {f"{tmp_path}/", *map(str, folders.values())}
    assert set(LocalMarker.objects.values_list("path", flat=True)) == known


def test_it_minds_that_another_directory_was_recorded_meanwhile(tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{local}}"
    prepare("known@mydomain.ru")
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
    row = LocalMarker.objects.exclude(path=f"{tmp_path}/").get()
    assert row.path == str(tmp_path / "petrov" / ".Collected")
    shutil.rmtree(row.path)
    destinations.forget_marker("petrov@mydomain.ru")
    row.refresh_from_db()
    assert row.marker == destinations.ADOPTED


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


class Volume:
    """A directory with Maildirs on a volume, which can be taken away from its mount point and brought back."""

    def __init__(self, point: Path) -> None:
        self.point = point
        self._away = point.with_name(f"{point.name} (not mounted)")

    def unmount(self) -> None:
        self.point.rename(self._away)
        self.point.mkdir()

    def mount(self) -> None:
        shutil.rmtree(self.point)
        self._away.rename(self.point)


@pytest.fixture
def mail(tmp_path: Path, settings: Settings) -> Path:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/mail/{{domain}}/{{local}}"
    return tmp_path / "mail"


def recorded(root: Path) -> str:
    """The id of the volume, as the database has it."""
    return LocalMarker.objects.get(path=f"{root}/").marker


def prepare(recipient: str) -> None:
    """As for a poll's first letter."""
    destination = destinations.Destination(recipient)
    try:
        destination.prepare(0)
    finally:
        destination.close()


def test_it_makes_no_maildir_where_the_volume_is_not_mounted(mail: Path) -> None:
    prepare("known@mydomain.ru")
    volume = Volume(mail)
    volume.unmount()
    for recipient in ("new@mydomain.ru", "new@other.ru"):
        with pytest.raises(VolumeMissing):
            prepare(recipient)
        with pytest.raises(VolumeMissing):
            destinations.Destination(recipient).check()
    assert list(mail.iterdir()) == []
    volume.mount()
    for recipient in ("new@mydomain.ru", "new@other.ru"):
        prepare(recipient)
        assert (mail.joinpath(*reversed(recipient.split("@"))) / "new").is_dir()


def test_a_letter_stays_on_the_server_while_the_volume_is_not_mounted(mail: Path, make_rule: MakeRule) -> None:
    prepare("known@mydomain.ru")
    drop = Maildrop([letter("one")])
    volume = Volume(mail)
    volume.unmount()
    with Pop3Server({"petrov": Mailbox("petrovpasswd", drop)}) as server:
        rule = make_rule(server="127.0.0.1", port=server.port, user="petrov", encryption="plaintext")
        (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
        result = poll(run_id)
        assert result is not None
        assert isinstance(result.error, VolumeMissing)
        assert (list(mail.iterdir()), len(drop.letters)) == ([], 1)
        volume.mount()
        assert poll_fine(rule) == 1
    assert drop.letters == ()


def test_a_volume_for_one_domain_is_missed_too(mail: Path) -> None:
    prepare("known@mydomain.ru")
    prepare("known@other.ru")
    Volume(mail / "mydomain.ru").unmount()
    with pytest.raises(VolumeMissing):
        prepare("new@mydomain.ru")
    prepare("new@other.ru")


def test_a_marker_of_the_root_is_made_where_an_older_version_made_none(mail: Path) -> None:
    prepare("known@mydomain.ru")
    shutil.rmtree(mail / VOLUME_DIRECTORY)
    LocalMarker.objects.filter(path=f"{mail}/").delete()
    prepare("new@mydomain.ru")
    assert recorded(mail) == volume_marker(mail)


def test_known_maildirs_prove_a_volume_that_lost_its_own_marker(mail: Path) -> None:
    prepare("known@mydomain.ru")
    shutil.rmtree(mail / VOLUME_DIRECTORY)
    prepare("new@other.ru")
    assert volume_marker(mail) == recorded(mail)


def test_the_root_need_not_be_writable(mail: Path) -> None:
    prepare("known@mydomain.ru")
    shutil.rmtree(mail / VOLUME_DIRECTORY)
    (mail / VOLUME_DIRECTORY).write_text("in the way")
    prepare("new@other.ru")
    Volume(mail).unmount()
    with pytest.raises(VolumeMissing):
        prepare("newer@other.ru")


def test_another_path_is_a_fresh_start(mail: Path, settings: Settings) -> None:
    prepare("known@mydomain.ru")
    settings.UTM_MAIL_DELIVERY = f"maildir:{mail.parent}/elsewhere/{{domain}}/{{local}}"
    prepare("known@mydomain.ru")
    assert volume_marker(mail.parent / "elsewhere")


def test_a_path_in_other_letters_is_another_path(mail: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{mail.parent}/Mail/{{domain}}/{{local}}"
    prepare("known@mydomain.ru")
    shutil.rmtree(mail.parent / "Mail")
    settings.UTM_MAIL_DELIVERY = f"maildir:{mail}/{{domain}}/{{local}}"
    prepare("known@mydomain.ru")


def test_an_administrator_can_say_that_another_volume_is_the_right_one(mail: Path) -> None:
    prepare("known@mydomain.ru")
    Volume(mail).unmount()
    with pytest.raises(VolumeMissing):
        prepare("new@mydomain.ru")
    adopt("known@mydomain.ru")
    prepare("known@mydomain.ru")
    prepare("new@mydomain.ru")


def renew(mail: Path) -> None:
    """Another disk in the place of the one that was there: whatever lay on it is gone."""
    shutil.rmtree(mail)
    mail.mkdir()


def test_adopting_one_maildir_is_enough_where_all_are_gone(mail: Path) -> None:
    everybody = ["known@mydomain.ru", "other@mydomain.ru", "third@other.ru"]
    for recipient in everybody:
        prepare(recipient)
    renew(mail)
    adopt("known@mydomain.ru")
    with pytest.raises(VolumeMissing):
        prepare("new@mydomain.ru")
    for recipient in ("known@mydomain.ru", "new@mydomain.ru", "new@unknown.ru"):
        prepare(recipient)
    for recipient in everybody[1:]:
        with pytest.raises(MaildirReplaced):
            prepare(recipient)
        adopt(recipient)
        prepare(recipient)
    assert volume_marker(mail) == recorded(mail)


def test_a_first_recipient_can_be_adopted_where_nobody_known_is_there(mail: Path) -> None:
    """The only mailbox of a domain was removed with its user, who has no rule any more."""
    prepare("gone@mydomain.ru")
    shutil.rmtree(mail / "mydomain.ru" / "gone")
    with pytest.raises(VolumeMissing, match=rf"{mail}/mydomain\.ru.*confirm"):
        prepare("new@mydomain.ru")
    adopt("new@mydomain.ru")
    destinations.Destination("new@mydomain.ru").check()
    prepare("new@mydomain.ru")
    prepare("newer@mydomain.ru")


def test_adopting_does_not_outlive_the_delivery(mail: Path) -> None:
    prepare("known@mydomain.ru")
    prepare("other@mydomain.ru")
    shutil.rmtree(mail / "mydomain.ru" / "known")
    adopt("known@mydomain.ru")
    prepare("known@mydomain.ru")
    Volume(mail).unmount()
    with pytest.raises(MaildirReplaced):
        prepare("known@mydomain.ru")


def test_adopting_where_nothing_is_wrong_changes_nothing(mail: Path) -> None:
    prepare("known@mydomain.ru")
    before = set(LocalMarker.objects.values_list("path", "marker"))
    for recipient in ("known@mydomain.ru", "new@mydomain.ru"):
        assert adopt(recipient) == 0
    assert set(LocalMarker.objects.values_list("path", "marker")) == before


def test_the_roots_marker_counts_where_no_maildir_is_known(mail: Path) -> None:
    prepare("known@mydomain.ru")
    LocalMarker.objects.filter(path=str(mail / "mydomain.ru" / "known")).delete()
    prepare("new@other.ru")
    LocalMarker.objects.filter(path=str(mail / "other.ru" / "new")).delete()
    Volume(mail).unmount()
    with pytest.raises(VolumeMissing):
        prepare("newer@other.ru")


def test_it_notices_a_volume_that_is_unmounted_while_the_maildir_is_made(
    mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare("known@mydomain.ru")
    volume, open_maildir = Volume(mail), Maildir.prepare

    def unmounted_first(self: Maildir, octets: int) -> None:
        volume.unmount()
        open_maildir(self, octets)

    monkeypatch.setattr(Maildir, "prepare", unmounted_first)
    with pytest.raises(VolumeMissing):
        prepare("new@mydomain.ru")
    assert not LocalMarker.objects.filter(path__endswith="/new").exists()


def test_a_crash_between_the_roots_marker_and_its_record_is_made_up_for(mail: Path) -> None:
    prepare("known@mydomain.ru")
    marker = volume_marker(mail)
    LocalMarker.objects.filter(marker=marker).delete()
    prepare("new@other.ru")
    assert volume_marker(mail) == recorded(mail) == marker


def test_it_shares_a_volume_with_another_installation(mail: Path) -> None:
    prepare("theirs@mydomain.ru")
    marker = volume_marker(mail)
    LocalMarker.objects.all().delete()
    prepare("ours@mydomain.ru")
    assert volume_marker(mail) == recorded(mail) == marker


def test_the_root_may_be_a_symlink(tmp_path: Path, mail: Path) -> None:
    (tmp_path / "disk").mkdir()
    mail.symlink_to(tmp_path / "disk")
    prepare("known@mydomain.ru")
    assert volume_marker(tmp_path / "disk") == recorded(mail)
    mail.unlink()
    with pytest.raises(VolumeMissing):
        prepare("new@mydomain.ru")
    (tmp_path / "other disk").mkdir()
    mail.symlink_to(tmp_path / "other disk")
    with pytest.raises(VolumeMissing):
        prepare("new@mydomain.ru")


@pytest.mark.parametrize("template", ["{local}", "{domain}/mail/{local}", "{local}/Maildir", "{domain}-{local}"])
@pytest.mark.parametrize("folder", ["", "?folder=Collected"])
def test_it_misses_the_volume_whatever_the_layout(
    template: str, folder: str, tmp_path: Path, settings: Settings
) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/mail/{template}{folder}"
    prepare("known@mydomain.ru")
    Volume(tmp_path / "mail").unmount()
    with pytest.raises(VolumeMissing):
        prepare("new@mydomain.ru")
    assert list((tmp_path / "mail").iterdir()) == []


def test_another_folder_of_a_known_recipient_is_made_on_the_known_volume_only(mail: Path, settings: Settings) -> None:
    prepare("known@mydomain.ru")
    settings.UTM_MAIL_DELIVERY += "?folder=Later"
    volume = Volume(mail)
    volume.unmount()
    with pytest.raises(VolumeMissing):
        prepare("known@mydomain.ru")
    volume.mount()
    prepare("known@mydomain.ru")
    assert (mail / "mydomain.ru" / "known" / ".Later").is_dir()


def test_what_waits_for_a_mail_server_is_no_maildir(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR = tmp_path
    LocalMarker.objects.create(path=str(tmp_path / "spool" / "mydomain.ru" / "known"), marker="0" * 32)
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    prepare("new@mydomain.ru")


def test_the_root_of_one_layout_is_no_maildir_of_another(tmp_path: Path, settings: Settings) -> None:
    for path in (f"{tmp_path}/srv/mail/{{local}}", f"{tmp_path}/srv/{{local}}", f"{tmp_path}/{{local}}/{{domain}}"):
        settings.UTM_MAIL_DELIVERY = f"maildir:{path}"
        prepare("mail@mydomain.ru")
    for path in (f"{tmp_path}/srv/mail/{{local}}", f"{tmp_path}/srv/{{local}}"):
        settings.UTM_MAIL_DELIVERY = f"maildir:{path}"
        prepare("mail@mydomain.ru")


def test_a_known_recipient_costs_one_query(mail: Path, django_assert_num_queries: Any) -> None:
    prepare("known@mydomain.ru")
    with django_assert_num_queries(1):
        prepare("known@mydomain.ru")


def test_maildirs_that_moved_up_are_adopted(mail: Path, settings: Settings) -> None:
    """Their old paths lie below the new root."""
    prepare("known@mydomain.ru")
    settings.UTM_MAIL_DELIVERY = f"maildir:{mail.parent}/{{domain}}/{{local}}"
    (mail / "mydomain.ru").rename(mail.parent / "mydomain.ru")
    with pytest.raises(VolumeMissing):
        prepare("known@mydomain.ru")
    adopt("known@mydomain.ru")
    prepare("known@mydomain.ru")
    prepare("new@mydomain.ru")


def test_it_minds_that_another_was_recorded_after_an_adoption(mail: Path) -> None:
    prepare("known@mydomain.ru")
    prepare("other@mydomain.ru")
    renew(mail)
    adopt("known@mydomain.ru")
    destination = destinations.Destination("known@mydomain.ru")
    LocalMarker.objects.filter(path__endswith="/known").update(marker="0" * 32)
    with pytest.raises(MaildirReplaced):
        destination.prepare(0)
    destination.close()


def test_letters_for_a_mail_server_wait_where_there_is_no_volume(tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = "lmtp://127.0.0.1:1"
    settings.DATA_DIR = tmp_path
    with pytest.raises(DeliveryFailed) as raised:
        prepare("known@mydomain.ru")
    assert not isinstance(raised.value, VolumeMissing)
