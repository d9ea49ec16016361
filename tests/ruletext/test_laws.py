"""The laws of the rule text. UTM_MAIL_LAWS=100000 tries them that many times over."""

import os

from hypothesis import HealthCheck, given, settings

from fetchrules.ruletext.document import parse, render
from fetchrules.ruletext.line import parse_line
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.spec import Rule, Spelling
from fetchrules.ruletext.validate import problems_of
from tests.ruletext.strategies import rules, spellings, texts

law = settings(
    max_examples=int(os.environ.get("UTM_MAIL_LAWS", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    database=None,
)


@law
@given(texts)
def test_it_renders_any_text_as_it_was(text: str) -> None:
    assert render(parse(text)) == text


@law
@given(rules(), spellings)
def test_it_reads_back_every_rule_that_it_writes(rule: Rule, spelling: Spelling) -> None:
    line = parse_line(render_rule(rule, spelling))
    assert (line.rule, line.spelling) == (rule, spelling)
    assert not any(problem.is_error for problem in problems_of(rule))
