"""Trying a connection: each failure at its stage, and nothing changed by it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.models import FetchRule, Letter, Run
from fetchrules.policy.table import Terms
from fetchrules.poll.looking import account_of
from fetchrules.poll.trial import Stage, Trial, try_connection
from fetchrules.rule import MASK, Encryption
from fetchrules.ruletext.sources import local_folders
from tests.certificates import Certificates, make_certificates
from tests.interop.dovecot import Dovecot
from tests.interop.process import free_ports
from tests.servers.faults import Alter, Cut, Fault
from tests.servers.imap import Behaviour, Folder, ImapServer, Step

pytestmark = [pytest.mark.interop, pytest.mark.django_db]

MakeRule = Callable[..., FetchRule]
LETTERS = [b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"]


@pytest.fixture(autouse=True)
def mail(tmp_path: Path, settings: Settings) -> Path:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/mail/{{domain}}/{{local}}"
    return tmp_path / "mail"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    folder = tmp_path / "certificates"
    folder.mkdir()
    return make_certificates(folder)


def tried(rule: FetchRule) -> Trial:
    more_folders = rule.as_rule(MASK).folders[1:]
    account, terms = (
        account_of(rule, rule.source),
        Terms.of(rule.as_rule(MASK), restricted=rule.restricted, pass_present=rule.source.pass_present),
    )
    into = local_folders(rule.as_rule(MASK))
    return try_connection(account, rule.source, terms, rule.recipient, timezone.now(), more_folders, into)


def failure(trial: Trial) -> tuple[Stage, str]:
    assert trial.steps[-1].error is not None
    return trial.steps[-1].stage, trial.steps[-1].error.code


def test_it_goes_all_the_way_and_changes_nothing(dovecot: Dovecot, make_rule: MakeRule, mail: Path) -> None:
    dovecot.put("trial", LETTERS)
    rule = make_rule(
        server="127.0.0.1", port=dovecot.pop3, user="trial", encryption=Encryption.STARTTLS, sslcertck=False
    )
    trial = tried(rule)
    assert [step.stage for step in trial.steps] == list(Stage)
    assert trial.succeeded
    assert trial.plan is not None
    assert len(trial.plan.fetch) == 2
    assert trial.connection is not None
    assert trial.connection.certificate is not None
    assert trial.connection.certificate.sha256 == dovecot.certificates.good.sha256
    assert len(dovecot.letters("trial")) == 2
    assert not Letter.objects.exists()
    assert not Run.objects.exists()
    assert not mail.exists()


def test_it_has_no_stage_for_encryption_where_there_is_none(dovecot: Dovecot, make_rule: MakeRule) -> None:
    rule = make_rule(server="127.0.0.1", port=dovecot.pop3, user="trial", encryption=Encryption.PLAINTEXT)
    assert [step.stage for step in tried(rule).steps] == [stage for stage in Stage if stage is not Stage.TLS]


def test_it_stops_at_a_name_without_an_address(make_rule: MakeRule) -> None:
    assert failure(tried(make_rule(server="no-such-host.invalid"))) == (Stage.NAME, "host_not_found")


def test_it_stops_at_a_port_where_nobody_listens(make_rule: MakeRule) -> None:
    assert failure(tried(make_rule(server="127.0.0.1", port=free_ports(1)[0]))) == (Stage.CONNECT, "connect_failed")


def test_it_stops_at_a_certificate_of_an_unknown_issuer(dovecot: Dovecot, make_rule: MakeRule) -> None:
    rule = make_rule(server="127.0.0.1", port=dovecot.pop3s, user="trial", encryption=Encryption.SSL)
    assert failure(tried(rule)) == (Stage.TLS, "certificate_incomplete")


@pytest.mark.parametrize("protocol", ["pop3s", "imaps"])
def test_it_shows_the_certificate_that_was_not_accepted_so_that_it_can_be_pinned(
    dovecot: Dovecot, make_rule: MakeRule, protocol: str
) -> None:
    rule = make_rule(
        server="127.0.0.1",
        protocol=protocol.removesuffix("s"),
        port=getattr(dovecot, protocol),
        user="trial",
        encryption=Encryption.SSL,
    )
    trial = tried(rule)
    assert failure(trial) == (Stage.TLS, "certificate_incomplete")
    assert trial.connection is not None
    assert trial.connection.certificate is not None
    assert trial.connection.certificate.sha256 == dovecot.certificates.good.sha256


def test_it_stops_at_a_wrong_password_and_never_shows_it(dovecot: Dovecot, make_rule: MakeRule) -> None:
    rule = make_rule(
        server="127.0.0.1", port=dovecot.pop3, user="trial", encryption=Encryption.PLAINTEXT, password="wrongpasswd"
    )
    trial = tried(rule)
    assert failure(trial) == (Stage.LOGIN, "login_refused")
    assert "wrongpasswd" not in repr(trial) + str([line.text for line in trial.transcript.head])


def test_it_stops_at_a_local_mailbox_that_cannot_be(dovecot: Dovecot, make_rule: MakeRule, mail: Path) -> None:
    mail.write_text("a file where a directory should be")
    rule = make_rule(server="127.0.0.1", port=dovecot.pop3, user="trial", encryption=Encryption.PLAINTEXT)
    assert failure(tried(rule)) == (Stage.DELIVERY, "mailbox_unwritable")


def with_folders(dovecot: Dovecot, user: str) -> None:
    dovecot.put(user, LETTERS)
    with dovecot.logged_in(user) as session:
        for name in ("Sent", "&BBcEMAQ6BDAENwRL-"):
            assert session.create(f'"{name}"')[0] == "OK"


def test_it_names_the_folders_of_an_imap_account(dovecot: Dovecot, make_rule: MakeRule) -> None:
    with_folders(dovecot, "folders.trial")
    place = {"server": "127.0.0.1", "user": "folders.trial", "encryption": Encryption.PLAINTEXT}
    trial = tried(make_rule(**place, protocol="imap", port=dovecot.imap))
    assert (trial.succeeded, tuple(trial.folders)) == (True, ("INBOX", "Sent", "Заказы"))
    assert tried(make_rule(**place, port=dovecot.pop3)).folders == {}


def test_it_says_which_folders_there_are_when_the_wanted_one_is_not(dovecot: Dovecot, make_rule: MakeRule) -> None:
    with_folders(dovecot, "another.trial")
    place = {"server": "127.0.0.1", "user": "another.trial", "encryption": Encryption.PLAINTEXT}
    trial = tried(make_rule(**place, protocol="imap", port=dovecot.imap, folders=["Заказ"]))
    assert failure(trial) == (Stage.MAILBOX, "folder_missing")
    assert [step.stage for step in trial.steps if step.error is None][-1] is Stage.LOGIN
    assert tuple(trial.folders) == ("INBOX", "Sent", "Заказы")


@pytest.mark.parametrize(("folder", "succeeded"), [("Заказы", True), ("Заказ", False)])
def test_it_opens_every_folder_of_the_rule(dovecot: Dovecot, make_rule: MakeRule, folder: str, succeeded: bool) -> None:
    with_folders(dovecot, f"{folder.encode().hex()}.trial")
    place = {"server": "127.0.0.1", "user": f"{folder.encode().hex()}.trial", "encryption": Encryption.PLAINTEXT}
    trial = tried(make_rule(**place, protocol="imap", port=dovecot.imap, folders=["INBOX", "Sent", folder]))
    assert trial.succeeded is succeeded
    assert succeeded or failure(trial) == (Stage.MAILBOX, "folder_missing")
    assert tuple(trial.folders) == ("INBOX", "Sent", "Заказы")


def test_it_tries_a_wrong_password_once(make_rule: MakeRule) -> None:
    with ImapServer(Folder(), password="another") as server:
        trial = tried(make_rule(server="127.0.0.1", user="petrov", protocol="imap", port=server.port))
        assert failure(trial) == (Stage.LOGIN, "login_refused")
        assert trial.folders == {}
        assert [line.split()[0] for line in server.said].count("LOGIN") == 1


def test_it_needs_no_list_of_folders(make_rule: MakeRule) -> None:
    with ImapServer(Folder(), Behaviour(faults=(Fault(Step.LIST, Cut()),))) as server:
        trial = tried(make_rule(server="127.0.0.1", user="petrov", protocol="imap", port=server.port))
        assert (trial.succeeded, trial.folders) == (True, {})


def test_it_can_do_without_a_look_at_the_certificate(make_rule: MakeRule, certificates: Certificates) -> None:
    sessions = iter(range(10))

    def busy_at_the_second(greeting: bytes) -> bytes:
        return greeting if next(sessions) == 0 else b"* BYE too many connections\r\n"

    behaviour = Behaviour(faults=(Fault(Step.GREETING, Alter(busy_at_the_second)),))
    with ImapServer(Folder(), behaviour, tls=certificates.good.context()) as server:
        place = {"server": "127.0.0.1", "port": server.port, "encryption": Encryption.STARTTLS, "sslcertck": True}
        trial = tried(make_rule(**place, user="petrov", protocol="imap"))
        assert [step.error.code for step in trial.steps if step.error] == ["certificate_incomplete"]
        assert (trial.connection, server.connections) == (None, 2)


def test_it_says_that_the_server_demands_encryption(make_rule: MakeRule) -> None:
    with ImapServer(Folder(), Behaviour(capabilities=("IMAP4rev1", "LOGINDISABLED"))) as server:
        rule = make_rule(server="127.0.0.1", user="petrov", protocol="imap", port=server.port)
        assert failure(tried(rule)) == (Stage.LOGIN, "tls_required")
        assert not [line for line in server.said if line.startswith("LOGIN")]


def test_it_stops_at_a_mail_server_where_nobody_listens(
    dovecot: Dovecot, make_rule: MakeRule, tmp_path: Path, settings: Settings
) -> None:
    settings.DATA_DIR = tmp_path
    settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{free_ports(1)[0]}"
    rule = make_rule(server="127.0.0.1", port=dovecot.pop3, user="trial", encryption=Encryption.PLAINTEXT)
    assert failure(tried(rule)) == (Stage.DELIVERY, "mail_server_down")
