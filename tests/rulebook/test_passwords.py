"""Whose password a masked line goes on with, where thousands of rules share an account."""

import sys
from types import FrameType

import pytest

from fetchrules.models import Revision
from fetchrules.rulebook.revisions import LONG, compare
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.sources import keeps_password
from tests.conftest import MakeRule
from tests.rulebook.texts import preview

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("passwords", ["one", "many"])
def test_it_looks_for_passwords_in_time_due_to_the_number_of_rules(passwords: str, make_rule: MakeRule) -> None:
    number = 40
    for n in range(number):
        password = "petrovpasswd" if passwords == "one" else f"secret{n}"
        make_rule(user="petrov", recipient=f"r{n}@mydomain.ru", keep=True, password=password)
    text = "".join(f"mailserver.ru:pop3 petrov ******** new{n}@mydomain.ru keep\n" for n in range(number))
    calls = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is keeps_password.__code__

    sys.setprofile(count)
    try:
        seen = preview(text)
    finally:
        sys.setprofile(None)
    assert {problem.code for problem in seen.errors} == (set() if passwords == "one" else {Code.PASSWORD_AMBIGUOUS})
    assert calls <= 4 * number


def test_it_finds_the_change_among_thousands_of_equal_lines() -> None:
    old = Revision(version=1, text="#\n" * LONG + "a\n" + "#\n" * LONG)
    new = Revision(version=2, text="#\n" * LONG + "b\n" + "#\n" * LONG)
    changed = [
        (line.side.value, line.text) for line in compare(old, new) if line.side.value != "=" and line.text in "ab"
    ]
    assert changed == [("-", "a"), ("+", "b")]
