"""Alice administers, Bob operates, Charlie owns one mailbox: who may open what, and change what."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.urls import urlpatterns
from tests.conftest import PASSWORD

PAGES = (
    "rules",
    "rule_new",
    "text",
    "journal",
    "letters",
    "statistics",
    "settings",
    "audit",
    "revisions",
    "manual",
    "manual_whole",
    "password_change",
    "statistics_csv",
    "strip",
    "text_download",
)
FOR_ALL = {
    "rules",
    "journal",
    "letters",
    "statistics",
    "statistics_csv",
    "manual",
    "manual_whole",
    "password_change",
    "strip",
}
FOR = {
    "admin": set(PAGES),
    "operator": FOR_ALL,
    "editor": set(PAGES) - {"settings", "audit"},
    "owner": {*FOR_ALL, "rule_new"},
}
"""The pages that open without an object, and who may open them."""
CHANGES = ("rule_on", "rule_off", "rule_poll", "rule_pause", "rule_resume")
OF_A_RULE = ("rule", "rule_delete", "rule_adopt", "rule_take_up", "rule_take_over")
"""A page or an action of one rule: of a rule that is not theirs, an owner gets a 404."""
ACTIONS = {
    "check_delivery": {"admin"},
    "check_notices": {"admin"},
    "letters_act": {"admin", "operator", "editor", "owner"},
    "letters_sizes": {"admin"},
    "rule_preview": {"admin", "editor", "owner"},
    "rules_bulk": {"admin", "operator", "editor", "owner"},
    "service_start": {"admin", "operator", "editor"},
    "service_stop": {"admin", "operator", "editor"},
}
"""What is posted without an object, and who may post it."""
OF_OBJECTS = {
    "run",
    "run_stop",
    "revision",
    "revision_undo",
    "text_passwords",
    "rules_rows",
    "manual_in",
    "manual_picture",
}
"""Their rights are tested where these pages are."""
OPEN = {"login", "logout", "set_language", "theme"}
"""These do not ask who is there."""


def address(page: str) -> str:
    """The address of a page of the panel, with some values for what it is about."""
    (pattern,) = (pattern for pattern in urlpatterns if pattern.name == page)
    some = {"language": "en", "name": "rules.png"}
    return reverse(page, kwargs={name: some.get(name, 1) for name in pattern.pattern.regex.groupindex})


def test_it_knows_who_may_open_every_page() -> None:
    known = {*PAGES, *CHANGES, *OF_A_RULE, *ACTIONS, *OF_OBJECTS, *OPEN}
    assert {pattern.name for pattern in urlpatterns} == known


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("who", FOR)
def test_it_takes_actions_from_those_whose_they_are(who: str, action: str, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(who)
    assert (client.post(reverse(action)).status_code == 403) == (who not in ACTIONS[action])


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("who", FOR)
def test_it_opens_pages_to_those_whom_they_are_for(who: str, page: str, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(who)
    expected = 200 if page in FOR[who] else 403
    assert client.get(reverse(page)).status_code == expected


@pytest.mark.parametrize("page", [str(pattern.name) for pattern in urlpatterns if pattern.name not in OPEN])
@pytest.mark.django_db
def test_it_shows_nothing_to_strangers(page: str, client: Client) -> None:
    response = client.get(address(page))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("login"))


@pytest.mark.parametrize("change", [*CHANGES, *OF_A_RULE])
def test_it_hides_the_rules_of_others_from_an_owner(change: str, owner: Client, rule: FetchRule) -> None:
    assert owner.post(reverse(change, args=[rule.id])).status_code == 404
    assert FetchRule.objects.filter(id=rule.id, enabled=True, revision=rule.revision).exists()


@pytest.mark.parametrize("change", CHANGES)
def test_it_lets_an_owner_run_his_own_rules(change: str, owner: Client, charlies_rule: FetchRule) -> None:
    assert owner.post(reverse(change, args=[charlies_rule.id])).status_code == 302


@pytest.mark.parametrize("change", ["rule_on", "rule_off", "rule_delete", "rule"])
def test_it_lets_an_operator_change_no_rule(change: str, operator: Client, rule: FetchRule) -> None:
    assert operator.post(reverse(change, args=[rule.id])).status_code == 404


@pytest.mark.parametrize("change", ["rule_poll", "rule_pause", "rule_resume"])
def test_it_lets_an_operator_run_every_rule(change: str, operator: Client, rule: FetchRule) -> None:
    assert operator.post(reverse(change, args=[rule.id])).status_code == 302


@pytest.mark.parametrize("change", CHANGES)
def test_it_changes_nothing_by_a_link(change: str, admin: Client, rule: FetchRule) -> None:
    assert admin.get(reverse(change, args=[rule.id])).status_code == 405


@pytest.mark.parametrize("change", ["rules_bulk", "letters_act", "service_stop", "service_start", "theme", "logout"])
def test_it_changes_nothing_by_a_link_to_a_page_of_actions(change: str, admin: Client) -> None:
    assert admin.get(reverse(change)).status_code == 405


def test_it_wants_a_token_with_every_change(alice: object, rule: FetchRule) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)  # type: ignore[arg-type]
    assert strict.post(reverse("rule_off", args=[rule.id])).status_code == 403


def test_it_lists_only_his_own_rules_to_an_owner(owner: Client, rule: FetchRule, charlies_rule: FetchRule) -> None:
    page = owner.get(reverse("rules")).content.decode()
    assert charlies_rule.user in page
    assert f"rule-{rule.id}" not in page


def test_it_keeps_the_text_from_owners_whatever_they_send(
    owner: Client, charlie: User, charlies_rule: FetchRule
) -> None:
    charlie.user_permissions.add(Permission.objects.get(codename="see_passwords"))
    sent = {"text": "", "do": "apply", "version": ServiceSettings.current().text_version, "delete_missing": "on"}
    assert owner.post(reverse("text"), sent).status_code == 403
    assert owner.post(reverse("text_passwords"), {"format": "text", "password": PASSWORD}).status_code == 403
    assert owner.get(reverse("text_download")).status_code == 403
    assert reverse("text") not in owner.get(reverse("rules")).content.decode()
    assert FetchRule.objects.filter(id=charlies_rule.id).exists()


def test_it_refuses_passwords_to_those_without_the_permission(owner: Client) -> None:
    assert owner.get(reverse("text_passwords")).status_code == 403


def test_it_keeps_the_service_switch_from_owners(owner: Client) -> None:
    ServiceSettings.current()
    assert owner.post(reverse("service_stop")).status_code == 403
    assert ServiceSettings.current().running


def test_it_lets_an_owner_without_a_known_mailbox_deliver_nowhere(
    owner: Client, charlie: User, charlies_rule: FetchRule
) -> None:
    charlie.email = ""
    charlie.save()
    assert owner.get(reverse("rule_new")).status_code == 403
    assert owner.get(reverse("rule", args=[charlies_rule.id])).status_code == 403
    assert "have an administrator enter your e-mail address" in owner.get(reverse("rules")).content.decode()


def test_it_changes_the_language_for_strangers_too(client: Client, db: None) -> None:
    response = client.post(reverse("set_language"), {"language": "ru", "next": reverse("login")})
    assert response["Location"] == reverse("login")
    assert "Войти" in client.get(reverse("login")).content.decode()
