"""The list: what it says of each rule, what it finds, how much it asks of the database."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from fetchrules.ledger.letters import STUCK_AFTER
from fetchrules.models import AuditEntry, FetchRule, HourlyStat, Incident, Pause, Run
from fetchrules.panel.pages.rule_actions import end_of
from fetchrules.panel.pages.rule_rows import rows_of
from fetchrules.panel.pages.rules import SORTS, with_state
from fetchrules.policy.known import State
from fetchrules.status import RuleState
from tests.conftest import MakeRule
from tests.panel.test_journal import a_letter, a_run

POLLED = {"last_polled_at": timezone.now(), "last_success_at": timezone.now()}


def test_it_has_a_head_for_every_cell_and_orders_by_those_that_say_so(admin: Client, make_rule: MakeRule) -> None:
    make_rule()
    head, row = re.findall(r"<tr.*?</tr>", admin.get(reverse("rules")).content.decode(), re.DOTALL)
    titles = {" ".join(re.sub(r"<.*?>", "", cell).split()) for cell in re.findall(r"<th.*?</th>", head, re.DOTALL)}
    assert len(re.findall(r"<th\b", head)) == len(re.findall(r"<t[dh]\b", row))
    assert set(re.findall(r'data-label="(.*?)"', row)) <= titles
    assert {"-" + key for key in re.findall(r"[?&;]sort=([a-z]+)", head)} <= set(SORTS)


def open_run(rule: FetchRule, state: Run.State, **columns: object) -> Run:
    now = timezone.now()
    return Run.objects.create(
        rule=rule,
        source=rule.source,
        recipient=rule.recipient,
        revision=1,
        state=state,
        claimed_at=now,
        deadline=now,
        **columns,
    )


@pytest.mark.parametrize(
    ("columns", "run", "state"),
    [
        ({}, None, RuleState.NEVER),
        (POLLED, None, RuleState.ON),
        ({**POLLED, "enabled": False}, None, RuleState.OFF),
        ({**POLLED, "pause": Pause.BY_HAND}, None, RuleState.PAUSED),
        ({**POLLED, "pause": Pause.FAILURE, "last_error": "login_refused"}, None, RuleState.FAILED),
        ({**POLLED, "last_error": "connect_failed", "failures": 1}, None, RuleState.FAILED),
        ({**POLLED, "last_error": "mailbox_busy", "failures": 1}, None, RuleState.WAITING),
        ({**POLLED, "last_error": "mailbox_busy", "failures": 3}, None, RuleState.FAILED),
        ({**POLLED, "last_error": "disk_full", "failures": 1}, None, RuleState.LOCAL),
        ({**POLLED, "last_error": "key_missing", "failures": 9}, None, RuleState.LOCAL),
        ({**POLLED, "last_error": "recipient_invalid", "pause": Pause.FAILURE}, None, RuleState.FAILED),
        ({**POLLED, "last_error": "connect_failed", "enabled": False}, None, RuleState.OFF),
        (POLLED, Run.State.QUEUED, RuleState.QUEUED),
        ({**POLLED, "last_error": "connect_failed"}, Run.State.RUNNING, RuleState.RUNNING),
    ],
)
def test_it_tells_the_state_of_a_rule(
    columns: dict[str, object], run: Run.State | None, state: RuleState, make_rule: MakeRule
) -> None:
    rule = make_rule(**columns)
    if run:
        open_run(rule, run)
    assert with_state(FetchRule.objects.filter(id=rule.id)).get().state == state


def test_it_says_what_is_wrong_and_what_to_do(admin: Client, make_rule: MakeRule) -> None:
    make_rule(
        server="imap.yandex.ru",
        last_error="login_refused",
        last_detail="Invalid credentials",
        pause=Pause.FAILURE,
        **POLLED,
    )
    page = admin.get(reverse("rules")).content.decode()
    assert "Wrong login or password" in page
    assert "Yandex accepts an app password only" in page
    assert "https://id.yandex.ru/security/app-passwords" in page
    assert "Invalid credentials" in page


@pytest.mark.parametrize(("encryption", "css"), [("auto", "chip warn"), ("plaintext", "chip warn"), ("ssl", "chip")])
def test_it_marks_a_word_that_shows_the_password(encryption: str, css: str, admin: Client, make_rule: MakeRule) -> None:
    make_rule(encryption=encryption, auth="login")
    assert f'<span class="{css}">auth login</span>' in admin.get(reverse("rules")).content.decode()


def test_it_blames_no_server_for_a_fault_of_this_machine(admin: Client, make_rule: MakeRule) -> None:
    soon = timezone.now() + timedelta(minutes=1)
    make_rule(user="fine", **POLLED)
    make_rule(user="full", last_error="disk_full", failures=2, next_reason="backoff", next_poll_at=soon, **POLLED)
    page = admin.get(reverse("rules")).content.decode()
    assert "Local fault" in page
    assert "again and again until it is mended here" in page
    assert page.index("full@") < page.index("fine@")


def test_it_escapes_what_a_server_said(admin: Client, make_rule: MakeRule) -> None:
    make_rule(last_error="server_refused", last_detail="<script>alert(1)</script>", **POLLED)
    assert "<script>alert" not in admin.get(reverse("rules")).content.decode()


def test_it_shows_the_first_line_to_write_when_there_is_no_rule(admin: Client) -> None:
    page = admin.get(reverse("rules")).content.decode()
    assert "mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru" in page
    assert reverse("text") in page


def test_it_puts_problems_first(admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="fine", **POLLED)
    make_rule(user="troubled", last_error="connect_failed", failures=9, **POLLED)
    page = admin.get(reverse("rules")).content.decode()
    assert page.index("troubled@") < page.index("fine@")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=buh", {"buh"}),
        ("q=mail.ru", {"sales"}),
        ("q=archive@", {"old"}),
        ("q=mailserver+old", {"old"}),
        ("state=off", {"old"}),
        ("state=never", {"buh", "sales"}),
        ("server=pop.mail.ru", {"sales"}),
        ("recipient=archive@mydomain.ru", {"old"}),
        ("q=nobody", set()),
        (f"q={'+'.join(1500 * 'a')}", {"buh", "sales", "old"}),
        ("state=nonsense&sort=nonsense&page=nonsense&per=nonsense", {"buh", "sales", "old"}),
    ],
)
def test_it_finds_rules(query: str, found: set[str], admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="buh")
    make_rule(user="sales", server="pop.mail.ru")
    make_rule(user="old", recipient="archive@mydomain.ru", enabled=False)
    page = admin.get(f"{reverse('rules')}?{query}").content.decode()
    assert {user for user in ("buh", "sales", "old") if f"{user}@" in page} == found


@pytest.mark.parametrize(
    ("sort", "first"), [("source", "aaa"), ("-source", "zzz"), ("recipient", "zzz"), ("-last", "zzz")]
)
def test_it_sorts(sort: str, first: str, admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="aaa", recipient="z@mydomain.ru", last_polled_at=timezone.now() - timedelta(hours=1))
    make_rule(user="zzz", recipient="a@mydomain.ru", last_polled_at=timezone.now())
    page = admin.get(f"{reverse('rules')}?sort={sort}").content.decode()
    assert min(("aaa", "zzz"), key=lambda user: page.index(f"{user}@")) == first


def test_it_offers_the_servers_and_mailboxes_to_narrow_by(admin: Client, make_rule: MakeRule) -> None:
    make_rule()
    assert "?server=" not in admin.get(reverse("rules")).content.decode()
    for _ in range(2):
        make_rule(server="pop.mail.ru", recipient="archive@mydomain.ru")
    page = admin.get(f"{reverse('rules')}?q=ru").content.decode()
    assert page.index("q=ru&amp;server=pop.mail.ru") < page.index("q=ru&amp;server=mailserver.ru")
    assert "recipient=archive%40mydomain.ru" in page
    assert "server=pop.mail.ru&amp;server" not in admin.get(f"{reverse('rules')}?server=pop.mail.ru").content.decode()


def test_it_leads_to_the_last_page_and_offers_longer_ones(admin: Client, make_rule: MakeRule) -> None:
    for _ in range(101):
        make_rule()
    page = admin.get(reverse("rules")).content.decode()
    assert 'href="?page=3"' in page
    assert 'href="?per=250"' in page


def test_it_turns_pages_and_keeps_the_search(admin: Client, make_rule: MakeRule) -> None:
    for _ in range(51):
        make_rule()
    first = admin.get(f"{reverse('rules')}?q=petrov").content.decode()
    assert "q=petrov&amp;page=2" in first
    assert admin.get(f"{reverse('rules')}?q=petrov&page=2").content.decode().count("<tr id=") == 1


def test_it_asks_the_database_no_more_for_more_rules(
    admin: Client, make_rule: MakeRule, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    def make(number: int) -> None:
        for _ in range(number):
            rule = make_rule(**POLLED)
            open_run(rule, Run.State.RUNNING)
            HourlyStat.objects.create(rule=rule, hour=timezone.now(), runs=1, fetched=3)

    make(2)
    admin.get(reverse("rules"))
    with django_assert_num_queries(22):
        admin.get(reverse("rules"))
    make(40)
    with django_assert_num_queries(22):
        admin.get(reverse("rules"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "dates to be read: 8,000"),
        ({"to_fetch": 300, "fetched": 186}, " · dates to be read: 8,000"),
    ],
)
def test_it_shows_how_many_letters_have_no_date_yet(
    columns: dict[str, int], said: str, admin: Client, make_rule: MakeRule
) -> None:
    open_run(make_rule(), Run.State.RUNNING, found=9000, left={"undated": 8000}, **columns)
    page = admin.get(reverse("rules")).content.decode()
    assert said in page.replace("\N{NARROW NO-BREAK SPACE}", ",").replace("\N{NO-BREAK SPACE}", " ")


def test_it_gives_single_rows_as_they_are_now(admin: Client, make_rule: MakeRule) -> None:
    one, other = make_rule(), make_rule()
    run = open_run(one, Run.State.RUNNING, found=300, to_fetch=300, fetched=186, octets=40, octets_to_fetch=100)
    run.started_at = timezone.now() - timedelta(seconds=10)
    run.save()
    page = admin.get(reverse("rules_rows"), {"ids": f"{one.id},x,{10**6}"}).content.decode()
    assert 'value="40"' in page
    assert "186 of 300 letters" in page
    assert "data-live" in page
    assert f"rule-{other.id}" not in page


def test_it_gives_the_numbers_of_the_filters_with_the_rows(admin: Client, make_rule: MakeRule) -> None:
    one = make_rule(**POLLED)
    make_rule(user="other", recipient="other@mydomain.ru", enabled=False)
    page = admin.get(reverse("rules_rows"), {"q": "petrov", "ids": str(one.id)}).content.decode()
    assert 'href="?q=petrov&amp;state=on"' in page
    assert "state=off" not in page


def test_it_watches_a_rule_that_is_about_to_be_polled(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(next_poll_at=timezone.now())
    address = reverse("rules_rows")
    assert "data-live" in admin.get(address, {"ids": rule.id}).content.decode()
    FetchRule.objects.update(next_poll_at=timezone.now() - timedelta(hours=1))
    assert "data-live" not in admin.get(address, {"ids": rule.id}).content.decode()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"last_found": 9, "last_fetched": 1}, "on the server: 9 letters"),
        ({"last_found": 9, "last_fetched": 1, "last_deleted": 2}, "on the server: 7 letters"),
        ({"last_found": 3, "last_deleted": 3}, ""),
        ({"last_found": 3, "last_fetched": 3}, ""),
    ],
)
def test_it_counts_what_is_left_on_the_server(
    columns: dict[str, int], words: str, admin: Client, make_rule: MakeRule
) -> None:
    make_rule(**POLLED, **columns)
    page = admin.get(reverse("rules")).content.decode()
    assert words in page
    assert ("on the server: " in page) is bool(words)


@pytest.mark.parametrize(
    ("error", "link"),
    [
        ("login_refused", "#id_password"),
        ("connect_failed", "#id_server"),
        ("certificate_changed", "#id_sslfingerprint"),
    ],
)
def test_it_leads_to_where_a_failure_is_mended(error: str, link: str, admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(last_error=error, **POLLED)
    assert f'href="{reverse("rule", args=[rule.id])}{link}"' in admin.get(reverse("rules")).content.decode()


@pytest.mark.parametrize(("action", "enabled"), [("on", True), ("off", False)])
def test_it_switches_many_at_once(action: str, enabled: bool, admin: Client, make_rule: MakeRule) -> None:
    rules = [make_rule(enabled=not enabled) for _ in range(3)]
    admin.post(reverse("rules_bulk"), {"do": action, "rule": [rule.id for rule in rules[:2]]})
    assert FetchRule.objects.filter(enabled=enabled).count() == 2


def test_it_asks_before_it_deletes(admin: Client, rule: FetchRule) -> None:
    page = admin.post(reverse("rules_bulk"), {"do": "delete", "rule": [rule.id]})
    assert FetchRule.objects.filter(id=rule.id).exists()
    assert "What is kept" in page.content.decode()
    admin.post(reverse("rules_bulk"), {"do": "delete", "sure": "1", "rule": [rule.id]})
    assert not FetchRule.objects.filter(id=rule.id).exists()


def test_it_refuses_to_switch_on_a_second_rule_that_empties_a_mailbox(admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="shared")
    other = make_rule(user="shared", enabled=False)
    page = admin.post(reverse("rule_on", args=[other.id]), follow=True).content.decode()
    assert "another rule reads the same remote mailbox" in page
    assert not FetchRule.objects.get(id=other.id).enabled


def test_it_exports_the_selected_rules_without_their_passwords(admin: Client, make_rule: MakeRule) -> None:
    one, _other = make_rule(user="one", password="secret-of-one"), make_rule(user="other")
    lines = admin.post(reverse("rules_bulk"), {"do": "export", "rule": [one.id]}).content.decode()
    assert lines == "mailserver.ru:pop3 one ******** i.petrov@mydomain.ru\n"


@pytest.mark.parametrize(("verb", "said"), [("poll", "1 rule is being polled."), ("resume", "1 rule resumed.")])
def test_it_says_which_rules_it_does_not_poll_though_it_was_asked_to(
    verb: str, said: str, admin: Client, make_rule: MakeRule, charlie: User
) -> None:
    ours, theirs = make_rule(pause=Pause.BY_HAND), make_rule(owner=charlie, pause=Pause.BY_HAND)
    charlie.delete()
    page = admin.post(reverse("rules_bulk"), {"do": verb, "rule": [ours.id, theirs.id]}, follow=True).content.decode()
    assert "1 rule is not polled: its owner is gone" in page
    assert said in page
    assert FetchRule.objects.get(id=theirs.id).pause == Pause.BY_HAND
    page = admin.post(reverse(f"rule_{verb}", args=[theirs.id]), follow=True).content.decode()
    assert "1 rule is not polled: its owner is gone" in page
    assert "0 rules" not in page


def test_it_makes_a_rule_due_when_asked_to_poll(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(pause=Pause.FAILURE, failures=3, next_poll_at=None)
    admin.post(reverse("rule_poll", args=[rule.id]))
    rule.refresh_from_db()
    assert rule.pause == Pause.NONE
    assert rule.next_poll_at is not None


def test_it_goes_back_to_the_page_it_came_from_and_nowhere_else(admin: Client, rule: FetchRule) -> None:
    here = admin.post(reverse("rule_off", args=[rule.id]), {"next": "/?q=petrov"})
    assert here["Location"] == "/?q=petrov"
    elsewhere = admin.post(reverse("rule_on", args=[rule.id]), {"next": "https://evil.example/"})
    assert elsewhere["Location"] == reverse("rules")


@pytest.mark.parametrize(("until", "ends"), [("", False), ("hour", True), ("morning", True), ("nonsense", False)])
def test_it_pauses_and_resumes(until: str, ends: bool, operator: Client, rule: FetchRule) -> None:
    operator.post(reverse("rules_bulk"), {"do": "pause", "until": until, "rule": [rule.id]})
    rule.refresh_from_db()
    assert (rule.pause, rule.paused_until is not None) == (Pause.BY_HAND, ends)
    operator.post(reverse("rules_bulk"), {"do": "resume", "rule": [rule.id]})
    rule.refresh_from_db()
    assert (rule.pause, rule.paused_until) == (Pause.NONE, None)


def test_it_pauses_until_nine_of_the_next_morning() -> None:
    late = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)
    assert end_of("morning", late) == datetime(2026, 11, 23, 6, tzinfo=UTC)


def test_it_tells_those_who_see_all_of_incidents_and_stuck_letters(
    admin: Client, owner: Client, rule: FetchRule
) -> None:
    assert "attention" not in admin.get(reverse("rules")).content.decode()
    Incident.objects.create(rule=rule, kind=Incident.Kind.FAILING, opened_at=timezone.now())
    long_ago = timezone.now() - STUCK_AFTER
    a_letter(a_run(rule), "1", state=State.READY, first_seen_at=long_ago)
    page = admin.get(reverse("rules")).content.decode()
    assert "1 mailbox is not being collected" in page
    assert "1 letter is stuck in delivery" in page
    assert "attention" not in owner.get(reverse("rules")).content.decode()


def test_it_notes_only_what_it_did(admin: Client, make_rule: MakeRule) -> None:
    off, on = make_rule(enabled=False), make_rule()
    for action in ("poll", "resume"):
        admin.post(reverse("rules_bulk"), {"do": action, "rule": [off.id, on.id]})
    assert list(AuditEntry.objects.values_list("what", "about")) == [("rule_poll_asked", str(on))]


def test_it_notes_many_at_once(
    admin: Client, make_rule: MakeRule, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    ids = [make_rule().id for _ in range(30)]
    with django_assert_max_num_queries(20):
        admin.post(reverse("rules_bulk"), {"do": "poll", "rule": ids})
    assert AuditEntry.objects.filter(what="rule_poll_asked").count() == 30


def test_it_draws_an_hour_without_and_one_with_failures(alice: User, make_rule: MakeRule) -> None:
    now, rule = timezone.now().replace(minute=5), make_rule()
    for hours, counters in ((0, {"fetched": 4}), (2, {"failed": 1}), (23, {"fetched": 2}), (24, {"fetched": 99})):
        hour = (now - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
        HourlyStat.objects.create(rule=rule, hour=hour, runs=1, **counters)
    (row,) = rows_of(list(with_state(FetchRule.objects.all())), now, alice)
    assert row.sparkline.good == "M0 12h3v12h-3zM92 0h3v24h-3z"
    assert row.sparkline.failed == "M84 19h3v5h-3z"
    assert row.sparkline.words == "in 24 hours: 6 letters, failures: 1"


def test_it_reads_one_row_for_the_hours_of_a_rule(admin: Client, make_rule: MakeRule) -> None:
    rules, now = [make_rule(), make_rule()], timezone.now()
    for rule in rules:
        for hours in range(20):
            HourlyStat.objects.create(rule=rule, hour=now - timedelta(hours=hours), runs=1)
    with CaptureQueriesContext(connection) as queries:
        admin.get(reverse("rules"))
    (of_hours,) = (query["sql"] for query in queries if "hourlystat" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute(of_hours)
        assert len(cursor.fetchall()) == len(rules)
