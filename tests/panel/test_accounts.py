"""Accounts in Django's admin: who may give which rights, what is in the audit, and what a new address does to rules."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.models import AuditEntry, FetchRule
from fetchrules.words.events import describe_event, details
from tests.conftest import PASSWORD, MakeRule
from tests.panel.conftest import client_of


@pytest.fixture
def dora(db: None) -> User:
    """Staff who look after accounts and groups, and are no superuser."""
    dora = User.objects.create_user("dora", "dora@mydomain.ru", PASSWORD, is_staff=True)
    dora.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    return dora


@pytest.fixture
def staff(dora: User) -> Client:
    """Dora's browser."""
    return client_of(dora)


def permission(name: str) -> Permission:
    return Permission.objects.get(codename=name)


def at(account: User, page: str = "change") -> str:
    return reverse(
        "admin:auth_user_password_change" if page == "password" else f"admin:auth_user_{page}", args=[account.pk]
    )


def save(client: Client, account: User, **fields: Any) -> int:
    """Save the form of an account as it stands, but for `fields`; the status of the answer."""
    form = client.get(at(account)).context["adminform"].form
    sent: dict[str, Any] = {}
    for name, value in form.initial.items():
        if name in form.fields and name not in ("password", "last_login", "date_joined"):
            sent[name] = [each.pk for each in value] if isinstance(value, list) else value
    joined = timezone.localtime(account.date_joined)
    sent |= {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"} | fields
    return client.post(
        at(account), {name: value for name, value in sent.items() if value not in (None, False)}
    ).status_code


def entries(what: str) -> list[tuple[str, str, Any]]:
    found = AuditEntry.objects.filter(what=what).order_by("id")
    return [(entry.who, entry.about, entry.detail) for entry in found]


def changed(name: str) -> Any:
    """What the last entry says of a field of an account."""
    fields = AuditEntry.objects.filter(what="account_changed").order_by("id").last().detail["account"]  # type: ignore[union-attr]
    return next(values for field, *values in fields if field == name)


RIGHTS = ["is_superuser", "is_staff", "groups", "user_permissions"]


@pytest.mark.parametrize("right", RIGHTS)
def test_it_lets_no_staff_give_rights(right: str, staff: Client, dora: User, charlie: User) -> None:
    group = Group.objects.create(name="all")
    value = {"groups": [group.pk], "user_permissions": [permission("see_passwords").pk]}.get(right, "on")
    before = {name: getattr(dora, name) for name in ("is_superuser", "is_staff")}
    for account in (dora, charlie):
        sent = {"username": account.username, "email": account.email, "is_active": "on", right: value}
        sent |= {"date_joined_0": "2026-01-01", "date_joined_1": "10:00:00"}
        staff.post(at(account), sent)
    dora, charlie = User.objects.get(pk=dora.pk), User.objects.get(pk=charlie.pk)
    assert {name: getattr(dora, name) for name in before} == before
    assert not any((charlie.is_superuser, charlie.is_staff, charlie.groups.exists(), charlie.get_all_permissions()))
    assert not dora.groups.exists()
    assert not dora.has_perm("fetchrules.see_passwords")


def test_it_lets_staff_change_the_rest(staff: Client, charlie: User) -> None:
    assert save(staff, charlie, email="charles@mydomain.ru") == 302
    assert User.objects.get(pk=charlie.pk).email == "charles@mydomain.ru"


@pytest.mark.parametrize("active", [True, False])
def test_it_keeps_staff_from_accounts_that_may_do_more(active: bool, staff: Client, alice: User, bob: User) -> None:
    bob.user_permissions.add(permission("see_passwords"))
    for account in (alice, bob):
        account.is_active = active
        account.save()
        hashed = account.password
        assert staff.post(at(account), {"username": "x"}).status_code == 403
        assert staff.post(at(account, "delete"), {"post": "yes"}).status_code == 403
        new = {"password1": "Another-pass-77", "password2": "Another-pass-77", "usable_password": "true"}
        assert staff.post(at(account, "password"), new).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [account.pk], "post": "yes"}
        staff.post(reverse("admin:auth_user_changelist"), chosen)
        assert User.objects.get(pk=account.pk).password == hashed


def test_it_lets_staff_look_after_operators(staff: Client, bob: User) -> None:
    assert save(staff, bob, email="robert@mydomain.ru") == 302
    assert User.objects.get(pk=bob.pk).has_perm("fetchrules.run_service")


def test_it_lets_no_staff_give_rights_to_groups(staff: Client) -> None:
    group = Group.objects.create(name="all")
    sent = {"name": "all", "permissions": [permission("see_passwords").pk]}
    assert staff.post(reverse("admin:auth_group_add"), sent | {"name": "new"}).status_code == 403
    assert staff.post(reverse("admin:auth_group_change", args=[group.pk]), sent).status_code == 403
    assert staff.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code == 403
    assert not group.permissions.exists()
    assert list(Group.objects.all()) == [group]


