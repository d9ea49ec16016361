"""Both manuals say all that there is to say, in the panel's own words, and their links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import load_command_class
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.html import escape

from fetchrules.delivery.dialogue import Handover
from fetchrules.models import ServiceSettings
from fetchrules.panel.forms.settings import SettingsForm
from fetchrules.panel.pages import guide
from fetchrules.policy.table import TABLE
from fetchrules.poll.destinations import check_delivery
from fetchrules.rule import BOUNDS, FIELDS, OPTIONS, Protocol
from fetchrules.ruletext.document import parse
from fetchrules.upkeep.housekeeping import AUDIT, STATISTICS
from fetchrules.words.events import SETTINGS
from fetchrules.words.failures import FAILURES, describe
from fetchrules.words.providers import PROVIDERS
from fetchrules.words.states import RULE_BADGES

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOT_SET = {"id", "running", "stopped_by", "stopped_at", "text_start", "text_tail", "text_version"}
"""The columns of ServiceSettings that no form asks for."""
LANGUAGES = [code for code, _ in settings.LANGUAGES]


class Table(Enum):
    POLICY = auto()
    OPTIONS = auto()
    SETTINGS = auto()
    ERRORS = auto()
    STATES = auto()


HEADS = {
    Table.POLICY: {"ru": "Письмо", "en": "The letter is"},
    Table.OPTIONS: {"ru": "Параметр", "en": "Option"},
    Table.SETTINGS: {"ru": "Настройка", "en": "Setting"},
    Table.ERRORS: {"ru": "Панель говорит", "en": "The panel says"},
    Table.STATES: {"ru": "Состояние", "en": "State"},
}
"""How the head of each table begins, by language."""
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)")


@pytest.fixture(params=LANGUAGES)
def manual(request: pytest.FixtureRequest) -> Iterator[str]:
    """A manual, while the panel speaks its language."""
    with translation.override(request.param):
        yield manual_in(request.param)


def manual_in(language: str) -> str:
    return (DOCS / f"manual.{language}.md").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table_below(manual: str, first: str) -> list[list[str]]:
    """The rows of the table whose head begins with `first`, without head and rule."""
    lines = manual.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|") and cells(line)[0] == first)
    rows = lines[start + 2 :]
    end = next(number for number, line in enumerate(rows) if not line.startswith("|"))
    return [cells(row) for row in rows[:end]]


def anchors(page: str) -> set[str]:
    """What GitHub makes of the headings: lower case, no punctuation, hyphens for blanks."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(page)}


def test_it_prints_the_table_that_the_policy_obeys(manual: str) -> None:
    told = [[line.seen, line.keep, line.flush, line.fetchall, line.action] for line in guide.table(TABLE)]
    assert table_below(manual, HEADS[Table.POLICY][translation.get_language()]) == told


def test_it_explains_every_option_word_with_an_example(manual: str) -> None:
    rows = table_below(manual, HEADS[Table.OPTIONS][translation.get_language()])
    assert {word.strip("`") for word, _, _ in rows} == set(OPTIONS)
    for word, _, example in rows:
        takes_value = bool(OPTIONS[word.strip("`")].takes)
        assert re.search(rf"\b{word.strip('`')}{' [^ `]' if takes_value else '(?= |`)'}", example), word


@pytest.mark.parametrize("field", ["interval", "timeout", "keepdays", "port"])
def test_it_states_the_bounds_that_are_checked(manual: str, field: str) -> None:
    rows = table_below(manual, HEADS[Table.OPTIONS][translation.get_language()])
    meaning = next(row[1] for row in rows if row[0] == f"`{field}`")
    assert str(BOUNDS[field][1]) in meaning


def test_it_gives_examples_that_are_rules(manual: str) -> None:
    written = re.findall(r"^ {4,}(\S+:(?:pop3|imap)s?[ |].+)$", manual, re.MULTILINE)
    written += re.findall(r"`(\S+:(?:pop3|imap)s? .+?)`", manual)
    for word, _, example in table_below(manual, HEADS[Table.OPTIONS][translation.get_language()]):
        protocol = FIELDS[OPTIONS[word.strip("`")].field].only or Protocol.POP3
        options = example.strip("`… ").removeprefix("i.petrov@mydomain.ru")
        written.append(f"mailserver.ru:{protocol} petrov petrovpasswd i.petrov@mydomain.ru {options}")
    assert len(written) > len(OPTIONS) + 4
    assert [line for line in written if any(problem.is_error for problem in parse(line).problems)] == []


