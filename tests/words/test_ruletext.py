"""What is said of a rule's text: a sentence for everything that can be wrong, with its place, in both languages."""

from pathlib import Path

import pytest
from django.utils import translation

from fetchrules.ruletext.document import parse
from fetchrules.ruletext.formats.detection import Format, decode, import_foreign
from fetchrules.ruletext.formats.foreign import Reason
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.words.ruletext import describe, explain

CORPUS = Path(__file__).parents[1] / "ruletext" / "corpus"

SENTENCES = [
    (
        "\n\na.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru kep\n",
        "строка 3, столбец 52: неизвестный параметр «kep»; возможно, «keep»",
        "line 3, column 52: unknown option “kep”; perhaps “keep”",
    ),
    (
        "a.ru:pop3 petrov",
        "строка 1, столбец 17: ожидается пароль",
        "line 1, column 17: expected: password",
    ),
    (
        "a.ru:pop4 u p r@a.ru",
        "строка 1, столбец 6: неизвестный протокол «pop4»; возможно, «pop3»",
        "line 1, column 6: unknown protocol “pop4”; perhaps “pop3”",
    ),
    (
        "a.ru:pop3 u p r@a.ru limit 0",
        "строка 1, столбец 28: ожидается число от 1 до 1099511627776",
        "line 1, column 28: expected a number from 1 to 1099511627776",
    ),
    (
        "a.ru:pop3 u p r@a.ru folder X",
        "строка 1, столбец 22: у POP3 нет параметра «folder»",
        "line 1, column 22: POP3 has no option “folder”",
    ),
    (
        "a.ru:pop3 " + "u" * 256 + " p r@a.ru",
        "строка 1, столбец 11: логин: не более 255 символов",
        "line 1, column 11: login: at most 255 characters",
    ),
    (
        "x" * 5_000_001,
        "строка 1, столбец 1: текст слишком велик: не более 5 МБ",
        "line 1, column 1: the text is too long: at most 5 MB",
    ),
]


@pytest.mark.parametrize(("text", "russian", "english"), SENTENCES, ids=range(len(SENTENCES)))
def test_it_says_what_is_wrong_and_where(text: str, russian: str, english: str) -> None:
    problem = parse(text).errors[0]
    with translation.override("ru"):
        assert describe(problem) == russian
    with translation.override("en"):
        assert describe(problem) == english


def test_it_leaves_the_place_out_where_there_is_none() -> None:
    with translation.override("en"):
        assert describe(Problem(Code.FIELD_EMPTY, field="user")) == "login: nothing given"


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("code", Code)
def test_it_has_words_for_everything(code: Code, language: str) -> None:
    other = Reason.COMMANDS if code in {Code.FOREIGN_NOT_MAPPED, Code.FOREIGN_LEFT_OUT} else "keep"
    problem = Problem(code, line=1, column=1, field="user", word="w", other=other, minimum=1, maximum=7_000_000)
    with translation.override(language):
        sentence = explain(problem)
    assert sentence
    assert "%(" not in sentence


@pytest.mark.parametrize("reason", Reason)
def test_it_has_words_for_every_reason(reason: Reason) -> None:
    with translation.override("en"):
        assert "not taken over" in explain(Problem(Code.FOREIGN_LEFT_OUT, other=reason))


def test_it_has_a_sentence_for_every_problem_of_the_corpus() -> None:
    problems = [
        problem for path in CORPUS.glob("*valid/*.txt") for problem in parse(decode(path.read_bytes())).problems
    ]
    for form in (Format.FETCHMAILRC, Format.JSON, Format.POSTFIXADMIN):
        files = [path for path in (CORPUS / form).iterdir() if path.suffix not in {".rules", ".problems"}]
        problems += [problem for path in files for problem in import_foreign(decode(path.read_bytes()), form).problems]
    assert len(problems) > 200
    for problem in problems:
        assert "None" not in describe(problem)
        assert "%(" not in describe(problem)