def test_it_notes_what_became_of_accounts(admin: Client, charlie: User) -> None:
    new = {"password1": "Another-pass-77", "password2": "Another-pass-77", "usable_password": "true"}
    admin.post(reverse("admin:auth_user_add"), {"username": "dan"} | new)
    group = Group.objects.create(name="all")
    save(admin, charlie, is_active="", is_staff="on", is_superuser="on", email="c@mydomain.ru", groups=[group.pk])
    assert changed("is_active") == [True, False]
    assert changed("is_staff") == changed("is_superuser") == [False, True]
    assert changed("email") == ["charlie@mydomain.ru", "c@mydomain.ru"]
    assert changed("groups") == ["", "all"]
    save(admin, charlie, user_permissions=[permission("see_passwords").pk])
    assert changed("user_permissions") == ["", "fetchrules.see_passwords"]
    admin.post(at(charlie, "password"), new)
    admin.post(at(charlie, "delete"), {"post": "yes"})
    dan = User.objects.get(username="dan")
    chosen = {"action": "delete_selected", "_selected_action": [dan.pk], "post": "yes"}
    admin.post(reverse("admin:auth_user_changelist"), chosen)
    assert entries("account_added") == [("alice", "dan", {})]
    assert entries("account_password_set") == [("alice", "charlie", {})]
    assert entries("account_deleted") == [("alice", "charlie", {}), ("alice", "dan", {})]
    assert "Another-pass-77" not in str(list(AuditEntry.objects.values()))


def test_it_notes_no_password_that_was_not_set(admin: Client, charlie: User) -> None:
    admin.post(at(charlie, "password"), {"password1": "a", "password2": "b", "usable_password": "true"})
    assert entries("account_password_set") == []


def test_it_notes_what_became_of_groups(admin: Client) -> None:
    admin.post(reverse("admin:auth_group_add"), {"name": "all"})
    group = Group.objects.get()
    sent = {"name": "all", "permissions": [permission("run_service").pk]}
    admin.post(reverse("admin:auth_group_change", args=[group.pk]), sent)
    admin.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
    assert entries("group_added") == entries("group_deleted") == [("alice", "all", {})]
    assert entries("group_changed") == [("alice", "all", {"account": [["permissions", "", "fetchrules.run_service"]]})]


def test_it_says_of_accounts_in_words(admin: Client, charlie: User) -> None:
    save(admin, charlie, is_active="")
    entry = AuditEntry.objects.get(what="account_changed")
    assert (describe_event(entry.what), details(entry.detail)) == ("account changed", "active: yes → no")
    assert "account changed" in admin.get(reverse("audit")).content.decode()


def test_it_switches_off_what_delivers_to_a_former_address(admin: Client, charlie: User, make_rule: MakeRule) -> None:
    old = [make_rule(owner=charlie, recipient=name) for name in ("charlie@mydomain.ru", "Charlie@MyDomain.ru")]
    others = [make_rule(owner=charlie, recipient="sales@mydomain.ru"), make_rule(recipient="charlie@mydomain.ru")]
    assert save(admin, charlie, email="charles@mydomain.ru") == 302
    assert not FetchRule.objects.filter(id__in=[rule.id for rule in old], enabled=True).exists()
    assert all(FetchRule.objects.get(id=rule.id).enabled for rule in others)
    assert entries("rule_switched_off") == [("alice", str(rule), {}) for rule in old]
    page = admin.get(at(charlie)).content.decode()
    assert "2 rules of charlie were switched off: they deliver to charlie@mydomain.ru" in page
    assert f"{reverse('rules')}?recipient=charlie%40mydomain.ru" in page


def test_it_switches_off_nothing_for_the_same_mailbox(admin: Client, charlie: User, charlies_rule: FetchRule) -> None:
    save(admin, charlie, email="CHARLIE@mydomain.ru")
    assert FetchRule.objects.get().enabled


def test_it_switches_off_nothing_of_those_who_change_every_rule(
    admin: Client, charlie: User, charlies_rule: FetchRule
) -> None:
    charlie.user_permissions.add(permission("change_fetchrule"))
    save(admin, charlie, email="charles@mydomain.ru")
    assert FetchRule.objects.get().enabled


def test_it_lets_an_owner_switch_on_only_what_delivers_to_them(
    admin: Client, owner: Client, charlie: User, charlies_rule: FetchRule
) -> None:
    save(admin, charlie, email="charles@mydomain.ru")
    on = reverse("rule_on", args=[charlies_rule.id])
    page = owner.post(on, follow=True).content.decode()
    assert "Nothing was switched on" in page
    assert not FetchRule.objects.get().enabled
    FetchRule.objects.update(recipient="charles@mydomain.ru")
    owner.post(on)
    assert FetchRule.objects.get().enabled
