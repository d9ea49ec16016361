"""What somebody who is no administrator learns by testing connections, and by polls that reach nobody."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from fetchrules.acts.attempts import TRIALS
from fetchrules.errors import ConnectFailed, FetchError, HostNotFound, LoginRefused, TargetForbidden
from fetchrules.models import AuditEntry, FetchRule, HourlyStat, Letter, Run, ServiceSettings, SourceMailbox
from fetchrules.panel.pages.connection_trial import try_rule
from fetchrules.rule import MASK
from tests.conftest import MakeRule
from tests.panel.test_rule_form import filled
from tests.servers.maildrop import Maildrop, StoredLetter
from tests.servers.pop3 import Mailbox, Pop3Server

UNREACHED = [
    {"server": "127.0.0.1", "port": "110"},
    {"server": "127.0.0.1", "port": "22"},
    {"server": "localhost", "port": "995"},
    {"server": "[::1]", "port": "143"},
    {"server": "nowhere.invalid", "port": "995"},
    {"server": "198.51.100.1", "port": "995"},
]


def tried(client: Client, **fields: str) -> str:
    data = filled(treatment="leave", test="1", fragment="1", **fields)
    data.pop("recipient")
    return client.post(reverse("rule_new"), data).content.decode()


def test_it_tells_an_owner_the_same_of_whatever_is_not_reached(owner: Client) -> None:
    pages = {tried(owner, **fields) for fields in UNREACHED}
    assert len(pages) == 1
    assert "Server not reached" in pages.pop()


def test_it_tells_an_administrator_what_it_was(admin: Client) -> None:
    data = filled(treatment="leave", test="1", fragment="1", server="nowhere.invalid")
    assert "Server not found" in admin.post(reverse("rule_new"), data).content.decode()


def test_it_tells_an_owner_the_same_where_an_allowed_address_refuses(owner: Client) -> None:
    forbidden = tried(owner, server="127.233.0.9", port="110")
    ServiceSettings.objects.update_or_create(id=1, defaults={"owner_networks": "127.0.0.0/8"})
    assert tried(owner, server="127.233.0.9", port="110") == forbidden


def test_it_lets_an_owner_test_so_often(owner: Client, charlie: User) -> None:
    for _ in range(TRIALS):
        assert "Server not reached" in tried(owner, server="127.0.0.1", port="110")
    assert "Too many tests" in tried(owner, server="127.0.0.1", port="110")
    entries = AuditEntry.objects.filter(what="connection_tested", who="charlie")
    assert entries.count() == TRIALS
    assert entries[0].detail == {"server": "127.0.0.1", "port": 110}


def test_it_lets_an_administrator_test_as_often_as_needed(admin: Client) -> None:
    data = filled(treatment="leave", test="1", fragment="1", server="nowhere.invalid")
    for _ in range(TRIALS + 1):
        assert "Server not found" in admin.post(reverse("rule_new"), data).content.decode()
    assert AuditEntry.objects.filter(what="connection_tested", who="alice").count() == TRIALS + 1


def fail(rule: FetchRule, error: FetchError) -> Run:
    now = timezone.now()
    FetchRule.objects.filter(id=rule.id).update(
        last_error=error.code, last_detail=error.detail, last_polled_at=now, failures=1
    )
    hour = now.replace(minute=0, second=0, microsecond=0)
    HourlyStat.objects.create(rule=rule, hour=hour, runs=1, failed=1)
    return Run.objects.create(
        source=rule.source,
        rule=rule,
        recipient=rule.recipient,
        revision=rule.revision,
        state=Run.State.FAILED,
        cause=Run.Cause.SCHEDULE,
        claimed_at=now,
        started_at=now,
        finished_at=now,
        deadline=now,
        error=error.code,
        detail=error.detail,
        transcript="* connected to 10.1.2.3 port 995",
    )


ERRORS = [
    TargetForbidden("10.1.2.3"),
    HostNotFound("mail.inside: Name or service not known"),
    ConnectFailed("10.1.2.3"),
]
PAGES = ["rules", "journal", "run", "statistics", "rule"]


def shown(client: Client, page: str, rule: FetchRule, run: Run) -> str:
    at = {"run": [run.id], "rule": [rule.id]}.get(page, [])
    return client.get(reverse(page, args=at)).content.decode()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_it_tells_an_owner_nothing_of_why_a_poll_reached_nobody(
    page: str, error: FetchError, owner: Client, charlies_rule: FetchRule
) -> None:
    page_of_it = shown(owner, page, charlies_rule, fail(charlies_rule, error))
    assert "Server not reached" in page_of_it
    assert not re.search(r"10\.1\.2\.3|not known|Cannot connect|Server not found|not allowed", page_of_it)


@pytest.mark.parametrize(
    ("error", "title"),
    list(zip(ERRORS, ["Connecting there is not allowed", "Server not found", "Cannot connect"], strict=True)),
)
@pytest.mark.parametrize("page", PAGES)
def test_it_tells_an_administrator_why_a_poll_reached_nobody(
    page: str, error: FetchError, title: str, admin: Client, charlies_rule: FetchRule
) -> None:
    assert title in shown(admin, page, charlies_rule, fail(charlies_rule, error))


def test_it_tells_an_owner_what_the_server_said(owner: Client, charlies_rule: FetchRule) -> None:
    run = fail(charlies_rule, LoginRefused("-ERR [AUTH] disabled"))
    assert "-ERR [AUTH] disabled" in shown(owner, "run", charlies_rule, run)


def test_it_keeps_the_reason_when_the_rule_is_deleted(editor: Client, charlies_rule: FetchRule) -> None:
    run = fail(charlies_rule, TargetForbidden("10.1.2.3"))
    charlies_rule.delete()
    assert not re.search(r"10\.1\.2\.3|not allowed", shown(editor, "run", charlies_rule, run))


def test_it_foretells_that_letters_go_whose_days_are_over(alice: User, make_rule: MakeRule) -> None:
    now, maildrop = timezone.now(), Maildrop([StoredLetter("a", b"Subject: a\r\n\r\na\r\n")])
    with Pop3Server({"petrov": Mailbox("petrovpasswd", maildrop)}) as server:
        place = {"server": "127.0.0.1", "port": server.port, "user": "petrov", "encryption": "plaintext"}
        rule = make_rule(keepdays=3, **place)
        Letter.objects.create(
            source=rule.source,
            epoch=0,
            uid="a",
            size=len(maildrop.letters[0].data),
            state="delivered",
            recipient=rule.recipient,
            first_seen_at=now,
            delivered_at=now - timedelta(days=4),
            lived=0,
        )
        SourceMailbox.objects.update(lived=4 * 86400)
        request = RequestFactory().post("/")
        request.user = alice
        shown = try_rule(request, FetchRule.objects.get(), rule.as_rule(MASK), restricted=False)
    assert "would first delete 1 letter" in shown.summary
