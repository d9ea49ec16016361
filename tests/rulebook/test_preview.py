"""What a text would change: shown rule by rule and field by field, and nothing is written."""

import pytest
from pytest_django import Settings

from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.rule import MASK, Encryption
from fetchrules.rulebook.preview import Verdict
from fetchrules.rulebook.rows import Change
from fetchrules.rulebook.text import load
from fetchrules.ruletext.problem import Code
from tests.rulebook.conftest import Applier
from tests.rulebook.texts import preview

NEW = "other.ru:imap new secret new@mydomain.ru\n"


def test_it_sees_no_change_in_the_text_as_it_is(book: str) -> None:
    for text in (book, load()):
        seen = preview(text)
        assert [entry.verdict for entry in seen.entries] == [Verdict.UNCHANGED] * 3
        assert (seen.missing, seen.problems) == ((), ())


def test_it_tells_added_changed_missing_and_unchanged_apart(book: str) -> None:
    text = NEW + book.replace("keep ssl", "nokeep ssl interval 5").replace("mailserver.ru:pop3|ivanov", "# ")
    seen = preview(text)
    assert [entry.rule.user for entry in seen.added] == ["new"]
    assert [(entry.rule.user, entry.changes) for entry in seen.changed] == [
        ("petrov", (Change("keep", old=True, new=False), Change("interval", None, 5)))
    ]
    assert [entry.rule.user for entry in seen.unchanged] == ["sales team"]
    assert [stored.rule.user for stored in seen.missing] == ["ivanov"]


def test_it_shows_no_password_in_a_change(book: str) -> None:
    seen = preview(book.replace("petrovpasswd", "another"))
    assert [entry.changes for entry in seen.changed] == [(Change("password", MASK, MASK),)]


def test_it_writes_nothing(book: str) -> None:
    before = list(FetchRule.objects.values())
    preview(NEW + book.replace("keep", "nokeep"), delete_missing=True)
    assert list(FetchRule.objects.values()) == before
    assert load(with_passwords=True) == book


def test_it_has_nothing_but_problems_where_there_is_an_error(book: str) -> None:
    seen = preview(book.replace("keep ssl", "kep ssl"))
    assert [(problem.code, problem.line, problem.column) for problem in seen.errors] == [(Code.OPTION_UNKNOWN, 2, 61)]
    assert (seen.entries, seen.missing) == ((), ())


@pytest.mark.usefixtures("book")
def test_it_knows_a_rule_again_wherever_it_stands() -> None:
    lines = load().removeprefix("\ufeff").replace("\r\n", "\n").splitlines(keepends=True)
    seen = preview("".join(reversed(lines)))
    assert seen.errors == ()
    assert {entry.verdict for entry in seen.entries} == {Verdict.UNCHANGED}


MASKED_EDITS = [
    ("keep ssl", "nokeep ssl", None),
    ("i.petrov@", "p.petrov@", None),
    ("petrov ********", "petroff ********", Code.PASSWORD_NEEDED),
    ("mailserver.ru:pop3 ", "evil.ru:pop3 ", Code.PASSWORD_NEEDED),
    ("keep ssl", "keep ssl port 1995", Code.PASSWORD_NEEDED),
    ("keep ssl", "keep", Code.PASSWORD_NEEDED),
    ("keep ssl", "keep ssl nosslcertck", Code.PASSWORD_NEEDED),
    ("keep ssl", "keep ssl sslfingerprint " + "0" * 64, Code.PASSWORD_NEEDED),
    ("pop3|ivanov", "pop3s|ivanov", None),
    ("limit 5m", "starttls", None),
    ("limit 5m", "plaintext", Code.PASSWORD_NEEDED),
    ("keep ssl", "keep ssl auth password", None),
    ("limit 5m", "auth scram-sha-256", None),
    ("limit 5m", "auth password", Code.PASSWORD_NEEDED),
    ("imaps", "pop3s", Code.OPTION_OF_OTHER_PROTOCOL),
    ("'sales team'", "'sales'", Code.PASSWORD_NEEDED),
]


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize(("old", "new", "code"), MASKED_EDITS)
def test_it_lets_a_masked_line_keep_its_password_only_for_the_same_account(
    old: str, new: str, code: Code | None
) -> None:
    assert old in load()
    errors = preview(load().replace(old, new, 1)).errors
    assert [problem.code for problem in errors] == ([code] if code else [])


def test_it_wants_a_password_for_a_new_masked_line(book: str) -> None:
    seen = preview(book + f"\nnew.ru:pop3 u {MASK} r@mydomain.ru")
    assert [(problem.code, problem.line, problem.column) for problem in seen.errors] == [(Code.PASSWORD_NEEDED, 8, 15)]


def test_it_takes_the_password_of_a_copied_line_from_its_model(book: str) -> None:
    copied = f"mailserver.ru:pop3 petrov {MASK} another@mydomain.ru keep ssl\n"
    seen = preview(copied + book.replace("petrovpasswd", MASK))
    assert seen.errors == ()
    assert [(entry.rule.recipient, entry.verdict) for entry in seen.entries][:2] == [
        ("another@mydomain.ru", Verdict.ADDED),
        ("i.petrov@mydomain.ru", Verdict.UNCHANGED),
    ]


