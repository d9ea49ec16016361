"""The table of a rule's fields: each of them survives every way in and out, and has its words."""

import dataclasses
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.forms import BaseForm
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from fetchrules.acts.rules import set_rule
from fetchrules.models import FetchRule
from fetchrules.panel.forms.rule import BLANK, SECTIONS, RuleForm
from fetchrules.policy.table import Terms
from fetchrules.remote.auth.ways import Way
from fetchrules.rule import (
    BOUNDS,
    FIELDS,
    MASK,
    OPTIONS,
    STORED,
    Auth,
    Encryption,
    Field,
    Option,
    Protocol,
    Rule,
    Section,
    Spelling,
    Takes,
)
from fetchrules.rulebook.revisions import current_version
from fetchrules.rulebook.text import load
from fetchrules.ruletext import parser, validate
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.formats.exchange import export_json, import_json
from fetchrules.ruletext.line import parse_line
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.validate import problems_of
from tests.rulebook.texts import apply

PLAIN = Rule("mailserver.ru", Protocol.IMAP, "petrov", "petrovpasswd", "i.petrov@mydomain.ru")


@pytest.fixture
def admin(alice: User) -> Client:
    """Alice, who administers, logged in."""
    client = Client()
    client.force_login(alice)
    return client


TEXTS = {
    "server": "mail.example.org",
    "user": "i. petrov",
    "password": "another's",
    "recipient": "p@mydomain.ru",
    "sslfingerprint": ("0a" * 32, "0b" * 32),
    "folders": ("Спам и прочее", "INBOX"),
    "into": (("", "Сбор/Мой банк"),),
}
"""Other values of the fields that take not any text."""


def other_value(field: Field) -> Any:
    """A value that PLAIN does not have."""
    before = getattr(PLAIN, field.name)
    if issubclass(field.type, StrEnum):
        return next(member for member in field.type if member is not before)
    if field.type is bool:
        return not before
    if field.bounds:
        return field.bounds[1]
    return TEXTS[field.name]


CHANGED = {field.name: replace(PLAIN, **{field.name: other_value(field)}) for field in FIELDS.values()}
"""PLAIN, another in one field each time."""

changed = pytest.mark.parametrize("rule", CHANGED.values(), ids=CHANGED)


def test_it_has_every_field_once() -> None:
    assert list(FIELDS) == [item.name for item in dataclasses.fields(Rule)]
    columns = {column.name: column for column in FetchRule._meta.get_fields()}
    assert {field.column for field in STORED} <= set(columns)
    assert set(FIELDS) - {field.name for field in STORED} == {"password"}


def test_its_password_is_in_no_representation() -> None:
    rule = Rule("mx.example.org", Protocol.POP3, "anna", "Geheim-71", "anna@example.com")
    assert "anna" in repr(rule)
    assert "Geheim-71" not in f"{rule!r} {rule} {[rule]}"


def test_it_has_a_word_for_every_way_to_log_in() -> None:
    assert {auth.way for auth in Auth} == {*Way, None}
    assert all(auth.way is None or auth.way.value.lower() == auth for auth in Auth)


@pytest.mark.parametrize(
    ("auth", "encryption", "shows"),
    [
        (Auth.PASSWORD, Encryption.AUTO, True),
        (Auth.PLAIN, Encryption.PLAINTEXT, True),
        (Auth.LOGIN, Encryption.SSL, False),
        (Auth.LOGIN, Encryption.STARTTLS, False),
        (Auth.CRAM_MD5, Encryption.PLAINTEXT, False),
        (Auth.ANY, Encryption.PLAINTEXT, False),
    ],
)
def test_it_knows_that_its_own_word_shows_the_password(auth: Auth, encryption: Encryption, shows: bool) -> None:
    rule = replace(PLAIN, auth=auth, encryption=encryption)
    assert rule.shows_password is shows
    assert any(problem.code is Code.PASSWORD_SHOWN for problem in problems_of(rule)) is shows


def test_it_names_the_field_of_every_word() -> None:
    named = {option.word: field.name for field in FIELDS.values() for option in field.options}
    assert {word: option.field for word, option in OPTIONS.items()} == named


