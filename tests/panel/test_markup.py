"""Every page as a document: elements that close, ids that are one's own, controls with names, references that lead somewhere."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.ledger import hosts
from fetchrules.models import FetchRule, Incident, Revision, Run
from fetchrules.policy.known import Doubt, State
from tests.conftest import MakeRule
from tests.panel.test_journal import a_letter, a_run

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
CLOSED_AT_ONCE = {"path", "rect", "circle", "use", "line"}
FIELDS = {"input", "select", "textarea"}
REFERENCES = ("for", "form", "aria-describedby", "aria-labelledby", "aria-controls", "list")
NO_PARAGRAPHS = {"div", "ul", "ol", "dl", "p", "table", "form", "section", "h1", "h2", "h3", "pre", "details"}


@dataclass(slots=True)
class Element:
    """One that is open."""

    tag: str
    attributes: dict[str, str]


@dataclass(slots=True)
class Seen:
    """What a whole page has."""

    ids: Counter[str] = field(default_factory=Counter)
    references: list[tuple[str, str]] = field(default_factory=list)
    labelled: set[str] = field(default_factory=set)
    controls: list[tuple[dict[str, str], bool]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    """Reads a page and notes what is wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element and, unless it cannot hold any, wait for its end."""
        attributes = {name: value or "" for name, value in attrs}
        self._nest(tag)
        self._refer(tag, attributes, [name for name, _ in attrs])
        if tag not in VOID:
            self._open.append(Element(tag, attributes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """As in SVG."""
        attributes = {name: value or "" for name, value in attrs}
        self._refer(tag, attributes, [name for name, _ in attrs])
        if tag not in VOID | CLOSED_AT_ONCE:
            self._fault(f"<{tag}/> does not close itself")

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last, which has to be the same."""
        last = self._open.pop() if self._open else None
        if last is None or last.tag != tag:
            self._fault(f"</{tag}> closes <{last.tag if last else ''}>")

    def finish(self) -> list[str]:
        """All that is wrong."""
        seen = self.seen
        faults = [*seen.faults, *(f"<{element.tag}> stays open" for element in self._open)]
        faults += [f"id {name} is given {number} times" for name, number in seen.ids.items() if number > 1]
        faults += [f"{name}={target} leads nowhere" for name, target in seen.references if target not in seen.ids]
        faults += [
            f"the field {attributes.get('name')} has no name for people"
            for attributes, in_label in seen.controls
            if not (in_label or attributes.keys() & {"aria-label", "aria-labelledby"})
            and attributes.get("id") not in seen.labelled
        ]
        return faults

    def _nest(self, tag: str) -> None:
        around = [element.tag for element in self._open]
        if tag in {"form", "a", "button", "label"} and tag in around:
            self._fault(f"<{tag}> inside <{tag}>")
        if tag in NO_PARAGRAPHS and around[-1:] == ["p"]:
            self._fault(f"<{tag}> inside <p>")
        if tag in {"a", "button", "input", "select"} and {"a", "button"} & set(around):
            self._fault(f"<{tag}> inside a link or button")
        if tag == "li" and around[-1:] not in (["ul"], ["ol"]):
            self._fault("<li> outside of a list")

    def _refer(self, tag: str, attributes: dict[str, str], names: list[str]) -> None:
        self.seen.faults += [f"<{tag}> has {name} twice" for name, number in Counter(names).items() if number > 1]
        if "id" in attributes:
            self.seen.ids[attributes["id"]] += 1
        if tag == "label" and "for" in attributes:
            self.seen.labelled.add(attributes["for"])
        for name in REFERENCES:
            self.seen.references += [(name, target) for target in attributes.get(name, "").split()]
        if tag in FIELDS and attributes.get("type") not in {"hidden", "submit"}:
            self.seen.controls.append((attributes, any(element.tag == "label" for element in self._open)))

    def _fault(self, what: str) -> None:
        self.seen.faults.append(f"line {self.getpos()[0]}: {what}")


