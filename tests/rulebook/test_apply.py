"""Applying a text: all or nothing, only to what was seen, and what is not in it stays where it is."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fetchrules.acts.rules import set_rule
from fetchrules.models import FetchRule, Pause, Revision
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import MASK
from fetchrules.rulebook.apply import TextChanged, TextRefused
from fetchrules.rulebook.revisions import current_version
from fetchrules.rulebook.rows import password_of
from fetchrules.rulebook.text import load
from fetchrules.ruletext.problem import Code
from fetchrules.schedule import NextReason
from tests.rulebook.conftest import Applier
from tests.rulebook.texts import apply


def rule(user: str) -> FetchRule:
    return FetchRule.objects.get(user=user)


def test_it_adds_rules_that_are_polled_at_once(write: Applier) -> None:
    begun = timezone.now()
    done = write("mailserver.ru:pop3 petrov p i.petrov@mydomain.ru keep ssl\n")
    row = rule("petrov")
    assert (done.added, done.changed, done.removed, done.unchanged) == (1, 0, 0, 0)
    assert row.next_poll_at is not None
    assert row.next_poll_at >= begun
    assert (row.next_reason, row.revision, row.enabled, row.source.host) == (NextReason.SAVED, 1, True, "mailserver.ru")
    assert password_of(row) == "p"


def test_it_writes_every_column(write: Applier) -> None:
    line = (
        "mailserver.ru:imap petrov p i.petrov@mydomain.ru keep flush fetchall starttls nosslcertck sslfingerprint "
        + "0a" * 32
        + " port 1143 uidl folder A folder B limit 3000000000 fetchlimit 5 interval 6 timeout 7 keepdays 8 skip"
    )
    write(line)
    assert load(with_passwords=True) == line


def test_it_keeps_everything_else_of_a_changed_rule(book: str, write: Applier) -> None:
    old = rule("petrov")
    yesterday = timezone.now() - timedelta(days=1)
    FetchRule.objects.filter(id=old.id).update(
        last_polled_at=yesterday, failures=3, pause=Pause.FAILURE, tls_seen=TlsLevel.VERIFIED, next_poll_at=yesterday
    )
    done = write(book.replace("keep ssl", "nokeep ssl"))
    row = rule("petrov")
    assert (done.added, done.changed, done.unchanged) == (0, 1, 2)
    assert (row.id, row.revision, row.keep, row.last_polled_at) == (old.id, 2, False, yesterday)
    assert (row.failures, row.pause, row.tls_seen) == (0, Pause.NONE, TlsLevel.VERIFIED)
    assert row.next_poll_at is not None
    assert row.next_poll_at > yesterday


def test_it_forgets_what_tls_it_saw_of_another_server_alone(book: str, write: Applier) -> None:
    FetchRule.objects.update(tls_seen=TlsLevel.VERIFIED)
    write(book.replace("mailserver.ru:pop3 petrov", "other.ru:pop3 petrov").replace("mailserver.ru:", "MAILSERVER.ru:"))
    assert (rule("petrov").tls_seen, rule("ivanov").tls_seen) == (TlsLevel.NONE, TlsLevel.VERIFIED)


def test_it_seals_a_kept_password_for_the_new_port(book: str, write: Applier) -> None:
    write(load().replace("limit 5m", "ssl"))
    assert password_of(rule("ivanov")) == "iv|an"
    assert load(with_passwords=True) == book.replace("limit 5m", "ssl")


def test_it_gives_a_copied_line_the_password_of_its_model(book: str, write: Applier) -> None:
    write(load() + f"\nmailserver.ru:pop3 petrov {MASK} another@mydomain.ru keep starttls")
    assert password_of(FetchRule.objects.get(recipient="another@mydomain.ru")) == "petrovpasswd"


def test_it_does_nothing_at_all_when_nothing_changes(book: str, write: Applier) -> None:
    before = list(FetchRule.objects.values())
    for text in (book, load()):
        done = write(text)
        assert (done.unchanged, done.revision) == (3, None)
    assert list(FetchRule.objects.values()) == before
    assert current_version() == 1


def test_it_touches_only_the_text_of_rules_that_say_the_same(book: str, write: Applier) -> None:
    text = book.replace("# Sales", "# The sales department\n").replace("pop3 petrov", "pop3  petrov")
    write(text)
    assert load(with_passwords=True) == text
    assert {row.revision for row in FetchRule.objects.all()} == {1}


def test_it_deletes_only_when_asked(book: str, write: Applier) -> None:
    lines = book.splitlines(keepends=True)
    text = "".join(line for line in lines if "ivanov" not in line)
    assert write(text).removed == 0
    assert FetchRule.objects.filter(user="ivanov").exists()
    assert write(text, delete_missing=True).removed == 1
    assert not FetchRule.objects.filter(user="ivanov").exists()
    assert load(with_passwords=True) == text


def test_it_leaves_missing_rules_behind_those_that_they_stood_behind(write: Applier) -> None:
    line = "a.ru:pop3 {} p {}@mydomain.ru\n"
    write("".join(line.format(name, name) for name in "abcdef"))
    write("".join(line.format(name, name) for name in "xeb"))
    assert [row.user for row in FetchRule.objects.order_by("position")] == ["a", "x", "e", "f", "b", "c", "d"]


def test_it_keeps_the_end_of_the_text_when_its_last_rule_stays(book: str, write: Applier) -> None:
    write("new.ru:pop3 new p new@mydomain.ru")
    assert load(with_passwords=True) == book + "\nnew.ru:pop3 new p new@mydomain.ru"


@pytest.mark.usefixtures("book")
def test_it_takes_the_end_of_the_text_from_a_text_that_has_the_last_rule(write: Applier) -> None:
    write(load().replace("# end", "# the end\n"))
    assert load().endswith("'Sent Items'\n# the end\n")


def test_it_ends_the_last_line_of_the_file_when_rules_stay_below_it(write: Applier) -> None:
    write("a.ru:pop3 a p a@mydomain.ru\r\nb.ru:pop3 b p b@mydomain.ru")
    write("a.ru:pop3 a p a@mydomain.ru keep")
    assert load(with_passwords=True) == "a.ru:pop3 a p a@mydomain.ru keep\nb.ru:pop3 b p b@mydomain.ru"


def test_it_lets_two_rules_exchange_their_mailboxes(write: Applier) -> None:
    write("a.ru:pop3 a p one@mydomain.ru\nb.ru:pop3 b p two@mydomain.ru\n")
    before = {row.recipient: row.id for row in FetchRule.objects.all()}
    done = write("b.ru:pop3 b q one@mydomain.ru\na.ru:pop3 a q two@mydomain.ru\n", delete_missing=True)
    assert done.changed == 2
    assert {row.id for row in FetchRule.objects.all()} == set(before.values())
    assert {row.recipient: row.user for row in FetchRule.objects.all()} == {
        "one@mydomain.ru": "b",
        "two@mydomain.ru": "a",
    }


def test_it_refuses_a_text_with_an_error_as_a_whole(book: str, write: Applier) -> None:
    with pytest.raises(TextRefused) as refused:
        write(book.replace("keep ssl", "nokeep ssl").replace("limit 5m", "limit lots"))
    assert [problem.code for problem in refused.value.preview.errors] == [Code.NUMBER_INVALID]
    assert load(with_passwords=True) == book


def test_it_refuses_when_the_rules_were_changed_since(book: str) -> None:
    version = current_version()
    set_rule(rule("petrov"), rule("petrov").as_rule(MASK), by=None)
    with pytest.raises(TextChanged):
        apply(book, version, by=None)


def test_it_takes_everything_away_when_asked(book: str, write: Applier) -> None:
    assert write("", delete_missing=True).removed == 3
    assert (FetchRule.objects.count(), load()) == (0, "")


def test_it_records_who_did_it(alice: User) -> None:
    done = apply("a.ru:pop3 u p r@mydomain.ru", 0, by=alice, note="import.txt")
    assert done.revision == Revision.objects.first()
    assert done.revision is not None
    assert (done.revision.author, done.revision.note, done.revision.version) == (alice, "import.txt", 1)


def test_it_applies_ten_thousand_rules_in_few_statements(write: Applier) -> None:
    line = "mail{0}.ru:pop3 petrov{0} petrovpasswd i.petrov@mydomain.ru keep ssl limit 5m # a note\n"
    text = "".join(line.format(number) for number in range(10_000))
    with CaptureQueriesContext(connection) as queries:
        assert write(text).added == 10_000
    assert len(queries) < 1000
