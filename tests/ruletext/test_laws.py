"""The laws of the rule text. LAWS=100000 in the environment tries them that many times over."""

import os
import re
from dataclasses import fields, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetchrules.rule import MASK, OPTIONS, Rule, Spelling
from fetchrules.ruletext.document import Document, parse, with_endings_of
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.lexer import Kind, Token
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.validate import problems_of
from tests.ruletext.strategies import fields as field_texts
from tests.ruletext.strategies import rules, spellings, texts, written_lines

law = settings(
    max_examples=int(os.environ.get("LAWS", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    database=None,
)


@law
@given(texts)
def test_it_renders_any_text_as_it_was(text: str) -> None:
    assert parse(text).text == text


@law
@given(
    st.lists(st.tuples(st.text(st.characters(exclude_characters="\r\n")), st.sampled_from(["\n", "\r\n", "\r"]))),
    st.text("ab"),
)
def test_it_gives_an_unchanged_text_from_a_browser_its_line_ends_back(lines: list[tuple[str, str]], last: str) -> None:
    text = "".join(line + ending for line, ending in lines) + last
    box = re.sub("\r\n|\r|\n", "\r\n", text)
    if len({line for line, _ in lines}) == len(lines):  # of equal lines with unlike ends, no one knows which is which
        assert with_endings_of(box, text) == text


@law
@given(rules(), spellings)
def test_it_reads_back_every_rule_that_it_writes(rule: Rule, spelling: Spelling) -> None:
    line = parse_line(render_rule(rule, spelling))
    assert (line.rule, line.spelling) == (rule, spelling)
    assert {problem.code for problem in problems_of(rule) if problem.is_error} <= {Code.CHARACTER_HARMFUL}


@law
@given(written_lines(), rules(), st.sampled_from([item.name for item in fields(Rule)]))
def test_it_changes_only_the_characters_of_the_field_that_changed(line: Line, other: Rule, field: str) -> None:
    assert line.rule is not None, line.problems
    rule = replace(line.rule, **{field: getattr(other, field)})
    if any(problem.is_error and problem.code is not Code.CHARACTER_HARMFUL for problem in problems_of(rule)):
        return  # such a change needs another one: a POP3 mailbox has no folders
    if field in {"encryption", "sslcertck"} and "sslcertck" in option_words(line):
        return  # with no word for TLS it says both fields: the table of edits tells what becomes of it
    edited = edit(line, rule)
    assert edited.rule == rule
    assert edited.ending == line.ending
    assert others(edited, field) == others(line, field)
    if not ends_with_bar(line):
        assert without(edited, field) == without(line, field)


@law
@given(texts, texts)
def test_it_puts_lines_of_two_texts_together_as_if_they_were_parsed_anew(one: str, other: str) -> None:
    lines = (parse_line("# top"), *parse(one).lines, *parse(other).lines)
    document = Document().with_lines(replace(line, ending="\n") for line in lines)
    assert document == parse(document.text)


@law
@given(written_lines(), rules())
def test_it_makes_a_line_say_any_other_rule(line: Line, rule: Rule) -> None:
    edited = edit(line, rule)
    assert edited.rule == rule
    assert edited.spelling is line.spelling
    assert comments(edited) == comments(line)


@law
@given(written_lines(), field_texts(20))
def test_it_takes_the_password_out_and_puts_another_in(line: Line, password: str) -> None:
    assert line.rule is not None
    masked = parse_line(line.masked_text, line.number, line.ending)
    assert masked.rule == replace(line.rule, password=MASK)
    assert line.with_password(password).rule == replace(line.rule, password=password)
    assert masked.with_password(line.rule.password) == line or line.text != line.with_password(line.rule.password).text
    assert others(line.with_password(password), "password") == others(line, "password")


@law
@given(texts)
def test_it_never_repeats_a_password_in_a_problem(text: str) -> None:
    for line in parse(text).lines:
        passwords = {token.value for token in line.tokens if token.kind is Kind.PASSWORD}
        elsewhere = {(token.value or "").lower() for token in line.tokens if token.kind is not Kind.PASSWORD}
        for problem in line.problems:
            assert problem.word not in passwords - elsewhere


def others(line: Line, field: str) -> list[str]:
    """What stands in the line and does not say `field`, separators aside."""
    own = {token.start for token in tokens_of(line, field)}
    return [token.text for token in line.tokens if token.start not in own and token.kind not in {Kind.BLANK, Kind.BAR}]


def option_words(line: Line) -> set[str]:
    return {token.text.lower() for token in line.tokens if token.kind is Kind.WORD}


def comments(line: Line) -> list[str]:
    return [token.text for token in line.tokens if token.kind is Kind.COMMENT]


def tokens_of(line: Line, field: str) -> list[Token]:
    """The tokens that say `field`."""
    leading = [token for token in line.tokens if token.kind.value == field]
    if field == "encryption":  # the s of pop3s
        leading.append(line.token(Kind.PROTOCOL))
    own = []
    word = ""
    for token in line.tokens:
        if token.kind is Kind.WORD:
            word = token.text.lower()
        if token.kind in {Kind.WORD, Kind.VALUE} and OPTIONS[word].field == field:
            own.append(token)
    return leading + own


def without(line: Line, field: str) -> str:
    """The line's characters without those that say `field`; an option goes with the separator before it."""
    text = line.text
    for token in reversed(tokens_of(line, field)):
        start, end = token.start, token.start + len(token.text)
        if token.kind in {Kind.WORD, Kind.VALUE}:
            start = len(text[:start].rstrip(" \t"))
            if token.kind is Kind.WORD and line.spelling is Spelling.BARS:
                start -= 1
                end += (
                    len(text[end:]) - len(text[end:].lstrip(" \t")) if text[end:].lstrip(" \t").startswith("|") else 0
                )
        text = text[:start] + text[end:]
    return text


def ends_with_bar(line: Line) -> bool:
    """Whether a bar closes the line: the next option to be added takes it."""
    return [token.kind for token in line.tokens if token.kind not in {Kind.BLANK, Kind.COMMENT}][-1] is Kind.BAR