def faults_of(answer: HttpResponseBase) -> list[str]:
    """What is wrong with the page that was answered."""
    assert answer.status_code == 200
    reader = Reader()
    reader.feed(answer.content.decode())  # type: ignore[attr-defined]  # of a page, never of a stream
    reader.close()
    return reader.finish()


@pytest.fixture
def full(rule: FetchRule, make_rule: MakeRule) -> Run:
    """A panel in which everything has happened once; a run that failed at a letter."""
    FetchRule.objects.filter(id=rule.id).update(last_error="login_refused", last_polled_at=timezone.now())
    a_run(make_rule(user="running"), Run.State.RUNNING)
    run = a_run(rule, Run.State.FAILED, error="login_refused", transcript="S: +OK", stages=[["login", 0.1]])
    a_letter(run, "1", file_name="1.Q.K")
    a_letter(run, "2", state=State.HELD, reason="server_refused", tried_at=timezone.now())
    a_letter(run, "3", state=State.READY, first_seen_at=timezone.now() - timedelta(hours=1))
    a_letter(run, "4", doubt=Doubt.SHORT, octets=500, delivered_at=timezone.now())
    a_letter(run, "5", doubt=Doubt.PASSED)
    a_letter(run, "6", reason="deletion_failed", tries=1)
    hosts.count_shifted(rule.source.host, 2, timezone.now())
    Incident.objects.create(rule=rule, kind=Incident.Kind.FAILING, opened_at=timezone.now())
    return run


PAGES = [
    "/",
    "/?q=nobody",
    "/rules/new/",
    "/rules/{rule}/",
    "/rules/{rule}/delete/",
    "/rules/{rule}/adopt/",
    "/text/",
    "/text/?mode=lines",
    "/text/passwords/",
    "/text/history/",
    "/text/history/{revision}/",
    "/journal/",
    "/journal/{run}/",
    "/journal/letters/",
    "/journal/letters/?kind=short",
    "/journal/audit/",
    "/statistics/",
    "/settings/",
    "/help/",
    "/help/manual/",
    "/password/",
]


@pytest.mark.parametrize("path", PAGES)
def test_it_writes_sound_markup(path: str, admin: Client, full: Run) -> None:
    revision = Revision.objects.create(version=1, text="mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru\n")
    assert faults_of(admin.get(path.format(rule=full.rule_id, run=full.id, revision=revision.id))) == []


def test_it_writes_sound_markup_for_those_who_are_not_signed_in(client: Client, db: None) -> None:
    assert faults_of(client.get(reverse("login"))) == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rule_new", {"protocol": "pop3", "treatment": "days", "server": "a b"}),
        ("text", {"text": "mailserver.ru:pop3 petrov secret i.petrov@mydomain.ru kep", "do": "check", "version": "0"}),
        ("text", {"text": "mailserver.ru:pop3 anna secret i.petrov@mydomain.ru", "do": "check", "version": "0"}),
        ("settings", {"interval": "never"}),
        ("password_change", {"old_password": "wrong"}),
        ("login", {"username": "nobody", "password": "wrong"}),
    ],
)
def test_it_writes_sound_markup_for_mistakes(name: str, data: dict[str, str], admin: Client, full: Run) -> None:
    if name == "login":
        admin.logout()
    assert faults_of(admin.post(reverse(name), data)) == []


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ("<p><b>x</p>", "line 1: </p> closes <b>"),
        ("<div>", "<div> stays open"),
        ('<i id="a"></i><i id="a"></i>', "id a is given 2 times"),
        ('<input name="x">', "the field x has no name for people"),
        ('<label for="x">x</label>', "for=x leads nowhere"),
        ("<form><form></form></form>", "line 1: <form> inside <form>"),
        ("<p><ul></ul></p>", "line 1: <ul> inside <p>"),
    ],
)
def test_it_notices(markup: str, fault: str) -> None:
    reader = Reader()
    reader.feed(markup)
    assert fault in reader.finish()
