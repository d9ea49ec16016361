"""The text of many lines: endings, warnings and errors apart, and what is too much."""

import time

import pytest

from fetchrules.ruletext.document import MAX_LINES, MAX_OCTETS, Document, parse, with_endings_of
from fetchrules.ruletext.problem import Code

RULE = "mailserver.ru:pop3 petrov{} petrovpasswd i.petrov@mydomain.ru keep ssl limit 5m # a note"


@pytest.mark.parametrize(
    ("text", "endings"),
    [
        ("", []),
        ("\n", ["\n"]),
        ("a", [""]),
        ("a\n", ["\n"]),
        ("a\r\nb\rc\n\nd", ["\r\n", "\r", "\n", "\n", ""]),
        ("a\u2028b\x85c\x0bd", [""]),
    ],
)
def test_it_breaks_lines_where_mail_servers_do(text: str, endings: list[str]) -> None:
    document = parse(text)
    assert [line.ending for line in document.lines] == endings
    assert document.text == text


def test_it_keeps_a_byte_order_mark_out_of_the_first_rule() -> None:
    document = parse("\ufeffa.ru:pop3 u p r@a.ru")
    assert document.start == "\ufeff"
    assert document.lines[0].rule is not None


def test_it_tells_warnings_from_errors() -> None:
    document = parse("a.ru:pop3 u p r@a.ru keep fetchall\nb.ru:pop3 u p r@a.ru kep\n")
    assert [problem.code for problem in document.problems if not problem.is_error] == [Code.KEEP_FETCHALL]
    assert [problem.code for problem in document.errors] == [Code.OPTION_UNKNOWN]
    assert {problem.is_error for problem in document.problems} == {True, False}


def test_it_says_all_errors_at_once() -> None:
    document = parse("a.ru:pop3 u p r@a.ru kep limit x\nb.ru\n\nc.ru:pop3 u p r@a.ru port 0\n")
    assert [problem.line for problem in document.errors] == [1, 1, 2, 2, 4]


@pytest.mark.parametrize(
    ("box", "present", "text"),
    [
        ("a\r\nb\r\n", "a\nb\n", "a\nb\n"),
        ("a\r\nb", "a\nb", "a\nb"),
        ("a\r\nx\r\nb\r\n", "a\r\nb\r\n", "a\r\nx\r\nb\r\n"),
        ("b\nx\na\n", "a\rb\r\nc\r\n", "b\r\nx\r\na\r"),
        ("\r\n\r\na", "", "\n\na"),
        ("a\nb\n", "a\r\nb", "a\r\nb\r\n"),
        ("", "a\r\n", ""),
    ],
)
def test_it_gives_lines_from_a_browser_their_endings_back(box: str, present: str, text: str) -> None:
    assert with_endings_of(box, present) == text


def test_it_masks_every_line() -> None:
    document = parse("# top\r\na.ru:pop3 u secret r@a.ru\r\nb.ru:pop3 secret")
    assert document.masked_text == "# top\r\na.ru:pop3 u ******** r@a.ru\r\n********"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("x" * 10_000_000, Code.TEXT_TOO_LONG, id="ten megabytes"),
        pytest.param("я" * (MAX_OCTETS // 2 + 1), Code.TEXT_TOO_LONG, id="octets, not characters"),
        pytest.param("x" * 1_000_000, Code.LINE_TOO_LONG, id="a line of a megabyte"),
        pytest.param("\n" * (MAX_LINES + 1), Code.TOO_MANY_LINES, id="too many lines"),
        pytest.param("\r\n" * (MAX_LINES + 1), Code.TOO_MANY_LINES, id="too many lines of two characters"),
        pytest.param("a.ru:pop3 '" + "\\" * 8000, Code.QUOTE_OPEN, id="a quote that never closes"),
        pytest.param("a.ru:pop3|" + " " * 8000 + "|p|r@a.ru", Code.FIELD_TOO_LONG, id="blanks between bars"),
        pytest.param(("a.ru:pop3 u p r@a.ru" + " x" * 4000 + "\n") * 400, Code.OPTION_UNKNOWN, id="wrong words"),
    ],
)
def test_it_answers_quickly_to_too_much(text: str, code: Code) -> None:
    begun = time.process_time()
    document = parse(text)
    assert time.process_time() - begun < 4
    assert document.errors[0].code is code
    assert document.text == text


def test_it_takes_as_many_lines_as_it_says() -> None:
    assert parse("#\n" * MAX_LINES).errors == ()


@pytest.mark.parametrize(
    ("line", "errors"), [(RULE, 0), (RULE.replace("keep", "kep"), 10_000), (RULE.replace(":pop3 ", ":pop3|"), 10_000)]
)
def test_it_checks_ten_thousand_lines_in_time_due_to_their_number(line: str, errors: int) -> None:
    def seconds(lines: int) -> float:
        text = "\n".join(line.format(number) for number in range(lines))
        begun = time.process_time()
        document: Document = parse(text)
        assert len(document.errors) == errors * lines // 10_000
        return time.process_time() - begun

    # Ten times as many lines; a hundred times the work if it grew with the square.
    assert min(seconds(10_000) for _ in range(2)) < 40 * max(seconds(1_000) for _ in range(3))
