"""Django's admin: rules by the rule book, the rest to be looked at, passwords in and never out."""

import html
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin as django_admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from fetchrules.ledger.runs import claim
from fetchrules.models import AuditEntry, FetchRule, LocalMarker, Revision, Run, ServiceSettings, SourceMailbox
from fetchrules.poll.destinations import Destination
from fetchrules.rulebook.rows import password_of
from fetchrules.words.events import EVENTS
from tests.conftest import MakeRule

MODELS = sorted(model._meta.model_name or "" for model in apps.get_app_config("fetchrules").get_models())
CHANGEABLE = {"fetchrule"}
FILLED = {
    "server": "mailserver.ru",
    "protocol": "pop3",
    "encryption": "ssl",
    "auth": "any",
    "sslcertck": "on",
    "user": "petrov",
    "new_password": "petrovpasswd",
    "recipient": "i.petrov@mydomain.ru",
    "folders": "[]",
    "enabled": "on",
}


@pytest.mark.parametrize("model", MODELS)
def test_it_shows_every_model(model: str, admin: Client, rule: FetchRule) -> None:
    assert admin.get(reverse(f"admin:fetchrules_{model}_changelist")).status_code == 200


@pytest.mark.parametrize("model", sorted(set(MODELS) - CHANGEABLE))
def test_it_lets_nobody_write_what_happened(model: str, admin: Client) -> None:
    assert admin.get(reverse(f"admin:fetchrules_{model}_add")).status_code == 403


@pytest.mark.parametrize("model", sorted(set(MODELS) - CHANGEABLE))
def test_it_offers_only_what_may_be_done(model: str, alice: User, rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = alice
    of_model = django_admin.site.get_model_admin(apps.get_model("fetchrules", model))
    may = {name for name, given in of_model.get_model_perms(request).items() if given}
    assert may == ({"view", "change"} if model == "servicesettings" else {"view"})


def test_it_changes_settings_under_the_checks_of_the_panel(admin: Client) -> None:
    settings = ServiceSettings.current()
    page = reverse("admin:fetchrules_servicesettings_change", args=[1])
    filled = {field.name: getattr(settings, field.name) for field in ServiceSettings._meta.fields if field.editable}
    filled = {name: "" if value is None else value for name, value in filled.items() if value is not False}
    for rubbish in ({"owner_networks": "nonsense"}, {"per_host": 0}, {"local_domains": "no_domain!"}):
        assert admin.post(page, {**filled, **rubbish}).status_code == 200
    assert (ServiceSettings.current(), AuditEntry.objects.exists()) == (settings, False)
    assert admin.post(page, {**filled, "per_host": 3}).status_code == 302
    assert ServiceSettings.current().per_host == 3
    assert [(entry.what, entry.detail) for entry in AuditEntry.objects.all()] == [
        ("settings_changed", {"settings": [["per_host", 10, 3]]})
    ]


def test_it_lets_nobody_delete_the_marker_of_a_mailbox(admin: Client) -> None:
    marker = LocalMarker.objects.create(path="/var/mail/petrov", marker="0123456789abcdef")
    assert (
        admin.post(reverse("admin:fetchrules_localmarker_delete", args=[marker.pk]), {"post": "yes"}).status_code == 403
    )
    assert LocalMarker.objects.get() == marker


@pytest.mark.parametrize("is_replaced", [True, False])
def test_it_accepts_a_replaced_mailbox_as_the_page_of_its_rule_does(
    is_replaced: bool, admin: Client, make_rule: MakeRule, tmp_path: Path, settings: Settings
) -> None:
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    rule = make_rule(
        recipient="i.petrov@mydomain.ru", last_error="maildir_replaced", pause="failure", next_poll_at=None
    )
    path = tmp_path / "mydomain.ru" / "i.petrov"
    with closing(Destination(rule.recipient)) as destination:
        destination.prepare(0)
    if is_replaced:
        shutil.rmtree(path)
    chosen = {"action": "adopt", "_selected_action": [LocalMarker.objects.get(path=str(path)).pk]}
    page = admin.post(reverse("admin:fetchrules_localmarker_changelist"), chosen, follow=True).content.decode()
    assert f"Local mailboxes that were accepted: {int(is_replaced)}" in page
    assert LocalMarker.objects.filter(path=str(path)).exclude(marker="").exists() is not is_replaced
    noted = AuditEntry.objects.values_list("who", "what", "about").get()
    assert noted == ("alice", "mailbox_adopted" if is_replaced else "rule_poll_asked", str(rule))
    rule.refresh_from_db()
    assert (rule.pause, rule.next_reason) == ("", "by_hand")


@pytest.mark.parametrize("model", ["fetchrules_fetchrule", "fetchrules_letter", "auth_user"])
def test_it_finds_nothing_under_a_number_that_no_column_holds(model: str, admin: Client) -> None:
    assert admin.get(reverse(f"admin:{model}_changelist"), {"id__in": "9" * 20}).status_code == 404


def test_it_takes_no_recipient_that_the_panel_refuses(admin: Client) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(local_domains="other.ru")
    assert admin.post(reverse("admin:fetchrules_fetchrule_add"), FILLED).status_code == 200
    assert not FetchRule.objects.exists()


def test_it_saves_through_the_rule_book(admin: Client) -> None:
    admin.post(reverse("admin:fetchrules_fetchrule_add"), FILLED)
    rule = FetchRule.objects.get()
    assert rule.line == "mailserver.ru:pop3 petrov ******** i.petrov@mydomain.ru ssl"
    assert password_of(rule) == "petrovpasswd"
    admin.post(
        reverse("admin:fetchrules_fetchrule_change", args=[rule.id]),
        {**FILLED, "seen": rule.revision, "new_password": "", "keep": "on"},
    )
    rule.refresh_from_db()
    assert (rule.keep, rule.line.split()[-2:], password_of(rule)) == (True, ["ssl", "keep"], "petrovpasswd")
    noted = AuditEntry.objects.order_by("id").values_list("who", "what", "detail")
    assert list(noted) == [
        ("alice", "rule_added", {}),
        ("alice", "rule_changed", {"fields": [["keep", False, True]]}),
    ]


@pytest.mark.parametrize("action", ["poll_now", "switch_on", "switch_off", "delete_selected"])
def test_it_notes_who_did_what_with_several_rules(action: str, admin: Client, make_rule: MakeRule) -> None:
    rules = [make_rule(enabled=action != "switch_on") for _ in range(2)]
    chosen = {"action": action, "_selected_action": [rule.id for rule in rules], "post": "yes"}
    admin.post(reverse("admin:fetchrules_fetchrule_changelist"), chosen)
    entries = AuditEntry.objects.order_by("id")
    assert [(entry.who, entry.about) for entry in entries] == [("alice", str(rule)) for rule in rules]
    assert {entry.what for entry in entries} <= set(EVENTS)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"recipient": "nobody"}, "expected a local mailbox"),
        ({"new_password": ""}, "Enter the password."),
        ({"folders": '["Orders"]'}, "has no option"),
        ({"folders": '{"a": 1}'}, "Expected a list of names"),
    ],
)
def test_it_checks_as_everywhere(changes: dict[str, str], complaint: str, admin: Client) -> None:
    page = admin.post(reverse("admin:fetchrules_fetchrule_add"), {**FILLED, **changes}).content.decode()
    assert complaint in page
    assert not FetchRule.objects.exists()


