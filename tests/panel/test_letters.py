"""The page of problem letters: what is the matter with them, and what becomes of those that people have looked at."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.ledger import hosts
from fetchrules.ledger.letters import STUCK_AFTER
from fetchrules.models import AuditEntry, FetchRule, Letter
from fetchrules.panel.pages import letters
from fetchrules.policy.known import Doubt, Fate, State
from fetchrules.policy.planning import Remark
from fetchrules.rule import Protocol
from tests.conftest import MakeRule
from tests.panel.test_journal import a_letter, a_run

HOST = "mailserver.ru"
SHORT, PASSED = Doubt.SHORT, Doubt.PASSED


def page_of(browser: Client, query: str = "") -> str:
    return browser.get(f"{reverse('letters')}{query}").content.decode()


def in_doubt(rule: FetchRule, uid: str, doubt: str = SHORT) -> Letter:
    lengths = {"size": 5234, "octets": 1500, "delivered_at": timezone.now()}
    return a_letter(a_run(rule), uid, doubt=doubt, **lengths)


def held(rule: FetchRule, uid: str, **columns: object) -> Letter:
    trouble = {"tries": 5, "tried_at": timezone.now(), "reason": "server_refused"} | columns
    return a_letter(a_run(rule), uid, state=State.HELD, **trouble)


def test_it_says_how_much_of_a_letter_came(admin: Client, rule: FetchRule) -> None:
    in_doubt(rule, "7")
    page = page_of(admin)
    assert "Came shorter than the server had said" in page
    assert "1.5 KB of 5.1 KB" in page


def test_it_says_how_much_came_of_a_letter_that_is_not_taken_yet(admin: Client, rule: FetchRule) -> None:
    held(rule, "7", reason="came_short", size=5234, octets=1500)
    page = page_of(admin)
    assert "Could not be collected" in page
    assert "1.5 KB of 5.1 KB" in page


def test_it_lists_what_was_perhaps_to_stay_on_the_server(admin: Client, rule: FetchRule) -> None:
    in_doubt(rule, "7", PASSED)
    assert "Perhaps among those left on the server" in page_of(admin)


def test_it_lists_what_the_server_does_not_delete(admin: Client, rule: FetchRule) -> None:
    a_letter(a_run(rule), "7", reason="deletion_failed", tries=2, tried_at=timezone.now(), fate="sent")
    assert "Could not be deleted on the server" in page_of(admin)


def test_it_has_a_deletion_tried_again(admin: Client, rule: FetchRule) -> None:
    letter = a_letter(a_run(rule), "7", reason="deletion_failed", tries=5, tried_at=timezone.now(), fate="sent")
    said = admin.post(reverse("letters_act"), {"do": "delete", "undeleted": [letter.id]}, follow=True).content.decode()
    assert "Deleting 1 letter again." in said
    letter.refresh_from_db()
    assert (letter.state, letter.fate, letter.tries) == ("delivered", "sent", 0)


@pytest.mark.parametrize(
    ("doubt", "do", "state", "left", "event"),
    [
        (SHORT, "settle", "delivered", "", "letters_settled"),
        (SHORT, "again", "held", "", "letters_collected_again"),
        (SHORT, "pass", "delivered", SHORT, ""),
        (SHORT, "retry", "delivered", SHORT, ""),
        (PASSED, "settle", "delivered", "", "letters_settled"),
        (PASSED, "again", "held", "", "letters_collected_again"),
        (PASSED, "pass", "passed", "", "letters_passed_over"),
    ],
)
def test_it_ends_a_doubt(
    doubt: str, do: str, state: str, left: str, event: str, operator: Client, rule: FetchRule
) -> None:
    letter = in_doubt(rule, "7", doubt)
    answer = operator.post(reverse("letters_act"), {"do": do, doubt: [letter.id]})
    assert answer.status_code == 302
    letter.refresh_from_db()
    assert (letter.state, letter.doubt) == (state, left)
    assert list(AuditEntry.objects.values_list("who", "what")) == ([("bob", event)] if event else [])


def test_it_gives_a_whole_letter_to_a_rule_that_deletes(admin: Client, rule: FetchRule) -> None:
    letter = in_doubt(rule, "7")
    said = admin.post(reverse("letters_act"), {"do": "settle", "short": [letter.id]}, follow=True).content.decode()
    assert "1 letter is treated as its rule says." in said
    assert "No problem letters" in said
    letter.refresh_from_db()
    assert letter.fate == Fate.WANTED


def test_it_polls_at_once_to_collect_a_letter_again(admin: Client, rule: FetchRule) -> None:
    FetchRule.objects.update(next_poll_at=timezone.now() + timedelta(hours=1))
    letter = in_doubt(rule, "7")
    admin.post(reverse("letters_act"), {"do": "again", "short": [letter.id]})
    rule.refresh_from_db()
    assert rule.next_poll_at is not None
    assert rule.next_poll_at <= timezone.now()


def test_it_warns_where_nothing_is_selected(admin: Client, rule: FetchRule) -> None:
    in_doubt(rule, "7")
    said = admin.post(reverse("letters_act"), {"do": "settle"}, follow=True).content.decode()
    assert "Select the letters first." in said


def test_it_does_nothing_that_it_does_not_know(admin: Client, rule: FetchRule) -> None:
    letter = in_doubt(rule, "7")
    assert admin.post(reverse("letters_act"), {"do": "burn", "short": [letter.id]}).status_code == 404


@pytest.mark.parametrize("do", ["settle", "again"])
def test_it_keeps_doubts_of_others_from_an_owner(do: str, owner: Client, rule: FetchRule) -> None:
    letter = in_doubt(rule, "7")
    assert "No problem letters" in page_of(owner)
    owner.post(reverse("letters_act"), {"do": do, "short": [letter.id]})
    letter.refresh_from_db()
    assert (letter.state, letter.doubt) == ("delivered", SHORT)


def test_it_lets_an_owner_end_his_own_doubts(owner: Client, charlies_rule: FetchRule) -> None:
    letter = in_doubt(charlies_rule, "7")
    page = page_of(owner)
    assert "1.5 KB of 5.1 KB" in page
    assert "The sizes of this server are wrong" not in page
    owner.post(reverse("letters_act"), {"do": "settle", "short": [letter.id]})
    letter.refresh_from_db()
    assert letter.doubt == ""


def test_it_shows_some_of_each_kind_and_all_of_one(
    admin: Client, rule: FetchRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "FIRST", 2)
    monkeypatch.setattr(letters, "PAGE", 3)
    for number in range(4):
        held(rule, f"held{number}")
    in_doubt(rule, "short")
    page = page_of(admin)
    assert "?kind=held" in page
    assert page.count("Select letter held") == 2
    assert page.count("Select letter short") == 1
    assert page_of(admin, "?kind=held").count("Select letter held") == 3
    assert page_of(admin, "?kind=held&page=2").count("Select letter held") == 1
    assert "Select letter short" not in page_of(admin, "?kind=held")


@pytest.mark.parametrize("asked", ["passed", "nonsense"])
def test_it_shows_all_kinds_where_the_one_that_is_asked_for_is_empty(
    asked: str, admin: Client, rule: FetchRule
) -> None:
    held(rule, "1")
    in_doubt(rule, "2")
    page = page_of(admin, f"?kind={asked}")
    assert "Select letter 1" in page
    assert "Select letter 2" in page


def test_it_lets_an_administrator_declare_the_sizes_of_a_server_wrong(admin: Client, rule: FetchRule) -> None:
    in_doubt(rule, "7")
    assert "The sizes of this server are wrong" in page_of(admin)
    said = admin.post(reverse("letters_sizes"), {"wrong": HOST}, follow=True).content.decode()
    assert hosts.sizes_are_wrong(HOST)
    assert "sizes are not compared any more" in said
    assert "Compare its sizes again" in said
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.what, entry.about) == ("alice", "sizes_declared_wrong", HOST)


def test_it_takes_that_back(admin: Client, rule: FetchRule) -> None:
    hosts.declare_sizes(HOST, wrong=True)
    assert "Compare its sizes again" in page_of(admin)
    admin.post(reverse("letters_sizes"), {"right": HOST})
    assert not hosts.sizes_are_wrong(HOST)
    assert AuditEntry.objects.get().what == "sizes_believed_again"


def test_it_lets_nobody_else_declare_that(operator: Client, owner: Client, charlies_rule: FetchRule) -> None:
    in_doubt(charlies_rule, "7")
    for browser in (operator, owner):
        assert "The sizes of this server are wrong" not in page_of(browser)
        assert browser.post(reverse("letters_sizes"), {"wrong": HOST}).status_code == 403
    assert not hosts.sizes_are_wrong(HOST)


def test_it_declares_nothing_of_a_server_that_nobody_reads(admin: Client, rule: FetchRule) -> None:
    assert admin.post(reverse("letters_sizes"), {"wrong": "elsewhere.example.org"}).status_code == 404


def test_it_tells_the_doubts_above_the_list_of_rules(admin: Client, rule: FetchRule) -> None:
    in_doubt(rule, "1")
    in_doubt(rule, "2", PASSED)
    assert "2 letters were delivered in doubt" in admin.get(reverse("rules")).content.decode()


def test_it_counts_them_on_the_page_of_their_rule(admin: Client, rule: FetchRule, make_rule: MakeRule) -> None:
    in_doubt(rule, "1")
    held(rule, "2")
    in_doubt(make_rule(), "3")
    assert "2 problem letters" in admin.get(reverse("rule", args=[rule.id])).content.decode()


def test_it_marks_them_in_the_poll_that_brought_them(admin: Client, rule: FetchRule) -> None:
    run = a_run(rule, fetched=1, left={"doubted": 1})
    a_letter(run, "1", doubt=SHORT, size=5234, octets=1500)
    a_letter(run, "2", state=State.READ, subject="Read long ago")
    page = admin.get(reverse("run", args=[run.id])).content.decode()
    assert "came shorter than the server had said" in page
    assert "1.5 KB of 5.1 KB" in page
    assert f"{reverse('letters')}?kind=short" in page
    assert "Read long ago" not in page
    listed = admin.get(reverse("journal"), {"result": "held"}).content.decode()
    assert reverse("run", args=[run.id]) in listed


@pytest.mark.parametrize("error", ["", "came_short"])
@pytest.mark.parametrize("remark", list(Remark))
def test_it_shows_every_remark_wherever_results_are_told(
    remark: Remark, error: str, admin: Client, rule: FetchRule
) -> None:
    left = {remark.value: 4321}
    run = a_run(rule, fetched=1, left=left, error=error)
    FetchRule.objects.update(last_polled_at=timezone.now(), last_left=left, last_error=error)
    pages = [reverse("rules"), reverse("rule", args=[rule.id]), reverse("journal"), reverse("run", args=[run.id])]
    for path in pages:
        assert "4321" in admin.get(path).content.decode().replace(",", ""), path


def test_it_shows_reasons_of_a_later_version_by_their_names(admin: Client, rule: FetchRule) -> None:
    run = a_run(rule, left={"of_a_later_version": 2})
    FetchRule.objects.update(last_polled_at=timezone.now(), last_left=run.left)
    for path in (reverse("rules"), reverse("run", args=[run.id])):
        assert "of_a_later_version: 2" in admin.get(path).content.decode()


def test_it_recommends_imap_for_a_pop3_server_that_mixes_up_its_letters(
    admin: Client, rule: FetchRule, make_rule: MakeRule
) -> None:
    by_imap = make_rule(protocol=Protocol.IMAP)
    hosts.count_shifted(HOST, 3, timezone.now())
    listed = admin.get(reverse("rules")).content.decode()
    assert listed.count("has given 3 known unique-ids to other letters") == 1
    assert "collect by IMAP" in listed
    page = admin.get(reverse("rule", args=[rule.id])).content.decode()
    assert "has given 3 known unique-ids" in page
    assert "collect by IMAP" in page
    page = admin.get(reverse("rule", args=[by_imap.id])).content.decode()
    assert "has given 3 known unique-ids" in page
    assert "collect by IMAP" not in page


@pytest.mark.parametrize(("protocol", "days"), [(Protocol.IMAP, 0), (Protocol.POP3, 31)])
def test_it_tells_that_above_the_list_only_while_it_helps(
    protocol: Protocol, days: int, admin: Client, make_rule: MakeRule
) -> None:
    make_rule(protocol=protocol)
    hosts.count_shifted(HOST, 3, timezone.now() - timedelta(days=days))
    assert "unique-id" not in admin.get(reverse("rules")).content.decode()


def test_it_lists_letters_that_are_stuck_in_delivery(admin: Client, owner: Client, rule: FetchRule) -> None:
    long_ago = timezone.now() - STUCK_AFTER
    a_letter(a_run(rule), "1", state=State.READY, first_seen_at=long_ago, subject="Stuck one")
    a_letter(a_run(rule), "2", state=State.READY, subject="Young one")
    page = page_of(admin)
    assert "Stuck one" in page
    assert "Young one" not in page
    assert "Stuck one" not in page_of(owner)


@pytest.mark.parametrize(("do", "state"), [("retry", State.HELD), ("pass", State.PASSED)])
def test_it_knows_two_ways_out_for_a_letter_that_is_held(do: str, state: State, admin: Client, rule: FetchRule) -> None:
    letter = held(rule, "7")
    assert "The server refused" in page_of(admin)
    admin.post(reverse("letters_act"), {"do": do, "held": [letter.id]})
    letter.refresh_from_db()
    assert (letter.state, letter.tries) == (state, 0)


def test_it_calls_no_letter_troubled_that_is_only_to_be_fetched_after_all(admin: Client, rule: FetchRule) -> None:
    a_letter(a_run(rule), "7", state=State.PASSED)
    admin.post(reverse("rule_take_up", args=[rule.id]))
    assert Letter.objects.get().state == State.HELD
    assert "No problem letters" in page_of(admin)


def test_it_keeps_held_letters_of_others_from_an_owner(owner: Client, rule: FetchRule) -> None:
    letter = held(rule, "7")
    owner.post(reverse("letters_act"), {"do": "pass", "held": [letter.id]})
    letter.refresh_from_db()
    assert letter.state == State.HELD