def test_it_gives_commands_that_can_be_given(manual: str) -> None:
    lines = re.findall(r"^ {4}manage\.py (\w+) (.*)$", manual, re.MULTILINE)
    assert len(lines) >= 10
    for command, arguments in lines:
        parser = load_command_class("fetchrules", command).create_parser("manage.py", command)
        parser.parse_args(shlex.split(arguments, comments=True))


def test_it_gives_an_example_of_every_destination(manual: str) -> None:
    values = re.findall(r"^ {4}UTM_MAIL_DELIVERY=(\S+)", manual, re.MULTILINE)
    assert len(values) >= 4
    for value in values:
        check_delivery(value)
    assert {value.partition(":")[0] for value in values} == {"maildir", *Handover}


def test_it_has_a_field_and_a_name_for_every_setting_that_people_change() -> None:
    columns = {field.name for field in ServiceSettings._meta.fields if field.editable} - NOT_SET
    assert columns == set(SettingsForm.base_fields) == set(SETTINGS)


def test_it_explains_every_setting_with_its_default(manual: str) -> None:
    rows = table_below(manual, HEADS[Table.SETTINGS][translation.get_language()])
    labels = [str(SettingsForm.base_fields[name].label) for name in SettingsForm.base_fields]
    assert sorted(row[0] for row in rows) == sorted(labels)
    for name, field in SettingsForm.base_fields.items():
        default = getattr(ServiceSettings(), name)
        told = next(row[1] for row in rows if row[0] == str(field.label))
        assert not default or str(default) in told.split(), name


def test_it_states_how_long_audit_and_statistics_are_kept(manual: str) -> None:
    rows = table_below(manual, HEADS[Table.SETTINGS][translation.get_language()])
    told = next(row[2] for row in rows if row[0] == str(SETTINGS["journal_days"]))
    assert [int(number) for number in re.findall(r"\d+", told)] == [AUDIT.days] == [STATISTICS.days]


def test_it_says_what_to_do_about_every_error(manual: str) -> None:
    rows = table_below(manual, HEADS[Table.ERRORS][translation.get_language()])
    assert sorted(row[0] for row in rows) == sorted(describe(code).title for code in FAILURES)
    assert [row for row in rows if len(row) != 3 or not all(row)] == []


def test_it_explains_every_state(manual: str) -> None:
    rows = table_below(manual, HEADS[Table.STATES][translation.get_language()])
    named = [word for row in rows for word in row[0].split(", ")]
    assert sorted(named) == sorted(str(badge.word) for badge in RULE_BADGES.values())


def test_it_knows_every_mail_service(manual: str) -> None:
    for provider in PROVIDERS:
        assert f"| {provider.name} |" in manual
        assert [host for host in provider.hosts.values() if f"`{host}`" not in manual] == []


def test_it_has_the_same_sections_and_pictures_in_every_language(manual: str) -> None:
    english, translated = (
        [line for line in text.splitlines() if re.match(r"#+ |!\[|\|", line)] for text in (manual_in("en"), manual)
    )
    assert [line.count("|") or line[0] for line in translated] == [line.count("|") or line[0] for line in english]


def test_it_opens_in_the_panel(manual: str, admin_client: Client) -> None:
    page = admin_client.get(reverse("manual_in", args=[translation.get_language()])).content.decode()
    assert escape(manual.partition("\n")[0].removeprefix("# ")) in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_lists_every_section_in_its_contents(language: str) -> None:
    page = manual_in(language)
    listed = re.findall(r"^\* \[(.+)\]\(#", page, re.MULTILINE)
    assert listed == [heading[3:] for heading in page.splitlines() if heading.startswith("## ")]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_its_links_lead_somewhere(page: Path) -> None:
    for name, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / name) if name else page
        assert target.exists(), name
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), anchor


def test_it_shows_no_picture_that_nobody_sees() -> None:
    shown = set(re.findall(r"images/(\w[\w-]*\.png)", "".join(manual_in(language) for language in LANGUAGES)))
    assert {path.name for path in (DOCS / "images").glob("*.png")} == shown
