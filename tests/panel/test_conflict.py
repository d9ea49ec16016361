"""Two people at one rule: whoever saves second is told, loses nothing of what was typed, and writes over nothing unseen."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from fetchrules.models import AuditEntry, FetchRule, ServiceSettings
from fetchrules.rulebook.rows import password_of
from tests.conftest import MakeRule
from tests.panel.test_rule_form import filled
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import Mailbox, Pop3Server


def test_it_keeps_what_was_typed_where_somebody_was_quicker(admin: Client, editor: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="ssl")
    address = reverse("rule", args=[rule.id])
    assert 'name="seen" value="1"' in editor.get(address).content.decode()
    admin.post(address, filled(seen=1, password="typed-by-alice", interval="30"))
    page = editor.post(address, filled(seen=1, password="typed-by-erin", interval="7")).content.decode()
    assert "alice has changed the rule meanwhile" in page
    assert "30 → 7" in page
    assert 'name="interval" value="7"' in page
    assert f'href="{address}"' in page
    assert "typed-by" not in page
    assert 'name="seen" value="2"' in page
    rule.refresh_from_db()
    assert (rule.interval, password_of(rule)) == (30, "typed-by-alice")
    editor.post(address, filled(seen=2, password=None, interval="7"))
    rule.refresh_from_db()
    assert (rule.interval, password_of(rule)) == (7, "typed-by-alice")


@pytest.mark.parametrize("seen", [None, "", "2", "9" * 5000, "-1"])
def test_it_takes_no_form_of_a_rule_that_was_not_seen(seen: str | None, admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="ssl")
    page = admin.post(reverse("rule", args=[rule.id]), filled(seen=seen, interval="7")).content.decode()
    assert "the rule was changed meanwhile" in page
    assert FetchRule.objects.get().interval is None


def test_it_shows_the_revision_that_a_form_with_mistakes_was_made_from(admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule(user="petrov", encryption="ssl")
    FetchRule.objects.update(revision=4)
    page = admin.post(reverse("rule", args=[rule.id]), filled(seen="3", recipient="nobody")).content.decode()
    assert 'name="seen" value="3"' in page


def test_it_says_when_a_password_cannot_go_along(admin: Client, make_rule: MakeRule) -> None:
    """What nobody but the rule book sees: the password was sealed for another mailbox, and would have to be sealed anew."""
    rule = make_rule(user="petrov", encryption="starttls")
    FetchRule.objects.filter(id=rule.id).update(password=make_rule(user="another").password)
    page = admin.post(reverse("rule", args=[rule.id]), filled(seen=1, password=None)).content.decode()
    assert "The stored password cannot be read: enter it again." in page


@pytest.mark.parametrize("do", ["delete", "on", "off", "export"])
@pytest.mark.parametrize("who", ["owner", "operator"])
def test_it_leaves_open_previews_alone_where_nothing_may_be_done(
    who: str, do: str, rule: FetchRule, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(who)
    version = ServiceSettings.current().text_version
    sent = {"do": do, "sure": "1", "rule": [rule.id, "9" * 5000, "x"]}
    assert client.post(reverse("rules_bulk"), sent).status_code == 404
    assert ServiceSettings.current().text_version == version
    assert not AuditEntry.objects.exists()


def test_it_deletes_of_the_selected_what_is_theirs(owner: Client, rule: FetchRule, charlies_rule: FetchRule) -> None:
    owner.post(reverse("rules_bulk"), {"do": "delete", "sure": "1", "rule": [rule.id, charlies_rule.id]})
    assert FetchRule.objects.get() == rule
    assert AuditEntry.objects.get().about == str(charlies_rule)


@pytest.mark.parametrize("gone", ["deleted", "inactive"])
def test_it_lets_administrators_take_over_what_nobody_answers_for(
    gone: str, admin: Client, editor: Client, charlie: User, charlies_rule: FetchRule
) -> None:
    if gone == "deleted":
        charlie.delete()
    else:
        User.objects.filter(id=charlie.id).update(is_active=False)
    address = reverse("rule_take_over", args=[charlies_rule.id])
    assert editor.post(address).status_code == 403
    pages = [reverse("rules"), reverse("rule", args=[charlies_rule.id])]
    listed, shown = (admin.get(page).content.decode() for page in pages)
    for said in ("No owner", "owner&#x27;s account is gone"):
        assert said in listed
        assert said in shown
    assert address in shown
    assert address not in editor.get(pages[1]).content.decode()
    admin.post(address)
    assert AuditEntry.objects.get().what == "rule_taken_over"
    charlies_rule.refresh_from_db()
    assert (charlies_rule.owner, charlies_rule.owned, charlies_rule.restricted) == (None, False, True)
    assert "No owner" not in admin.get(reverse("rules")).content.decode()
    assert admin.post(address).status_code == 404


def test_it_takes_several_over_at_once(admin: Client, charlie: User, charlies_rule: FetchRule) -> None:
    charlie.delete()
    page = admin.get(reverse("rules"), {"state": "ownerless"}).content.decode()
    assert 'value="take_over"' in page
    admin.post(reverse("rules_bulk"), {"do": "take_over", "rule": [charlies_rule.id]})
    assert not FetchRule.objects.filter(owned=True).exists()


def test_it_shows_the_restriction_to_administrators_alone(
    admin: Client, editor: Client, owner: Client, charlies_rule: FetchRule
) -> None:
    address = reverse("rule", args=[charlies_rule.id])
    assert "checked" in admin.get(address).content.decode().split('name="public_only"')[1].split(">")[0]
    for client in (editor, owner):
        assert "public_only" not in client.get(address).content.decode()
    sent = filled(user="charlie", encryption="auto", recipient="charlie@mydomain.ru", password=None)
    editor.post(address, {**sent, "seen": 1, "public_only": ""})
    assert FetchRule.objects.get().restricted
    admin.post(address, {**sent, "seen": 2})
    assert not FetchRule.objects.get().restricted
    assert AuditEntry.objects.latest("id").detail["restricted"] is False
    assert "public mail servers only: no" in admin.get(reverse("audit")).content.decode()


@pytest.mark.parametrize(("who", "connections"), [("admin", 1), ("editor", 0), ("owner", 0)])
def test_it_tries_public_servers_only_for_others_than_administrators(
    who: str, connections: int, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(who)
    with Pop3Server({"petrov": Mailbox("another", Maildrop())}) as server:
        form = filled(server="127.0.0.1", port=str(server.port), encryption="plaintext", test="1")
        client.post(reverse("rule_new"), form)
        assert min(server.connections, 1) == connections


@pytest.mark.parametrize("who", ["editor", "owner"])
def test_it_tries_public_servers_only_for_them_whatever_the_rule_may(
    who: str, charlies_rule: FetchRule, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(who)
    FetchRule.objects.update(restricted=False)
    with Pop3Server({"charlie": Mailbox("another", Maildrop())}) as server:
        form = filled(server="127.0.0.1", port=str(server.port), user="charlie", encryption="plaintext", test="1")
        client.post(reverse("rule", args=[charlies_rule.id]), form)
        assert server.connections == 0