def test_it_gives_the_policy_what_decides_over_letters() -> None:
    known = {item.name for item in dataclasses.fields(Terms)} - {"lived", "pass_present", "since"}
    assert {field.name for field in FIELDS.values() if field.decides} == known


@changed
@pytest.mark.parametrize("spelling", Spelling)
def test_it_is_written_and_read(rule: Rule, spelling: Spelling) -> None:
    assert parse_line(render_rule(rule, spelling)).rule == rule
    assert edit(parse_line(render_rule(PLAIN, spelling)), rule).rule == rule


@changed
def test_it_survives_the_rows(rule: Rule, db: None) -> None:
    text = render_rule(rule, Spelling.BLANKS)
    apply(render_rule(PLAIN, Spelling.BLANKS), current_version(), by=None)
    assert apply(text, current_version(), by=None, delete_missing=True).unchanged == 0
    row = FetchRule.objects.get()
    assert row.as_rule(rule.password) == rule
    assert load(with_passwords=True) == text


@changed
def test_it_survives_json(rule: Rule) -> None:
    (found,) = import_json("".join(export_json([rule]))).found
    assert found.rule == rule


@changed
def test_it_survives_the_form(rule: Rule, db: None) -> None:
    """Opened and sent back as it is, the form says the same rule."""
    filled = RuleForm(QueryDict(urlencode(_sent(RuleForm(rule=rule)))))
    filled.is_valid()
    assert filled.draft() == replace(rule, password=MASK)


def test_its_form_has_local_folders_behind_arrows(db: None) -> None:
    told = {**_sent(RuleForm(rule=PLAIN)), "folders": "INBOX\nСпам -> Junk\n A  →  B/C ", "into": "Сбор"}
    draft = RuleForm(QueryDict(urlencode(told)))
    draft.is_valid()
    rule = draft.draft()
    assert rule.folders == ("INBOX", "Спам", "A")
    assert rule.into == (("INBOX", "Сбор"), ("Спам", "Junk"), ("A", "B/C"))
    again = RuleForm(QueryDict(urlencode(_sent(RuleForm(rule=rule)))))
    again.is_valid()
    assert again.draft() == replace(rule, password=MASK)


def _sent(form: BaseForm) -> dict[str, str]:
    """What a browser sends that changes nothing."""
    values = {bound.name: bound.value() for bound in form}
    return {name: "on" if value is True else str(value) for name, value in values.items() if value not in (None, False)}


@changed
def test_it_survives_djangos_admin(rule: Rule, admin: Client) -> None:
    saved = set_rule(None, rule, by=None)
    page = reverse("admin:fetchrules_fetchrule_change", args=[saved.id])
    done = admin.post(page, _sent(admin.get(page).context["adminform"].form))
    assert done.status_code == 302, done.context["adminform"].form.errors
    row = FetchRule.objects.get()
    assert (row.as_rule(rule.password), row.revision) == (rule, saved.revision + 1)


def test_it_is_asked_for(admin: Client) -> None:
    page = admin.get(reverse("rule_new")).content.decode()
    assert [field.name for field in FIELDS.values() if f'name="{field.column}"' not in page] == []


def test_it_has_a_section_and_starts_a_new_rule() -> None:
    assert set(SECTIONS) == set(Section)
    assert [field.name for field in FIELDS.values() if getattr(BLANK, field.name) != field.initial] == []
    assert {field.name for field in FIELDS.values() if field.is_required} <= {
        field.name for field in FIELDS.values() if not field.options
    }


@dataclass(frozen=True, slots=True)
class Wider(Rule):
    """A rule with a field that the product does not have: one of two arguments."""

    envelope: tuple[int | None, str] | None = None


