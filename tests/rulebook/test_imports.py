"""Files of other programs, set into the text that is there: what is known changes as little as can be, new rules come last."""

import json

import pytest

from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.rulebook.imports import read
from fetchrules.rulebook.text import FileFormat, export, load
from fetchrules.ruletext.document import parse
from fetchrules.ruletext.formats.detection import Format
from fetchrules.ruletext.problem import Code
from tests.rulebook.conftest import Applier
from tests.rulebook.texts import preview

RC = """
# Sales
poll mailserver.ru proto pop3 user petrov pass petrovpasswd is i.petrov@mydomain.ru nokeep ssl
poll new.ru proto pop3 user new pass p is new@mydomain.ru mda "/bin/true"
# below
"""


def test_it_takes_a_rule_text_as_it_is(book: str) -> None:
    assert read("a.ru:pop3 u p r@a.ru\n#").document.text == "a.ru:pop3 u p r@a.ru\n#"


@pytest.mark.parametrize("with_passwords", [True, False])
def test_it_changes_nothing_with_an_unchanged_export(book: str, write: Applier, with_passwords: bool) -> None:
    before = list(FetchRule.objects.values())
    for pieces in (
        export(FileFormat.JSON, with_passwords=with_passwords),
        export(FileFormat.FETCHMAILRC, with_passwords=with_passwords),
    ):
        content = "".join(pieces)
        assert write(read(content).document.text).revision is None
        assert write(read(content, replace_all=True).document.text, delete_missing=True).revision is None
    assert list(FetchRule.objects.values()) == before
    assert load(with_passwords=True) == book


def test_it_sets_rules_into_the_text(book: str, write: Applier) -> None:
    found = read(RC)
    assert (found.format, [problem.code for problem in found.problems]) == (
        Format.FETCHMAILRC,
        [Code.FOREIGN_NOT_MAPPED],
    )
    done = write(found.document.text)
    assert (done.added, done.changed, done.unchanged) == (1, 1, 2)
    new = "\n# Sales\nnew.ru:pop3 new p new@mydomain.ru\n# below\n"
    assert load(with_passwords=True) == book.replace("keep ssl", "ssl") + new.replace("# Sales\n", "")


def test_it_replaces_all_and_leaves_the_comments(book: str, write: Applier) -> None:
    write(read(RC, replace_all=True).document.text, delete_missing=True)
    assert load() == (
        "\ufeff# Accounts\r\nmailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru ssl   # the boss\r\n"
        "\r\n# Sales\n# end\nnew.ru:pop3 new ******** new@mydomain.ru\n# below\n"
    )


@pytest.mark.usefixtures("book")
def test_it_finds_the_place_of_a_problem_in_the_file() -> None:
    rules = [{"server": "a.ru", "protocol": "pop3", "user": name, "recipient": "r@mydomain.ru"} for name in "ab"]
    content = json.dumps({"format": "utm-mail-rules", "version": 1, "rules": rules}, indent=1)
    found = read(content)
    problems = [found.at_origin(problem) for problem in preview(found.document.text).errors]
    assert [(problem.code, problem.line) for problem in problems] == [
        (Code.PASSWORD_NEEDED, 5),
        (Code.PASSWORD_NEEDED, 11),
    ]


def test_it_names_the_local_domain_of_a_fetchmailrc(write: Applier) -> None:
    write(read("poll a.ru proto pop3 user u pass p is ivan", domain="mydomain.ru").document.text)
    assert FetchRule.objects.get().recipient == "ivan@mydomain.ru"


@pytest.mark.parametrize(
    ("domains", "recipients"), [("mydomain.ru", ["ivan@mydomain.ru"]), ("mydomain.ru\nother.ru", []), ("", [])]
)
@pytest.mark.django_db
def test_it_completes_a_local_name_where_only_one_domain_can_be_meant(domains: str, recipients: list[str]) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(local_domains=domains)
    text = read("poll a.ru proto pop3 user u pass p is ivan here").document.text
    assert [line.rule.recipient for line in parse(text).lines if line.rule] == recipients
