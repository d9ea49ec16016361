"""What another has written reaches no terminal, log or page with characters that act there: every way out escapes them."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.acts.rules import set_rule
from fetchrules.acts.writer import RuleInvalid
from fetchrules.errors import harmless, printable
from fetchrules.ledger import runs
from fetchrules.management.console import HarmlessOutput
from fetchrules.models import AuditEntry, FetchRule, Revision
from fetchrules.poll.looking import account_of
from fetchrules.rule import MASK
from fetchrules.rulebook.apply import TextRefused
from fetchrules.rulebook.revisions import current_version, document_of
from fetchrules.rulebook.rows import line_of
from fetchrules.rulebook.text import load
from fetchrules.ruletext.problem import Code
from tests.interop.installation import Installation
from tests.rulebook.texts import apply

HARMFUL = "\x1b\x07\x7f\x9b\u2028\u2029\u202e\u2066\u061c\u200b\u00ad\ufeff\U000e0041"
LOGIN = "pet\x1b[2J\x07\u202erov\u2066\u061c"
FOLDER = "Sent\x1b]0;owned\x07\u202e"


def acts(text: str) -> set[str]:
    """The characters of `text` that would act on a terminal or page."""
    return set(text) & set(HARMFUL)


@pytest.mark.parametrize("character", HARMFUL)
def test_it_escapes_what_acts_instead_of_being_shown(character: str) -> None:
    assert character not in harmless(f"a{character}b")
    assert character not in printable(f"a{character}b")
    assert json.loads(f'"{harmless(character)}"') == character, "in a string of JSON it stays what it is"


def test_it_leaves_alone_what_is_shown() -> None:
    text = "Пётр\u00a0Петров, 1\u202f000\tписем 👨 é\n"
    assert harmless(text) == text


@pytest.fixture
def old(make_rule: Callable[..., FetchRule]) -> FetchRule:
    """A rule of a time when everything was allowed."""
    rule = make_rule(server="127.0.0.1", protocol="imap", user=LOGIN, folders=[FOLDER], port=1, encryption="plaintext")
    rule.line = line_of(rule).text
    rule.save()
    return rule


def test_it_leaves_an_old_rule_as_it_is_and_polls_it(old: FetchRule) -> None:
    text = load()
    assert "\u202erov" in text
    assert apply(text + "new.ru:pop3 new newpasswd new@mydomain.ru\n", current_version(), by=None).unchanged == 1
    old.refresh_from_db()
    assert (old.user, old.folders, old.revision) == (LOGIN, [FOLDER], 1)
    assert account_of(old, old.source).user == LOGIN
    assert "newpasswd" in document_of(Revision.objects.all()[0]).text, "passwords stay with their lines"


def test_it_wants_an_old_rule_mended_once_it_is_edited(old: FetchRule) -> None:
    with pytest.raises(RuleInvalid) as refused:
        set_rule(old, old.as_rule(MASK), by=None)
    assert {(problem.code, problem.field) for problem in refused.value.problems} == {
        (Code.CHARACTER_HARMFUL, "user"),
        (Code.CHARACTER_HARMFUL, "folders"),
    }
    with pytest.raises(TextRefused) as refusal:
        apply(load().replace("plaintext", "plaintext keep"), current_version(), by=None)
    assert {(problem.code, problem.line, problem.word) for problem in refusal.value.preview.errors} == {
        (Code.CHARACTER_HARMFUL, 1, "U+001B")
    }
    mended = replace(old.as_rule("p"), user="petrov", folders=("Sent",))
    assert set_rule(old, mended, by=None).user == "petrov"


def test_it_shows_an_old_rule_harmlessly_on_every_page(old: FetchRule, client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post(reverse("rules_bulk"), {"do": "off", "rule": [old.id]})
    client.post(reverse("rules_bulk"), {"do": "on", "rule": [old.id]})
    assert AuditEntry.objects.exists()
    names = [
        "rules",
        "text",
        "journal",
        "statistics",
        "audit",
        "settings",
        "admin:fetchrules_fetchrule_changelist",
    ]
    (run,) = runs.claim_due(timezone.now())
    pages = [reverse(name) for name in names]
    pages += [
        reverse("rule", args=[old.id]),
        reverse("rule_delete", args=[old.id]),
        reverse("run", args=[run]),
        f"{reverse('journal')}?rule={old.id}",
    ]
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        shown = re.sub(r'(?s)<textarea.*?</textarea>|(?:data-\w+|value)="[^"]*"', "", answer.content.decode())
        assert not acts(html.unescape(shown)), page


def test_it_exports_as_it_is_but_to_a_terminal() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    file, terminal = StringIO(), Terminal()
    for stream in (file, terminal):
        HarmlessOutput(stream).write_data(LOGIN)
    assert (file.getvalue(), acts(terminal.getvalue())) == (LOGIN, set())


def test_it_prints_and_logs_an_old_rule_harmlessly(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.prepare()
    installation.paste("127.0.0.1:pop3 petrov petrovpasswd i.petrov@mydomain.ru port 1 plaintext\n")
    (tmp_path / "login").write_text(LOGIN, encoding="utf-8")
    old = (
        "from fetchrules.models import FetchRule as R, SourceMailbox as S; from fetchrules.secrets.sealing import seal, target_of; "
        f"login = open({str(tmp_path / 'login')!r}).read(); r = R.objects.get(); r.user = login; r.line = ''; "
        "r.password = seal('petrovpasswd', target_of(r.as_rule('x'))); r.save(); S.objects.update(user=login)"
    )
    installation.manage("shell", "-v0", "-c", old)
    listed = installation.manage("rules", "list")
    (told,) = [json.loads(line) for line in installation.manage("rules", "list", "--json").stdout.splitlines()]
    polled = installation.manage("poll", "--all", expect=1)
    tried = installation.manage("test_connection", "1", expect=1)
    checked = installation.manage("rules", "check", "-", text=installation.manage("rules", "export").stdout, expect=2)
    said = [each.stdout + each.stderr for each in (listed, polled, tried, checked)]
    assert not acts("".join(said))
    assert "\\u001b" in listed.stdout
    assert "poll of pet\\u001b" in polled.stderr
    assert told["user"] == LOGIN, "JSON says what it is"
