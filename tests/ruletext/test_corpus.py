"""Files that are read right, and files that are refused for the right reasons. Beside each: what it says, and what is said of it.

<file>.rules       one JSON object a rule (foreign files: the line of the rule before it)
<file>.problems    line:column+length code [field] [«word found»] [/ other word] [→ suggestion]
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from fetchrules.rule import OPTIONS, PROTOCOL_WORDS, Spelling
from fetchrules.ruletext.document import parse
from fetchrules.ruletext.formats.detection import Format, decode, detect, import_foreign
from fetchrules.ruletext.formats.exchange import as_json
from fetchrules.ruletext.formats.foreign import Reason
from fetchrules.ruletext.problem import Code, Problem
from tests.ruletext.strategies import text_of

CORPUS = Path(__file__).parent / "corpus"
TEXTS = sorted(CORPUS.glob("*valid/*.txt"))
FOREIGN = sorted(
    path
    for form in (Format.FETCHMAILRC, Format.JSON, Format.POSTFIXADMIN)
    for path in (CORPUS / form).iterdir()
    if path.suffix not in {".rules", ".problems"}
)
WITHOUT_TEXT = {
    # Said of texts that are too long for a corpus.
    Code.TEXT_TOO_LONG,
    Code.TOO_MANY_LINES,
    # Said only where there is a database: tests/rulebook.
    Code.PASSWORD_NEEDED,
    Code.PASSWORD_AMBIGUOUS,
    Code.SOURCE_TAKEN_ELSEWHERE,
    Code.RECIPIENT_NOT_LOCAL,
    Code.RECIPIENT_NOT_YOURS,
    Code.TOO_MANY_RULES,
    Code.PRESENT_DELETED,
    Code.PRESENT_BY_MARKS,
    Code.SINCE_INVALID,
    Code.SINCE_FUTURE,
    Code.PRESENT_PENDING,
    # Said of other programs' lists of fetched letters: tests/ruletext/formats.
    Code.FETCHED_UNKNOWN,
    Code.FETCHED_LINE,
    Code.FETCHED_NAME,
    Code.FLAGS_LOST,
}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_it_reads_a_rule_text(path: Path) -> None:
    text = decode(path.read_bytes())
    document = parse(text)
    assert document.text == text
    assert written(document.problems) == beside(path, "problems")
    if path.parent.name == "valid":
        rules = [json.dumps(as_json(line.rule), ensure_ascii=False) for line in document.lines if line.rule]
        assert rules == beside(path, "rules")
        assert not document.errors
    else:
        assert document.errors


@pytest.mark.parametrize("path", FOREIGN, ids=name)
def test_it_reads_a_foreign_file(path: Path) -> None:
    imported = import_foreign(decode(path.read_bytes()), Format(path.parent.name))
    rules = [f"{found.line} {json.dumps(as_json(found.rule), ensure_ascii=False)}" for found in imported.found]
    assert rules == beside(path, "rules")
    assert written(imported.problems) == beside(path, "problems")


@pytest.mark.parametrize("path", [path for path in [*TEXTS, *FOREIGN] if path.name != "columns.csv"], ids=name)
def test_it_finds_out_which_format_a_file_has(path: Path) -> None:
    form = path.parent.name if path in FOREIGN else "text"
    assert detect(decode(path.read_bytes())) == form


@pytest.mark.parametrize("path", FOREIGN, ids=name)
def test_it_turns_a_foreign_file_into_a_rule_text_that_says_the_same(path: Path) -> None:
    imported = import_foreign(decode(path.read_bytes()), Format(path.parent.name))
    rules = [line.rule for line in parse(text_of(imported)).lines if line.rule]
    assert rules == [found.rule for found in imported.found]


@pytest.mark.parametrize("spelling", Spelling)
@pytest.mark.parametrize("word", OPTIONS)
def test_it_has_every_option_word_in_either_spelling(word: str, spelling: Spelling) -> None:
    lines = [line for path in TEXTS if path.parent.name == "valid" for line in parse(decode(path.read_bytes())).lines]
    assert any(re.search(rf"[ |]{word}\b", line.text, re.IGNORECASE) for line in lines if line.spelling is spelling)


@pytest.mark.parametrize("word", PROTOCOL_WORDS)
def test_it_has_every_protocol_word(word: str) -> None:
    assert any(f":{word}" in path.read_text(encoding="utf-8").lower() for path in TEXTS if path.parent.name == "valid")


@pytest.mark.parametrize("code", [code for code in Code if code not in WITHOUT_TEXT])
def test_it_has_a_file_for_everything_that_can_be_wrong(code: Code) -> None:
    said = [line for path in CORPUS.rglob("*.problems") for line in path.read_text(encoding="utf-8").splitlines()]
    assert any(line.split()[1] == code for line in said)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.COLUMN])
def test_it_has_a_file_for_every_reason_to_leave_something_out(reason: Reason) -> None:
    said = [line for path in CORPUS.rglob("*.problems") for line in path.read_text(encoding="utf-8").splitlines()]
    assert any(line.endswith(f" / {reason}") for line in said)


def written(problems: Iterable[Problem]) -> list[str]:
    """As in a file `.problems`."""
    return [
        f"{problem.line}:{problem.column}+{problem.length} {problem.code}"
        + (f" {problem.field}" if problem.field else "")
        + (f" «{problem.word}»" if problem.word else "")
        + (f" / {problem.other}" if problem.other else "")
        + (f" → {problem.suggestion}" if problem.suggestion else "")
        for problem in problems
    ]


def beside(path: Path, what: str) -> list[str]:
    """The lines of the file that belongs to `path`; none if there is no such file."""
    file = path.with_name(f"{path.name}.{what}")
    return file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