def test_it_asks_for_the_password_when_it_would_go_elsewhere(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="ssl")
    changed = {**FILLED, "new_password": "", "server": "evil.example"}
    assert (
        "Enter the password."
        in admin.post(reverse("admin:fetchrules_fetchrule_change", args=[rule.id]), changed).content.decode()
    )


def test_it_says_when_the_mailbox_is_taken(admin: Client, make_rule: MakeRule) -> None:
    make_rule(user="petrov")
    page = admin.post(reverse("admin:fetchrules_fetchrule_add"), FILLED, follow=True).content.decode()
    assert "Another rule collects from this mailbox" in page
    assert FetchRule.objects.count() == 1


@pytest.mark.parametrize("other", [False, True])
def test_it_goes_on_with_the_ledger_of_another_address(other: bool, admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(server="old.ru", user="petrov", encryption="ssl")
    tick = {"other_mailbox": "on"} if other else {}
    admin.post(reverse("admin:fetchrules_fetchrule_change", args=[rule.id]), {**FILLED, "seen": rule.revision, **tick})
    assert (SourceMailbox.objects.get(host="mailserver.ru").continues is None) == other
    detail = AuditEntry.objects.get().detail
    assert ("former" in detail, "other_mailbox" in detail) == (not other, other)


def test_it_does_not_lose_what_was_to_count_as_collected(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="ssl", keep=True)
    SourceMailbox.objects.update(pass_present=True)
    address = reverse("admin:fetchrules_fetchrule_change", args=[rule.id])
    assert "is to count as collected" in admin.post(address, FILLED).content.decode()
    admin.post(address, {**FILLED, "seen": rule.revision, "keep": "on", "interval": "5"})
    assert SourceMailbox.objects.get().pass_present


def test_it_never_shows_a_password(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(password="secret-of-petrov")
    page = admin.get(reverse("admin:fetchrules_fetchrule_change", args=[rule.id])).content.decode()
    assert "secret-of-petrov" not in page
    assert rule.password not in page


def test_it_shows_no_token_of_a_revision_or_a_run(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(password="secret-of-petrov")
    revision = Revision.objects.create(version=1, text="", passwords=[rule.password])
    assert rule.password not in _page_of(admin, revision)
    claimed = Run.objects.get(id__in=claim([rule], timezone.now(), Run.Cause.BY_HAND))
    assert str(claimed.token) not in _page_of(admin, claimed)


def _page_of(admin: Client, row: Revision | Run) -> str:
    page = admin.get(reverse(f"admin:fetchrules_{row._meta.model_name}_change", args=[row.pk]))
    assert page.status_code == 200
    return html.unescape(page.content.decode())


def test_it_deletes_with_the_line(admin: Client, make_rule: MakeRule) -> None:
    one, other = make_rule(before="# one\n"), make_rule(before="# other\n")
    admin.post(reverse("admin:fetchrules_fetchrule_delete", args=[one.id]), {"post": "yes"})
    other.refresh_from_db()
    assert other.before == "# one\n# other\n"


@pytest.mark.parametrize(("action", "enabled"), [("switch_off", False), ("switch_on", True), ("poll_now", True)])
def test_it_knows_the_actions_of_the_list(action: str, enabled: bool, admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(enabled=action != "switch_on")
    admin.post(reverse("admin:fetchrules_fetchrule_changelist"), {"action": action, "_selected_action": [rule.id]})
    rule.refresh_from_db()
    assert rule.enabled is enabled


def test_it_registers_every_model() -> None:
    registered = {
        model._meta.model_name for model in django_admin.site._registry if model._meta.app_label == "fetchrules"
    }
    assert registered == set(MODELS)


def test_it_calls_options_by_their_words(admin: Client, rule: FetchRule) -> None:
    page = admin.get(reverse("admin:fetchrules_fetchrule_change", args=[rule.id])).content.decode()
    for label in (">keepdays:<", ">fetchlimit:<", ">Mailbox owner:<"):
        assert label in page


def test_it_keeps_what_was_typed_where_somebody_was_quicker(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="ssl")
    address = reverse("admin:fetchrules_fetchrule_change", args=[rule.id])
    assert f'name="seen" value="{rule.revision}"' in admin.get(address).content.decode()
    typed = {**FILLED, "seen": rule.revision, "new_password": "", "interval": "7"}
    FetchRule.objects.update(revision=5, keep=True)
    page = admin.post(address, typed).content.decode()
    assert "the rule was changed meanwhile" in page
    assert "keep: yes → no" in page
    assert 'name="interval" value="7"' in page
    assert 'name="seen" value="5"' in page
    assert FetchRule.objects.get().interval is None
    admin.post(address, {**typed, "seen": 5})
    assert FetchRule.objects.get().interval == 7


def test_it_wants_to_know_which_rule_was_seen(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="ssl")
    address = reverse("admin:fetchrules_fetchrule_change", args=[rule.id])
    assert "the rule was changed meanwhile" in admin.post(address, {**FILLED, "keep": "on"}).content.decode()
    assert not FetchRule.objects.get().keep


@pytest.mark.parametrize("action", ["poll_now", "switch_on", "switch_off", "take_over", "delete_selected"])
def test_it_does_nothing_with_rules_that_are_gone(action: str, admin: Client) -> None:
    chosen = {"action": action, "_selected_action": ["77"], "post": "yes"}
    assert admin.post(reverse("admin:fetchrules_fetchrule_changelist"), chosen).status_code == 302
    assert not AuditEntry.objects.exists()


def test_it_notes_only_the_polls_that_it_asked_for(admin: Client, make_rule: MakeRule, charlie: User) -> None:
    polled, off, ownerless = make_rule(pause="failure"), make_rule(enabled=False), make_rule(owner=charlie)
    User.objects.filter(id=charlie.id).update(is_active=False)
    chosen = {"action": "poll_now", "_selected_action": [polled.id, off.id, ownerless.id]}
    for query in ("?pause=failure", ""):
        admin.post(reverse("admin:fetchrules_fetchrule_changelist") + query, chosen)
    assert list(AuditEntry.objects.values_list("what", "about")) == [("rule_poll_asked", str(polled))] * 2
