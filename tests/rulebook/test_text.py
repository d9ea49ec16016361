"""The rules as text: what was written comes out again."""

import json

import pytest

from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.rule import MASK, Encryption
from fetchrules.rulebook.text import FileFormat, export, from_text_box, load
from tests.conftest import MakeRule

MASKED = (
    "\ufeff# Accounts\r\n"
    "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru keep ssl   # the boss\r\n"
    "\r\n"
    "mailserver.ru:pop3|ivanov|********|i.ivanov@mydomain.ru|limit 5m\n"
    "# Sales\n"
    "[2001:db8::1]:imaps 'sales team' \"********\" sales@mydomain.ru folder 'Sent Items'\n"
    "# end"
)


def test_it_gives_the_text_back(book: str) -> None:
    assert load(with_passwords=True) == book


def test_it_masks_every_password(book: str) -> None:
    assert load() == MASKED


@pytest.mark.usefixtures("book")
def test_it_gives_the_lines_of_a_text_box_their_ends_back() -> None:
    box = load().replace("\r\n", "\n").replace("keep ssl", "nokeep ssl").replace("\n", "\r\n")
    assert from_text_box(box) == load().replace("keep ssl", "nokeep ssl")


def test_it_takes_plain_line_ends_from_a_text_box(make_rule: MakeRule) -> None:
    make_rule()
    assert from_text_box("a\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.usefixtures("book")
def test_it_never_has_a_password_in_the_table() -> None:
    stored = json.dumps(list(FetchRule.objects.values("before", "line", "password")))
    assert not any(secret in stored for secret in ("petrovpasswd", "iv\\\\|an", "iv|an", "s@les"))


@pytest.mark.usefixtures("book")
def test_it_follows_columns_that_were_changed_behind_its_back() -> None:
    FetchRule.objects.filter(user="ivanov").update(enabled=False, limit=7)
    assert "mailserver.ru:pop3|ivanov|********|i.ivanov@mydomain.ru|limit 7|skip\n" in load()


def test_it_writes_a_line_for_a_rule_that_has_none(make_rule: MakeRule) -> None:
    make_rule(user="petrov", keep=True, encryption=Encryption.SSL)
    assert load(with_passwords=True) == "mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru keep ssl\n"


def test_it_ends_a_line_that_has_another_below_it(make_rule: MakeRule) -> None:
    make_rule(user="a", line_end="")
    make_rule(user="b", line_end="")
    assert [line.split()[1] for line in load().split("\n")] == ["a", "b"]


@pytest.mark.usefixtures("book")
def test_it_leaves_a_password_masked_that_no_key_opens() -> None:
    FetchRule.objects.filter(user="petrov").update(password="v1:gone:AAAA")
    text = load(with_passwords=True)
    assert f"petrov {MASK} " in text
    assert "iv\\|an" in text


@pytest.mark.usefixtures("book")
def test_it_writes_all_rules_in_one_spelling() -> None:
    assert list(export(FileFormat.BARS))[2] == (
        "[2001:db8::1]:imap|sales team|********|sales@mydomain.ru|ssl|folder Sent Items\n"
    )
    assert list(export(FileFormat.BLANKS, with_passwords=True))[1] == (
        'mailserver.ru:pop3 ivanov "iv|an" i.ivanov@mydomain.ru limit 5242880\n'
    )


@pytest.mark.usefixtures("book")
def test_it_writes_the_formats_of_others() -> None:
    assert 'password "s@les"' in "".join(export(FileFormat.FETCHMAILRC, with_passwords=True))
    assert "s@les" not in "".join(export(FileFormat.FETCHMAILRC))
    rules = json.loads("".join(export(FileFormat.JSON)))["rules"]
    assert [rule["password"] for rule in rules] == [MASK] * 3


def test_it_reads_the_rules_in_two_queries_however_many(
    make_rule: MakeRule, django_assert_max_num_queries: object
) -> None:
    for _ in range(5):
        make_rule()
    ServiceSettings.current()
    with django_assert_max_num_queries(2):  # type: ignore[operator]
        load(with_passwords=True)
