"""The journal and a run's page."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.models import AuditEntry, FetchRule, Letter, Run
from fetchrules.policy.known import State
from tests.conftest import MakeRule


def a_run(rule: FetchRule, state: Run.State = Run.State.DONE, **columns: object) -> Run:
    now = timezone.now()
    finished = None if state in Run.OPEN else now
    defaults = {"claimed_at": now, "started_at": now, "finished_at": finished, "deadline": now, "revision": 1}
    return Run.objects.create(
        rule=rule, source=rule.source, recipient=rule.recipient, state=state, **{**defaults, **columns}
    )


def a_letter(run: Run, uid: str, **columns: object) -> Letter:
    defaults = {
        "size": 1000,
        "first_seen_at": timezone.now(),
        "recipient": run.recipient,
        "state": State.DELIVERED,
    }
    return Letter.objects.create(source=run.source, run=run, epoch=0, uid=uid, **{**defaults, **columns})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"done", "mail", "wrong", "open"}),
        ("result=failed", {"wrong"}),
        ("result=mail", {"mail"}),
        ("result=open", {"open"}),
        ("cause=by_hand", {"done"}),
        ("q=wro", {"wrong"}),
        (f"q={'+'.join(1500 * 'a')}", {"done", "mail", "wrong", "open"}),
        ("from=2001-01-01&to=2001-01-02", set()),
        ("from=2001-01-01", {"done", "mail", "wrong", "open"}),
        ("from=nonsense&result=nonsense", {"done", "mail", "wrong", "open"}),
        ("rule=99999", set()),
    ],
)
def test_it_finds_runs(query: str, found: set[str], admin: Client, make_rule: MakeRule) -> None:
    a_run(make_rule(user="done"), cause=Run.Cause.BY_HAND)
    a_run(make_rule(user="mail"), fetched=3)
    a_run(make_rule(user="wrong"), Run.State.FAILED, error="connect_failed")
    a_run(make_rule(user="open"), Run.State.RUNNING)
    page = admin.get(f"{reverse('journal')}?{query}").content.decode()
    assert {user for user in ("done", "mail", "wrong", "open") if f"<b>{user}@" in page} == found


def test_it_tells_a_run_with_its_letters(admin: Client, rule: FetchRule) -> None:
    run = a_run(
        rule, found=3, fetched=1, octets=2048, left={"too_large": 2}, stages=[["login", 0.2]], transcript="S: +OK ready"
    )
    a_letter(
        run,
        "1",
        subject="Счёт № 1042",
        sender="m.ivanova@partner.ru",
        octets=2048,
        file_name="1795.Qabc.mx",
        fate="deleted",
    )
    page = admin.get(reverse("run", args=[run.id])).content.decode()
    for said in (
        "Счёт № 1042",
        "m.ivanova@partner.ru",
        "1795.Qabc.mx",
        "2 KB",
        "larger than the limit: 2",
        "S: +OK ready",
        "200 ms",
    ):
        assert said in page


def test_it_says_how_far_a_run_is_and_how_to_stop_it(admin: Client, rule: FetchRule) -> None:
    started = timezone.now() - timedelta(seconds=10)
    run = a_run(
        rule,
        Run.State.RUNNING,
        started_at=started,
        to_fetch=300,
        fetched=150,
        octets=1_000_000,
        octets_to_fetch=2_000_000,
    )
    page = admin.get(reverse("run", args=[run.id]), {"fragment": "1"}).content.decode()
    assert 'value="50"' in page
    assert "150 of 300 letters" in page
    assert "10 s left" in page
    assert reverse("run_stop", args=[run.id]) in page
    listed = admin.get(reverse("journal"), {"q": "petrov", "fragment": "1"}).content.decode()
    assert reverse("run_stop", args=[run.id]) in listed
    assert 'value="/journal/?q=petrov"' in listed


def test_it_asks_a_run_to_stop(admin: Client, rule: FetchRule) -> None:
    run = a_run(rule, Run.State.RUNNING)
    admin.post(reverse("run_stop", args=[run.id]))
    assert Run.objects.get().stop_asked
    assert AuditEntry.objects.get().what == "run_stop_asked"


def test_it_stops_a_run_whose_rule_is_gone(admin: Client, owner: Client, rule: FetchRule) -> None:
    run = a_run(rule, Run.State.RUNNING)
    rule.delete()
    assert reverse("run_stop", args=[run.id]) in admin.get(reverse("run", args=[run.id])).content.decode()
    assert owner.post(reverse("run_stop", args=[run.id])).status_code == 404
    admin.post(reverse("run_stop", args=[run.id]))
    assert Run.objects.get().stop_asked


def test_it_says_so_when_there_is_nothing_to_stop(admin: Client, rule: FetchRule) -> None:
    run = a_run(rule)
    assert "had ended already" in admin.post(reverse("run_stop", args=[run.id]), follow=True).content.decode()


def test_it_hides_the_runs_of_others_from_an_owner(owner: Client, rule: FetchRule, charlies_rule: FetchRule) -> None:
    others, own = a_run(rule), a_run(charlies_rule)
    assert owner.get(reverse("run", args=[others.id])).status_code == 404
    assert owner.post(reverse("run_stop", args=[others.id])).status_code == 404
    assert owner.get(reverse("run", args=[own.id])).status_code == 200
    assert "petrov@" not in owner.get(reverse("journal")).content.decode()


def test_it_escapes_what_a_letter_says(admin: Client, rule: FetchRule) -> None:
    run = a_run(rule)
    a_letter(run, "1", subject="<img src=x onerror=alert(1)>")
    assert "<img src=x" not in admin.get(reverse("run", args=[run.id])).content.decode()


def test_it_lists_the_audit(admin: Client) -> None:
    AuditEntry.objects.create(who="alice", what="service_stopped", detail={"added": 3, "removed": 2, "of_later": 1})
    AuditEntry.objects.create(who="bob", what="a_word_of_a_later_version")
    page = admin.get(reverse("audit")).content.decode()
    assert "service stopped" in page
    assert "added: 3, deleted: 2, of_later: 1" in page
    assert "a_word_of_a_later_version" in page
    assert "bob" not in admin.get(reverse("audit"), {"q": "alice"}).content.decode()


def test_it_turns_the_pages_of_a_run_with_many_letters(admin: Client, rule: FetchRule) -> None:
    run = a_run(rule)
    for number in range(51):
        a_letter(run, str(number), subject=f"Letter number {number}.")
    address = reverse("run", args=[run.id])
    assert "Letter number 50." not in admin.get(address).content.decode()
    second = admin.get(address, {"page": 2, "fragment": 1}).content.decode()
    assert "Letter number 50." in second
    assert "fragment" not in second
