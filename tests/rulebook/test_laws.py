"""The laws of the rule text against the database: whatever is applied is what comes out, and a form changes one field."""

from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from fetchrules.acts.rules import set_rule
from fetchrules.acts.writer import SourceTaken
from fetchrules.models import FetchRule
from fetchrules.rule import MASK, Rule
from fetchrules.rulebook.revisions import current_version
from fetchrules.rulebook.text import load
from fetchrules.ruletext.document import Document, parse
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.line import Line
from fetchrules.ruletext.sources import keeps_password
from fetchrules.ruletext.validate import problems_of
from tests.rulebook.texts import apply, preview
from tests.ruletext.strategies import SHOWN_FIELD, rules, written_lines

law = settings(
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

endings = st.sampled_from(["\n", "\r\n", "\r"])
trivia = st.sampled_from(["", "\n", "# note\n", " \r\n", "#\r", "\t# two\n# lines\n"])


@st.composite
def books(draw: st.DrawFn) -> str:
    """A text that can be applied: rules as people write them, comments, blank lines, any endings."""
    lines = draw(st.lists(written_lines(SHOWN_FIELD), min_size=1, max_size=4))
    text = "".join(draw(trivia) + line.text + draw(endings) for line in lines) + draw(trivia)
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    text = draw(st.sampled_from(["", "\ufeff"])) + text
    assume(not parse(text).errors)
    assume(not any(line.rule.password == MASK for line in parse(text).lines if line.rule))
    return text


class LawsTest(TestCase):
    """A transaction around every example."""

    @law
    @given(books())
    def test_it_gives_any_text_back(self, text: str) -> None:
        apply(text, current_version(), by=None)
        assert load(with_passwords=True) == text
        assert load() == parse(text).masked_text

    @law
    @given(books())
    def test_it_changes_no_row_with_an_unchanged_or_masked_export(self, text: str) -> None:
        apply(text, current_version(), by=None)
        before = list(FetchRule.objects.values())
        for export in (load(with_passwords=True), load()):
            assert apply(export, current_version(), by=None, delete_missing=True).revision is None
        assert list(FetchRule.objects.values()) == before

    @law
    @given(books(), rules(SHOWN_FIELD), st.sampled_from([item.name for item in fields(Rule)]), st.data())
    def test_it_changes_only_one_field_in_the_exported_text(
        self, text: str, other: Rule, field: str, data: st.DataObject
    ) -> None:
        apply(text, current_version(), by=None)
        row = data.draw(st.sampled_from(list(FetchRule.objects.order_by("position"))))
        wanted = replace(row.as_rule(MASK), **{field: getattr(other, field)})
        if wanted.password == MASK and not keeps_password(row.as_rule(MASK), wanted):
            wanted = replace(wanted, password="another")
        assume(not any(problem.is_error for problem in problems_of(wanted)))
        before = parse(load(with_passwords=True))
        try:
            set_rule(row, wanted, by=None)
        except SourceTaken:
            return
        assert parse(load(with_passwords=True)) == expected(before, row.id, wanted)

    @law
    @given(books(), st.randoms(use_true_random=False))
    def test_it_keeps_every_password_when_masked_lines_move(self, text: str, chance: object) -> None:
        apply(text, current_version(), by=None)
        lines = [f"{line.text}\n" for line in parse(load()).lines]
        chance.shuffle(lines)  # type: ignore[attr-defined]
        passwords = {row.id: row.password for row in FetchRule.objects.all()}
        shuffled = "".join(lines)
        assume(not preview(shuffled).errors)
        apply(shuffled, current_version(), by=None, delete_missing=True)
        assert {row.id: row.password for row in FetchRule.objects.all()} == passwords


def expected(document: Document, row_id: int, wanted: Rule) -> Document:
    """`document` with the line of one rule edited, by the law of the pure text."""
    order = list(FetchRule.objects.order_by("position", "id").values_list("id", flat=True))
    at = [number for number, line in enumerate(document.lines) if line.rule][order.index(row_id)]
    line = document.lines[at]
    assert line.rule is not None
    password = line.rule.password if wanted.password == MASK else wanted.password
    lines: list[Line] = [*document.lines]
    lines[at] = edit(line, replace(wanted, password=password))
    return parse(document.with_lines(lines).text)


pytestmark = pytest.mark.django_db
