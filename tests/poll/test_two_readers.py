"""Two rules that keep the mail of one account: each recipient gets every letter once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.acts.rules import delete_rules, set_rule
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Run, ServiceSettings
from fetchrules.poll.run import poll
from fetchrules.rule import MASK
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.poll.conftest import letter as plain
from tests.rulebook.texts import apply
from tests.servers.imap import PASSWORD as IMAP_PASSWORD
from tests.servers.imap import USER, Folder, ImapServer
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import Mailbox, Pop3Server

pytestmark = pytest.mark.django_db


def poll_due() -> None:
    """Ticks until nothing is due: an account is visited by one session at a time."""
    now = timezone.now()
    while claimed := runs.claim_due(now):
        assert len(claimed) == 1
        for run_id in claimed:
            result = poll(run_id)
            assert result is not None
            assert result.error is None


@pytest.mark.interop
def test_it_gives_every_letter_to_both(dovecot: Dovecot, tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    line = f"127.0.0.1:pop3 readers {PASSWORD} {{}}@mydomain.ru keep plaintext port {dovecot.pop3}\n"
    text = line.format("petrov") + line.format("sidorov")
    apply(text, ServiceSettings.current().text_version, by=None)
    dovecot.put("readers", [b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"])
    poll_due()
    for _ in range(2):
        rules = FetchRule.objects.all()
        assert len(rules) == 2
        assert [rule.source.recipient for rule in rules] == ["petrov@mydomain.ru", "sidorov@mydomain.ru"]
        for name in ("petrov", "sidorov"):
            assert len(list((tmp_path / "mydomain.ru" / name / "new").iterdir())) == 2
        runs.ask_for_poll(FetchRule.objects.all(), timezone.now())
        poll_due()
    assert not Run.objects.filter(finished_at=None).exists()


def test_it_gives_every_letter_to_both_by_imap(tmp_path: Path, settings: Settings) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    folder = Folder()
    folder.add(letter("read by its owner"), "\\Seen")
    with ImapServer(folder) as server:
        line = f"127.0.0.1:imap {USER} {IMAP_PASSWORD} {{}}@mydomain.ru keep plaintext port {server.port}\n"
        apply(line.format("petrov") + line.format("sidorov"), ServiceSettings.current().text_version, by=None)
        for name in ("one", "two"):
            folder.add(letter(name))
            runs.ask_for_poll(FetchRule.objects.all(), timezone.now())
            poll_due()
            poll_due()
    for name in ("petrov", "sidorov"):
        assert len(list((tmp_path / "mydomain.ru" / name / "new").iterdir())) == 2


class Office:
    """A POP3 mailbox that several people read."""

    def __init__(self, server: Pop3Server, maildrop: Maildrop, root: Path) -> None:
        self.maildrop = maildrop
        self._line = f"127.0.0.1:pop3 petrov petrovpasswd {{}} keep plaintext port {server.port}\n"
        self._root = root

    def arrive(self, *names: str) -> None:
        """Letters with these subjects."""
        for name in names:
            self.maildrop.add(plain(name))

    def write(self, *recipients: str, pass_present: bool = False) -> list[FetchRule]:
        """The text with a rule for each of them; the rules."""
        text = "".join(self._line.format(recipient) for recipient in recipients)
        version = ServiceSettings.current().text_version
        apply(text, version, by=None, delete_missing=True, pass_present=pass_present)
        return [FetchRule.objects.get(recipient=recipient) for recipient in recipients]

    def give(self, rule: FetchRule, recipient: str) -> None:
        """Let `rule` deliver to somebody else."""
        set_rule(rule, replace(FetchRule.objects.get(id=rule.id).as_rule(MASK), recipient=recipient), by=None)

    def poll(self, *rules: FetchRule) -> None:
        """Once each; all if none is given."""
        for rule in rules or FetchRule.objects.order_by("position"):
            (run_id,) = runs.claim([FetchRule.objects.get(id=rule.id)], timezone.now(), Run.Cause.COMMAND)
            result = poll(run_id)
            assert result is not None
            assert result.error is None

    def delivered(self, name: str) -> list[str]:
        """The subjects of what lies in the Maildir of this name."""
        texts = [path.read_bytes() for path in (self._root / name / "new").glob("*")]
        return sorted(text.split(b"Subject: ")[1].split(b"\n")[0].decode() for text in texts)


@pytest.fixture
def office(tmp_path: Path, settings: Settings) -> Iterator[Office]:
    """With one letter in it."""
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{local}}"
    maildrop = Maildrop([plain("a")])
    with Pop3Server({"petrov": Mailbox("petrovpasswd", maildrop)}) as server:
        yield Office(server, maildrop, tmp_path)


IVANOV, SIDOROV, THIRD = "ivanov@mydomain.ru", "sidorov@mydomain.ru", "third@mydomain.ru"


def test_it_lets_rules_share_a_ledger_that_come_to_one_recipient(office: Office) -> None:
    ivanov, _ = office.write(IVANOV, SIDOROV)
    office.poll()
    office.give(ivanov, SIDOROV)
    office.arrive("b")
    office.poll()
    assert office.delivered("sidorov") == ["a", "b"]


def test_it_gives_back_his_ledger_to_a_rule_made_anew(office: Office) -> None:
    office.write(IVANOV, SIDOROV)
    office.poll()
    office.write(SIDOROV)
    office.arrive("b")
    office.poll()
    delete_rules(FetchRule.objects.all(), by=None)
    office.write(SIDOROV)
    office.poll()
    assert office.delivered("sidorov") == ["a", "b"]


def test_it_takes_nothing_for_collected_that_another_recipient_had(office: Office) -> None:
    ivanov, _ = office.write(IVANOV, SIDOROV)
    office.poll(ivanov)
    delete_rules(FetchRule.objects.all(), by=None)
    office.write(SIDOROV)
    office.poll()
    assert office.delivered("sidorov") == ["a"]


def test_it_gives_every_letter_once_to_those_who_exchange_their_rules(office: Office) -> None:
    ivanov, sidorov = office.write(IVANOV, SIDOROV)
    office.poll(ivanov)
    office.give(ivanov, THIRD)
    office.give(sidorov, IVANOV)
    office.give(ivanov, SIDOROV)
    office.poll()
    assert (office.delivered("ivanov"), office.delivered("sidorov")) == (["a"], ["a"])


def test_it_fetches_nothing_again_for_whom_a_mailbox_was_handed_to(office: Office) -> None:
    (ivanov,) = office.write(IVANOV)
    office.poll()
    office.give(ivanov, SIDOROV)
    office.arrive("b")
    office.poll()
    assert (office.delivered("ivanov"), office.delivered("sidorov")) == (["a"], ["b"])


def test_it_heeds_no_mark_of_a_rule_that_is_gone(office: Office) -> None:
    office.write(IVANOV, pass_present=True)
    delete_rules(FetchRule.objects.all(), by=None)  # before its first poll
    office.write(IVANOV)
    office.poll()
    assert office.delivered("ivanov") == ["a"]


def test_it_heeds_the_mark_of_a_rule_that_was_edited(office: Office) -> None:
    (ivanov,) = office.write(IVANOV, pass_present=True)
    office.give(ivanov, SIDOROV)
    office.poll()
    assert office.delivered("sidorov") == []


def test_it_takes_two_names_of_one_maildir_for_one_recipient(office: Office) -> None:
    office.write(IVANOV, "Ivanov@elsewhere.ru")
    office.poll()
    assert office.delivered("ivanov") == ["a"]
