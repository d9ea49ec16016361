"""The service's switch, its settings and what is said of servers: who may, and what the audit holds of it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from fetchrules.acts import letters, mailboxes, rules, settings
from fetchrules.acts.settings import SettingInvalid
from fetchrules.errors import VolumeMissing
from fetchrules.ledger import hosts
from fetchrules.models import AuditEntry, FetchRule, ServiceSettings
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db


def noted() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("what", flat=True))


def test_it_notes_only_a_switch_that_switched(alice: User) -> None:
    ServiceSettings.current()
    assert [settings.switch_service(on=True, by=alice), settings.switch_service(on=False, by=alice)] == [False, True]
    assert [settings.switch_service(on=False, by=alice), settings.switch_service(on=True, by=alice)] == [False, True]
    assert noted() == ["service_stopped", "service_started"]


def test_it_notes_only_settings_that_changed(alice: User) -> None:
    assert settings.change_settings({"interval": 10, "per_host": 3}, by=alice) == ["per_host"]
    assert settings.change_settings({"per_host": 3}, by=alice) == []
    assert noted() == ["settings_changed"]


@pytest.mark.parametrize("name", ["interval", "per_host", "journal_days", "alert_after_failures", "alert_after_hours"])
def test_it_takes_no_number_below_one(name: str, alice: User) -> None:
    with pytest.raises(SettingInvalid):
        settings.change_settings({name: 0}, by=alice)
    assert settings.change_settings({name: 1}, by=alice) == [name]


@pytest.mark.parametrize("name", ["interval", "per_host", "journal_days", "alert_after_failures", "alert_after_hours"])
def test_it_takes_no_number_that_leads_beyond_the_calendar(name: str, alice: User) -> None:
    with pytest.raises(SettingInvalid):
        settings.change_settings({name: settings.AT_MOST + 1}, by=alice)
    assert settings.change_settings({name: settings.AT_MOST}, by=alice) == [name]
    assert timezone.now() - timedelta(days=settings.AT_MOST) < timezone.now()


def test_it_believes_sizes_again_only_where_they_were_not(make_rule: MakeRule, alice: User) -> None:
    host = make_rule().server
    for wrong in (False, True, True, False, False):
        letters.declare_sizes(host, wrong=wrong, by=alice)
    assert not hosts.sizes_are_wrong(host)
    assert noted() == ["sizes_declared_wrong", "sizes_believed_again"]


FOR_ADMINISTRATORS: dict[str, Callable[[User], object]] = {
    "settings": lambda by: settings.change_settings({"per_host": 3}, by=by),
    "sizes": lambda by: letters.declare_sizes("mailserver.ru", wrong=True, by=by),
    "take over": lambda by: rules.take_over(FetchRule.objects.all(), by=by),
}


RIGHTS: dict[str, Callable[[User], object]] = {
    **FOR_ADMINISTRATORS,
    "start": lambda by: settings.switch_service(on=True, by=by),
}


@pytest.mark.parametrize("act", RIGHTS)
def test_it_asks_for_the_rights_of_this_moment(act: str, make_rule: MakeRule, alice: User, charlie: User) -> None:
    make_rule(owner=charlie)
    User.objects.filter(id=charlie.id).update(is_active=False)
    ServiceSettings.current()
    ServiceSettings.objects.update(running=False)
    User.objects.filter(id=alice.id).update(is_staff=False, is_superuser=False)
    with pytest.raises(PermissionDenied):
        RIGHTS[act](alice)
    assert noted() == []


@pytest.mark.parametrize("act", FOR_ADMINISTRATORS)
def test_it_leaves_these_to_administrators(act: str, make_rule: MakeRule, erin: User, charlie: User) -> None:
    make_rule(owner=charlie)
    User.objects.filter(id=charlie.id).update(is_active=False)
    with pytest.raises(PermissionDenied):
        FOR_ADMINISTRATORS[act](erin)
    assert noted() == []


def test_it_leaves_a_missing_volume_to_administrators(make_rule: MakeRule, alice: User, charlie: User) -> None:
    rule = make_rule(owner=charlie, last_error=VolumeMissing.code)
    with pytest.raises(PermissionDenied):
        mailboxes.adopt(rule, by=charlie)
    mailboxes.adopt(rule, by=alice)
