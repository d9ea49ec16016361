"""One line: its spelling, its mask, and that no secret leaves it by another way."""

import pytest

from fetchrules.rule import MASK, Encryption, Spelling
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.problem import Code

MASKED = [
    ("a.ru:pop3 u secret r@a.ru keep # note", "a.ru:pop3 u ******** r@a.ru keep # note"),
    ("a.ru:pop3 u 'se cret' r@a.ru", "a.ru:pop3 u '********' r@a.ru"),
    ("a.ru:pop3|u|se\\|cret|r@a.ru|keep", "a.ru:pop3|u|********|r@a.ru|keep"),
    ("# a comment", "# a comment"),
    (" \t", " \t"),
    ("", ""),
    # Any part of a broken line may be the password.
    ("a.ru:pop3 u my secret r@a.ru", MASK),
    ("a.ru:pop3;u;secret;r@a.ru", MASK),
    ('a.ru:pop3 u "secret r@a.ru', MASK),
]


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_it_takes_the_password_out(text: str, masked: str) -> None:
    assert parse_line(text, ending="\n").masked_text == masked


@pytest.mark.parametrize(
    ("masked", "password", "text"),
    [
        ("a.ru:pop3 u ******** r@a.ru", "secret", "a.ru:pop3 u secret r@a.ru"),
        ("a.ru:pop3 u ******** r@a.ru", "se cret", 'a.ru:pop3 u "se cret" r@a.ru'),
        ("a.ru:pop3 u '********' r@a.ru", "it's", "a.ru:pop3 u 'it\\'s' r@a.ru"),
        ("a.ru:pop3|u|********|r@a.ru", "se cr|et", "a.ru:pop3|u|se cr\\|et|r@a.ru"),
    ],
)
def test_it_puts_a_password_in_as_the_mask_was_quoted(masked: str, password: str, text: str) -> None:
    line = parse_line(masked)
    assert line.text_with_password(password) == text
    written = line.with_password(password).rule
    assert written is not None
    assert written.password == password


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("a.ru:pop3 u p r@a.ru", Spelling.BLANKS),
        ("a.ru:pop3|u|p|r@a.ru", Spelling.BARS),
        ("a.ru:pop3 |u|p|r@a.ru", Spelling.BARS),
        ('a.ru:pop3 "|" p r@a.ru', Spelling.BLANKS),
        ("nonsense", Spelling.BLANKS),
        ("# a|b", None),
        ("\u3000", None),
    ],
)
def test_it_tells_the_spellings_apart(text: str, spelling: Spelling | None) -> None:
    assert parse_line(text).spelling is spelling


@pytest.mark.parametrize(
    "text",
    [
        "a.ru:hunter2 u p r@a.ru",
        "a.ru:pop3:u:hunter2:r@a.ru",
        "a.ru:pop3 u hunter2",
        "a.ru:pop3 u x hunter2 r@a.ru",
        "a.ru:pop3 u x very hunter2 r@a.ru",
        "a.ru:pop3 u 'hunter2' hunter2",
        'a.ru:pop3 u "hunter2" x"hunter2 r@a.ru',
        "a.ru:pop3\u00a0u\u00a0hunter2\u00a0r@a.ru",
        "a.ru:pop3|u|x|hunter2|r@a.ru",
        "a.ru|u|hunter2|r@a.ru",
        "hunter2",
    ],
)
def test_it_never_repeats_what_may_be_a_password(text: str) -> None:
    line = parse_line(text)
    assert line.is_broken
    assert not any("hunter2" in word for problem in line.problems for word in (problem.word, problem.other))


def test_it_has_its_place_in_every_problem() -> None:
    line: Line = parse_line("a.ru:pop3 u p r@a.ru kep", number=12)
    assert [(problem.line, problem.column, problem.length) for problem in line.problems] == [(12, 22, 3)]


def test_it_reads_every_option_behind_many_that_are_given_twice() -> None:
    line = parse_line("a.ru:pop3 u p r@a.ru " + "keep " * 20 + "ssl limit 5")
    assert line.rule is not None
    assert (line.rule.encryption, line.rule.limit) == (Encryption.SSL, 5)
    assert [problem.code for problem in line.problems] == [Code.OPTION_TWICE] * 10
    (*_, error) = parse_line("a.ru:pop3 u p r@a.ru " + "keep " * 20 + "nokeep").problems
    assert error.code is Code.OPTION_CONTRADICTED