@pytest.fixture
def wider(monkeypatch: pytest.MonkeyPatch) -> Wider:
    """PLAIN as a Wider, while the table has the fields of it."""
    envelope = Option("envelope", "envelope", (Takes.NUMBER, Takes.NAME), first_optional=True)
    monkeypatch.setattr("fetchrules.rule._DEFAULTS", {item.name: item.default for item in dataclasses.fields(Wider)})
    field = Field("envelope", tuple, Section.ADVANCED, (envelope,), bounds=(0, 9), longest=255)
    monkeypatch.setitem(FIELDS, field.name, field)
    monkeypatch.setitem(OPTIONS, envelope.word, envelope)
    monkeypatch.setitem(validate.NAME_FAULTS, "envelope", lambda _: None)
    monkeypatch.setitem(BOUNDS, "envelope", (0, 9))
    monkeypatch.setattr(parser, "Rule", Wider)
    values: dict[str, Any] = {name: getattr(PLAIN, name) for name in CHANGED}
    return Wider(**values)


WIDER: dict[str, dict[str, Any]] = {
    "into": {"folders": ("Спам",), "into": (("Спам", "Junk"),)},
    "into, of two": {"folders": ("A", "Спам 2", "B"), "into": (("Спам 2", "My Junk"),)},
    "two into": {"folders": ("A", "B"), "into": (("A", "C"), ("B", "D"))},
    "envelope": {"envelope": (None, "X-Envelope-To")},
    "envelope and number": {"envelope": (2, "Delivered-To"), "keep": True},
    "both": {"folders": ("A",), "into": (("A", "B"),), "envelope": (2, "Received"), "timeout": 5},
    "neither": {"folders": ("A",)},
    "into, of the whole rule": {"into": (("", "A/B"),), "keep": True},
}


@pytest.mark.parametrize("spelling", Spelling)
@pytest.mark.parametrize("after", WIDER)
@pytest.mark.parametrize("before", WIDER)
def test_it_bears_words_that_hang_on_others_and_two_arguments(
    before: str, after: str, spelling: Spelling, wider: Wider
) -> None:
    old, new = replace(wider, **WIDER[before]), replace(wider, **WIDER[after])
    line = parse_line(render_rule(old, spelling))
    assert (line.rule, line.problems) == (old, ())
    edited = edit(line, new)
    assert edited.rule == new
    assert edit(edited, old).rule == old


def test_it_changes_no_more_of_them_than_it_has_to(wider: Wider) -> None:
    line = parse_line("m.ru:imap u p a@b.ru folder 'A'  into \"Junk\" keep envelope  2 To # note")
    assert isinstance(line.rule, Wider)
    one = edit(line, replace(line.rule, into=(("A", "My Junk"),)))
    assert one.text == "m.ru:imap u p a@b.ru folder 'A'  into \"My Junk\" keep envelope  2 To # note"
    two = edit(one, replace(line.rule, into=(), envelope=(3, "To")))
    assert two.text == "m.ru:imap u p a@b.ru folder 'A' keep envelope  3 To # note"
    assert edit(two, replace(line.rule, into=(), envelope=(None, "To"))).text.endswith("keep envelope To # note")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("into Junk folder A", Code.INTO_WITHOUT_FOLDER),
        ("folder A into B into C", Code.VALUE_REPEATED),
        ("into B into C", Code.VALUE_REPEATED),
        ("into a.b", Code.LOCAL_FOLDER_INVALID),
        ("into a//b", Code.LOCAL_FOLDER_INVALID),
        ("into 'a /b'", Code.LOCAL_FOLDER_INVALID),
        ("into " + "ж" * 150, Code.LOCAL_FOLDER_INVALID),
    ],
)
def test_it_says_where_letters_cannot_go_into(words: str, code: Code) -> None:
    (problem,) = parse_line(f"m.ru:imap u p a@b.ru {words}").problems
    assert (problem.code, problem.field) == (code, "into")


def test_it_knows_where_letters_go_into() -> None:
    rule = parse_line("m.ru:imap u p a@b.ru folder inbox into A folder B folder Спам into Junk/Old").rule
    assert rule is not None
    assert [rule.local_folder(name) for name in ("INBOX", "B", "Спам")] == ["A", "", "Junk/Old"]
    whole = parse_line("m.ru:pop3 u p a@b.ru into 'Мой банк'").rule
    assert whole is not None
    assert (whole.local_folder(""), whole.local_folder("INBOX")) == ("Мой банк", "Мой банк")
