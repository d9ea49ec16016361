"""The documentation names everything that there is: every variable, every command, every option word."""

import re
from pathlib import Path

import pytest

from fetchrules.delivery.dialogue import Handover
from fetchrules.policy.table import TABLE
from fetchrules.rule import FIELDS, OPTIONS
from tests.test_architecture import LAYERS

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
EVERYTHING = "\n".join(
    path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
)

VARIABLES = {
    name
    for module in ("env.py", "settings.py")
    for name in re.findall(r'"(UTM_MAIL_\w+)"', (ROOT / "utm_mail" / module).read_text(encoding="utf-8"))
}
CHECKS = (ROOT / "fetchrules" / "checks.py").read_text(encoding="utf-8")
POP3 = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "fetchrules" / "remote").rglob("*.py"))
SCALE = (ROOT / "tests" / "benchmarks" / "scale.py").read_text(encoding="utf-8")
MEASURING = set(re.findall(r'"(UTM_MAIL_TEST_\w+)"', SCALE))
COMMANDS = {path.stem for path in (ROOT / "fetchrules" / "management" / "commands").glob("[a-z]*.py")}


def test_it_finds_what_has_to_be_documented() -> None:
    assert "UTM_MAIL_DATA" in VARIABLES
    assert "up" in COMMANDS


@pytest.mark.parametrize("variable", sorted(VARIABLES))
def test_it_documents_every_variable(variable: str) -> None:
    assert f"| `{variable}` |" in OPERATIONS


def test_it_documents_no_variable_that_nobody_reads() -> None:
    assert set(re.findall(r"UTM_MAIL_[A-Z_]+[A-Z]", EVERYTHING)) <= VARIABLES | {"UTM_MAIL_TEST_ALL"} | MEASURING


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_it_documents_every_command(command: str) -> None:
    assert f"`manage.py {command}" in OPERATIONS


@pytest.mark.parametrize("word", sorted(OPTIONS))
def test_it_documents_every_option_word(word: str) -> None:
    assert f"`{word}" in EVERYTHING


@pytest.mark.parametrize("field", FIELDS)
def test_it_documents_every_key_of_json(field: str) -> None:
    table = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").partition("| Key | Value | Left out |")[2]
    assert f"`{field}`" in table.partition("\n\n")[0]


@pytest.mark.parametrize("check", sorted(set(re.findall(r'id="(utm_mail\.[EW]\d+)"', CHECKS))))
def test_it_documents_every_check(check: str) -> None:
    assert f"| `{check}` |" in OPERATIONS


@pytest.mark.parametrize("scheme", ["maildir", *Handover])
def test_it_documents_every_destination(scheme: str) -> None:
    (row,) = re.findall(r"^\| `UTM_MAIL_DELIVERY` .*$", OPERATIONS, re.MULTILINE)
    assert f"`{scheme}:" in row
    assert f"{scheme}:" in CHECKS, "the hint of the check names it"


@pytest.mark.parametrize("tag", sorted(set(re.findall(r'\.(?:has|parameters)\("([A-Z0-9-]+)"', POP3))))
def test_it_documents_every_capability_of_pop3(tag: str) -> None:
    assert f"| `{tag}` |" in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_it_names_files_and_tests_that_are_there() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`([\w./-]+/[\w./-]*|\w+\.(?:py|md|toml))(?:::(\w+))?`", recipes)
    assert len(paths) > 40
    assert [path for path, _ in paths if not (ROOT / path).exists()] == []
    assert [test for path, test in paths if test and f"def {test}(" not in (ROOT / path).read_text()] == []


def test_it_draws_every_room() -> None:
    picture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## The way of a letter")[0]
    rooms = {room.partition(".")[0] if "." in room else room for layer in LAYERS for room in layer}
    assert {room for room in rooms if not re.search(rf"^    .*\b{re.escape(room)}\b", picture, re.MULTILINE)} == set()


def test_it_prints_the_table_that_the_policy_obeys() -> None:
    words = {None: "any", True: "yes", False: "no"}
    for row in TABLE:
        cells = (*(words[cell] for cell in (row.seen, row.keep, row.flush, row.fetchall)), row.action.value)
        assert f"| {' | '.join(cells)} |" in EVERYTHING


def test_it_links_to_files_that_are_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