def test_it_does_not_guess_between_two_passwords(write: object) -> None:
    one = "a.ru:pop3 u {} {}@mydomain.ru keep\n"
    write(one.format("p1", "one") + one.format("p2", "two"))  # type: ignore[operator]
    moved = one.format(MASK, "one") + one.format(MASK, "two")
    assert preview(moved).errors == ()
    assert preview(one.format(MASK, "two") + one.format(MASK, "one")).errors == ()
    assert [problem.code for problem in preview(one.format(MASK, "three")).errors] == [Code.PASSWORD_AMBIGUOUS]
    both = [problem.code for problem in preview(one.format(MASK, "three") + one.format(MASK, "four")).errors]
    assert both == [Code.PASSWORD_AMBIGUOUS] * 2


def test_it_need_not_guess_between_two_equal_passwords(write: object) -> None:
    one = "a.ru:pop3 u {} {}@mydomain.ru keep\n"
    write(one.format("p", "one") + one.format("p", "two"))  # type: ignore[operator]
    assert preview(one.format(MASK, "three") + one.format(MASK, "four")).errors == ()


def test_it_takes_no_password_for_a_copied_line_that_would_show_it(write: object) -> None:
    one = "a.ru:pop3 u {} {}@mydomain.ru keep{}\n"
    write(one.format("p", "one", ""))  # type: ignore[operator]
    copied = one.format(MASK, "two", "") + one.format(MASK, "three", " auth password")
    errors = preview(one.format(MASK, "one", "") + copied).errors
    assert [(problem.code, problem.line) for problem in errors] == [(Code.PASSWORD_NEEDED, 3)]


@pytest.mark.usefixtures("book")
def test_it_wants_a_password_where_the_stored_one_cannot_follow() -> None:
    FetchRule.objects.filter(user="ivanov").update(password="v1:gone:AAAA")
    assert preview(load()).errors == ()
    assert [problem.code for problem in preview(load().replace("pop3|ivanov", "pop3s|ivanov")).errors] == [
        Code.PASSWORD_NEEDED
    ]


@pytest.mark.usefixtures("book")
def test_it_sees_that_a_rule_which_stays_reads_the_same_mailbox() -> None:
    text = "mailserver.ru:pop3 petrov p one@mydomain.ru keep ssl\nmailserver.ru:pop3|petrov|p|two@mydomain.ru|keep"
    FetchRule.objects.filter(user="ivanov").update(user="petrov", keep=True)
    assert preview(text).errors == ()
    taken = "mailserver.ru:pop3 petrov p i.petrov@mydomain.ru ssl\n"
    assert [problem.code for problem in preview(taken).errors] == [Code.SOURCE_TAKEN_ELSEWHERE]
    assert preview(taken, delete_missing=True).errors == ()


def test_it_holds_new_local_mailboxes_to_the_local_domains(book: str) -> None:
    ServiceSettings.objects.update(local_domains="mydomain.ru\nmydomain.org")
    assert preview(book + "\na.ru:pop3 u p r@MYDOMAIN.ORG").errors == ()
    assert [problem.code for problem in preview(book + "\na.ru:pop3 u p r@elsewhere.ru").errors] == [
        Code.RECIPIENT_NOT_LOCAL
    ]


def test_it_leaves_rules_alone_that_are_outside_the_local_domains_already(book: str) -> None:
    ServiceSettings.objects.update(local_domains="mydomain.org")
    assert preview(book).errors == ()
    assert [problem.line for problem in preview(book.replace("limit 5m", "limit 6m")).errors] == [4]


def test_it_has_the_warnings_of_the_text(book: str) -> None:
    seen = preview(book.replace("keep ssl", "keep fetchall ssl"))
    assert [problem.code for problem in seen.warnings] == [Code.KEEP_FETCHALL]
    assert seen.errors == ()
    assert seen.changed[0].rule.encryption is Encryption.SSL


def test_it_warns_of_flags_that_a_mail_server_does_not_take(book: str, settings: Settings) -> None:
    text = book + "\na.ru:imap u p r@mydomain.ru uidl Flags"
    assert preview(text).problems == ()
    settings.UTM_MAIL_DELIVERY = "lmtp:/run/dovecot/lmtp"
    (warning,) = preview(text).problems
    assert (warning.code, warning.field, warning.length) == (Code.FLAGS_LOST, "flags", 5)
    assert text.splitlines()[warning.line - 1][warning.column - 1 :] == "Flags"
    assert not preview(text).errors


TWINS = "a.ru:pop3 u p r@mydomain.ru keep\na.ru:pop3 u q r@mydomain.ru keep # the other\n"


def test_it_takes_an_unchanged_export_of_rules_that_differ_in_their_passwords_only(write: Applier) -> None:
    write(TWINS)
    assert write(load()).revision is None
    assert load(with_passwords=True) == TWINS


@pytest.mark.parametrize("change", ["remove the first", "replace the second password"])
def test_it_does_not_guess_which_of_two_passwords_is_meant(change: str, write: Applier) -> None:
    write(TWINS)
    first, second = load().splitlines(keepends=True)
    text = second if change == "remove the first" else first + second.replace(MASK, "new")
    assert [problem.code for problem in preview(text, delete_missing=True).errors] == [Code.PASSWORD_AMBIGUOUS]
