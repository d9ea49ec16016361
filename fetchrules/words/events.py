"""The words of the audit page."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from fetchrules.words import changes, settings

EVENTS = {
    "rule_added": _("rule added"),
    "rule_changed": _("rule changed"),
    "rule_deleted": _("rule deleted"),
    "rule_switched_on": _("rule switched on"),
    "rule_switched_off": _("rule switched off"),
    "rule_taken_over": _("rule taken over"),
    "rule_poll_asked": _("poll asked for"),
    "rule_paused": _("rule paused"),
    "rule_resumed": _("rule resumed"),
    "run_stop_asked": _("asked to stop a poll"),
    "mailbox_adopted": _("replaced local mailbox accepted"),
    "text_applied": _("rule text applied"),
    "text_undone": _("change of the text undone"),
    "passwords_exported": _("passwords exported"),
    "letters_retried": _("letters to be tried again"),
    "letters_passed_over": _("letters passed over"),
    "letters_taken_up": _("letters taken after all"),
    "letters_settled": _("letters in doubt accepted"),
    "letters_collected_again": _("letters to be collected again"),
    "sizes_declared_wrong": _("a server's sizes declared wrong"),
    "sizes_believed_again": _("a server's sizes believed again"),
    "settings_changed": _("settings changed"),
    "service_started": _("service started"),
    "service_stopped": _("service stopped"),
    "login_refused": _("login refused"),
    "connection_tested": _("connection tested"),
    "logins_closed": _("too many wrong passwords: closed for 15 minutes"),
    "password_refused": _("own password entered wrongly"),
    "password_changed": _("own password changed"),
    "account_added": _("account added"),
    "account_changed": _("account changed"),
    "account_password_set": _("password of an account set"),
    "account_deleted": _("account deleted"),
    "group_added": _("group added"),
    "group_changed": _("group changed"),
    "group_deleted": _("group deleted"),
    "keys_rotated": _("password keys rotated"),
    "key_dropped": _("password key dropped"),
    "keys_given_up": _("password keys given up as lost"),
}

DETAILS = {
    "added": _("added"),
    "changed": _("changed"),
    "removed": _("deleted"),
    "restricted": _("public mail servers only"),
    "owner": _("mailbox owner"),
    "format": _("format"),
    "detail": _("changed"),
    "count": _("letters"),
    "server": _("server"),
    "port": _("port"),
    "continued": _("go on with a former ledger"),
    "begun": _("other mailboxes, collected from the beginning"),
    "former": _("goes on with the ledger of"),
    "other_mailbox": _("does not go on with the ledger of"),
    "sealed": _("passwords sealed anew"),
    "unreadable": _("passwords that could not be read"),
}

ACCOUNT = {
    "username": _("login"),
    "email": _("e-mail address"),
    "is_active": _("active"),
    "is_staff": _("administrator (staff status)"),
    "is_superuser": _("superuser"),
    "groups": _("groups"),
    "user_permissions": _("permissions"),
    "permissions": _("permissions"),
    "name": _("name"),
    "first_name": _("first name"),
    "last_name": _("last name"),
}
"""The fields of accounts and groups."""


def describe(what: str) -> str:
    """The event in words; an unknown one by its stable name."""
    return str(EVENTS.get(what, what))


def details(detail: Mapping[str, object]) -> str:
    """The details of an entry, in one line."""
    return ", ".join(_detail(name, value) for name, value in detail.items())


def _detail(name: str, value: object) -> str:
    match name, value:
        case "fields", list(fields):
            return "; ".join(changes.describe(*field) for field in fields)
        case "settings", list(names):
            return "; ".join(_setting(*each) for each in names)
        case "account", list(fields):
            return "; ".join(f"{ACCOUNT.get(name, name)}: {_value(old)} → {_value(new)}" for name, old, new in fields)
        case _, bool():
            return f"{DETAILS.get(name, name)}: {_('yes') if value else _('no')}"
        case _:
            return f"{DETAILS.get(name, name)}: {value}"


def _setting(name: str, old: object = None, new: object = None) -> str:
    title = str(settings.NAMES.get(name, name))
    return title if new is None else f"{title}: {_value(old)} → {_value(new)}"


def _value(value: object) -> str:
    return str(_("yes") if value else _("no")) if isinstance(value, bool) else str(value) or "—"
