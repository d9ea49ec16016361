"""The settings of the service, and whether it runs."""

import ipaddress
from collections.abc import Callable, Mapping

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from fetchrules import tasks
from fetchrules.acts import audit, roles
from fetchrules.models import Channel, ServiceSettings
from fetchrules.notices import channels, webhook
from fetchrules.rulebook.edits import lock
from fetchrules.ruletext.validate import is_host_name


class SettingInvalid(ValueError):
    """A value that a setting cannot have. `wrong` is the part of it that cannot stand."""

    def __init__(self, name: str, wrong: str) -> None:
        super().__init__(f"{name}: {wrong}")
        self.name = name
        self.wrong = wrong


def checked(name: str, value: object) -> object:
    """The value as it is stored: of a list, one item in a line. Raises SettingInvalid."""
    if name in _AT_LEAST_ONE and not (isinstance(value, int) and value >= 1):
        raise SettingInvalid(name, str(value))
    if name in _LISTS:
        items = str(value).split()
        for item in items:
            if not _LISTS[name](item):
                raise SettingInvalid(name, item)
        return "\n".join(items)
    if name == "alert_webhook" and value and not _is_hook(str(value)):
        raise SettingInvalid(name, str(value))
    return value


def change_settings(values: Mapping[str, object], *, by: User) -> list[str]:
    """Give settings these values, which take effect at once; the names of those that had another one.

    Raises SettingInvalid, and PermissionDenied where `by` is no administrator.
    """
    if not roles.administers(by):
        raise PermissionDenied
    wanted = {name: checked(name, value) for name, value in values.items()}
    with transaction.atomic():
        lock()
        row = ServiceSettings.current()
        changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if changed:
            ServiceSettings.objects.filter(id=row.pk).update(**changed)
            _try_at_once(changed)
            changes = [_change(name, getattr(row, name), value) for name, value in changed.items()]
            audit.record(by, "settings_changed", settings=changes)
    return list(changed)


def start_service(*, by: User) -> bool:
    """Poll by schedule again; False where it did already. Raises PermissionDenied."""
    return _switch(by, on=True)


def stop_service(*, by: User) -> bool:
    """Stop polling by schedule, polls that are running end in good order; False where it was stopped. Raises PermissionDenied."""
    return _switch(by, on=False)


def _switch(by: User, *, on: bool) -> bool:
    if not roles.runs_service(by):
        raise PermissionDenied
    stopped = {"stopped_by": "" if on else by.get_username(), "stopped_at": None if on else timezone.now()}
    with transaction.atomic():
        switched = ServiceSettings.objects.filter(id=1, running=not on).update(running=on, **stopped)
        if switched:
            audit.record(by, "service_started" if on else "service_stopped")
            if on:
                tasks.wake()
    return bool(switched)


def _try_at_once(changed: Mapping[str, object]) -> None:
    """Notices that waited for a broken channel go out as soon as somebody has changed where it leads."""
    if "alert_addresses" in changed:
        channels.try_at_once(Channel.Name.MAIL)
    if changed.keys() & {"alert_webhook", "webhook_internal"}:
        channels.try_at_once(Channel.Name.WEBHOOK)


def _change(name: str, old: object, new: object) -> list[object]:
    """As the audit notes it: numbers and ticks before and after; texts may be long, and an address of a webhook secret."""
    return [name, old, new] if isinstance(new, int) else [name]


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _is_hook(text: str) -> bool:
    try:
        webhook.Hook.parse(text)
    except ValueError:
        return False
    return True


_AT_LEAST_ONE = frozenset({"interval", "per_host", "journal_days", "alert_after_failures", "alert_after_hours"})
_LISTS: Mapping[str, Callable[[str], bool]] = {
    "local_domains": is_host_name,
    "alert_addresses": _is_address,
    "owner_networks": _is_network,
}
