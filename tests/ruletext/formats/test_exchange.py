"""JSON: out and back, and what other programs may leave out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.rule import MASK, Protocol, Rule
from fetchrules.ruletext.formats.exchange import as_json, export_json, import_json
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.sources import Claims
from tests.ruletext.strategies import SHOWN_FIELD, rules
from tests.ruletext.test_laws import law

RULE = Rule("mailserver.ru", Protocol.POP3, "petrov", "p", "i.petrov@mydomain.ru")


@law
@given(st.lists(rules(SHOWN_FIELD), max_size=3))
def test_it_comes_back_as_it_went(given_rules: list[Rule]) -> None:
    claims: Claims[int] = Claims()
    imported = import_json("".join(export_json(given_rules)))
    assert [found.rule for found in imported.found] == given_rules
    clash = any(claims.claim(rule, number) is not None for number, rule in enumerate(given_rules))
    assert bool(imported.errors) == clash


def test_it_leaves_defaults_out() -> None:
    assert as_json(RULE) == {
        "server": "mailserver.ru",
        "protocol": "pop3",
        "user": "petrov",
        "password": "p",
        "recipient": "i.petrov@mydomain.ru",
    }


def test_it_takes_a_missing_password_for_the_stored_one() -> None:
    rule = {name: value for name, value in as_json(RULE).items() if name != "password"}
    text = json.dumps({"format": "utm-mail-rules", "version": 1, "rules": [rule]}, indent=2)
    imported = import_json(text)
    assert [(found.rule.password, found.line) for found in imported.found] == [(MASK, 5)]


def test_it_says_where_a_rule_stands_even_if_another_list_has_the_same_name() -> None:
    text = json.dumps({"note": {"rules": [1]}, "format": "utm-mail-rules", "version": 1, "rules": [{"x": 1}, 2]})
    assert {problem.code for problem in import_json(text).problems} == {
        Code.JSON_FIELD_UNKNOWN,
        Code.JSON_VALUE_INVALID,
    }


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "1" * 10_000, "null", '"x"', '{"rules": 7}', "\ufeff{}"])
def test_it_survives_what_is_no_such_file(text: str) -> None:
    assert import_json(text).errors[0].code in {Code.JSON_INVALID, Code.JSON_NO_RULES}
