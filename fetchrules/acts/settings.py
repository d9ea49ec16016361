"""The settings of the service, and whether it runs."""

from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_network

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from fetchrules import tasks
from fetchrules.acts import audit, roles
from fetchrules.acts.writer import Writer
from fetchrules.models import Channel, ServiceSettings
from fetchrules.notices import channels, webhook
from fetchrules.rulebook.edits import lock
from fetchrules.ruletext.validate import is_host_name

AT_MOST = 43_200
"""The largest number that a setting may have: of minutes that of a rule's own interval, of days a century."""


class SettingInvalid(ValueError):
    """A setting cannot have this value. `wrong` is the invalid part of it."""

    def __init__(self, name: str, wrong: str) -> None:
        super().__init__(f"{name}: {wrong}")
        self.name = name
        self.wrong = wrong


def checked(name: str, value: object) -> object:
    """The value as it is stored, a list with one item a line. Raises SettingInvalid."""
    if name in _NUMBERS and not (isinstance(value, int) and 1 <= value <= AT_MOST):
        raise SettingInvalid(name, str(value))
    if name in _LISTS:
        items = str(value).split()
        for item in items:
            if not _LISTS[name](item):
                raise SettingInvalid(name, item)
        return "\n".join(items)
    if name == "alert_webhook" and value and not _passes(webhook.Hook.parse, str(value)):
        raise SettingInvalid(name, str(value))
    return value


def change_settings(values: Mapping[str, object], *, by: User) -> list[str]:
    """Change settings, which take effect at once. Returns the names of those that had another value.

    Raises SettingInvalid, and PermissionDenied where `by` is no administrator.
    """
    with transaction.atomic():
        lock()
        if not Writer.now(by).administers:
            raise PermissionDenied
        wanted = {name: checked(name, value) for name, value in values.items()}
        row = ServiceSettings.current()
        changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if changed:
            ServiceSettings.objects.filter(id=row.pk).update(**changed)
            _try_at_once(changed)
            # Numbers and ticks before and after; no texts, which may be long or contain a secret.
            changes = [
                [name, getattr(row, name), value] if isinstance(value, int) else [name]
                for name, value in changed.items()
            ]
            audit.record(by, "settings_changed", settings=changes)
    return list(changed)


def switch_service(*, on: bool, by: User) -> bool:
    """Poll by schedule, or no longer; running polls end in good order. Returns whether that is new. Raises PermissionDenied."""
    stopped = {"stopped_by": "" if on else by.get_username(), "stopped_at": None if on else timezone.now()}
    with transaction.atomic():
        if not roles.runs_service(roles.as_stored(by)):
            raise PermissionDenied
        switched = ServiceSettings.objects.filter(id=1, running=not on).update(running=on, **stopped)
        if switched:
            audit.record(by, "service_started" if on else "service_stopped")
            if on:
                tasks.wake()
    return bool(switched)


def _try_at_once(changed: Mapping[str, object]) -> None:
    """Send waiting notices at once if the address of their channel has changed."""
    if "alert_addresses" in changed:
        channels.try_at_once(Channel.Name.MAIL)
    if changed.keys() & {"alert_webhook", "webhook_internal"}:
        channels.try_at_once(Channel.Name.WEBHOOK)


def _passes(check: Callable[[str], object], text: str) -> bool:
    try:
        check(text)
    except (ValueError, ValidationError):
        return False
    return True


_NUMBERS = frozenset({"interval", "per_host", "journal_days", "alert_after_failures", "alert_after_hours"})
_LISTS: Mapping[str, Callable[[str], bool]] = {
    "local_domains": is_host_name,
    "alert_addresses": partial(_passes, validate_email),
    "owner_networks": partial(_passes, ip_network),
}
