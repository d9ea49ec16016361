"""Revisions: every text that was applied can be looked at, compared and brought back, passwords and all."""

import json

import pytest

from fetchrules.acts.rules import set_rule
from fetchrules.models import FetchRule, Revision
from fetchrules.rule import MASK
from fetchrules.rulebook import revisions
from fetchrules.rulebook.revisions import Difference, Side, compare, document_of
from fetchrules.rulebook.text import load
from tests.rulebook.conftest import Applier


def test_it_keeps_what_was_there_before_the_first_text(write: Applier) -> None:
    write("a.ru:pop3 u p r@mydomain.ru\n")
    assert list(Revision.objects.order_by("id").values_list("version", "text")) == [
        (0, ""),
        (1, "a.ru:pop3 u ******** r@mydomain.ru\n"),
    ]


def test_it_keeps_what_forms_did_between_two_texts(book: str, write: Applier) -> None:
    row = FetchRule.objects.get(user="petrov")
    set_rule(row, row.as_rule("from the form"), by=None)
    write("", delete_missing=True)
    assert list(Revision.objects.order_by("id").values_list("version", flat=True)) == [0, 1, 2, 3]
    assert "from the form" in document_of(Revision.objects.get(version=2)).text


def test_it_holds_no_password_in_plain_text(book: str) -> None:
    kept = json.dumps(list(Revision.objects.values("text", "passwords")))
    assert "petrovpasswd" not in kept
    assert MASK in kept


def test_it_brings_a_text_back(book: str, write: Applier) -> None:
    applied = Revision.objects.get(version=1)
    write(book.replace("petrovpasswd", "changed").replace("# Sales", "# Nobody"), delete_missing=True)
    write("", delete_missing=True)
    assert load() == ""
    write(document_of(applied).text, delete_missing=True)
    assert load(with_passwords=True) == book


@pytest.mark.usefixtures("book")
def test_it_leaves_a_password_masked_that_no_key_opens() -> None:
    revision = Revision.objects.get(version=1)
    revision.passwords = ["v1:gone:AAAA", *revision.passwords[1:]]
    text = document_of(revision).text
    assert f"petrov {MASK}" in text
    assert "iv\\|an" in text


def test_it_compares_two_texts_line_by_line(book: str, write: Applier) -> None:
    write(book.replace("limit 5m", "limit 6m"))
    old, new = Revision.objects.order_by("id")[1:3]
    assert [difference for difference in compare(old, new) if difference.side is not Side.BOTH] == [
        Difference(Side.OLD, 4, "mailserver.ru:pop3|ivanov|********|i.ivanov@mydomain.ru|limit 5m"),
        Difference(Side.NEW, 4, "mailserver.ru:pop3|ivanov|********|i.ivanov@mydomain.ru|limit 6m"),
    ]
    assert list(compare(old, old)) == []


def test_it_keeps_only_so_many(write: Applier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "KEPT", 3)
    for number in range(5):
        write(f"# {number}")
    assert [revision.text for revision in Revision.objects.all()] == ["# 4", "# 3", "# 2"]
