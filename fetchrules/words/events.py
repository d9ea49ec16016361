"""Changes in words, for the preview of a text and for the audit."""

from collections.abc import Mapping

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fetchrules.errors import harmless
from fetchrules.rule import Rule
from fetchrules.words import amounts
from fetchrules.words.ruletext import field_name

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
    "fetched_lists_filed": _("letters that another program has fetched: to count as collected"),
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
    "accounts": _("accounts"),
    "unmatched": _("accounts without a rule"),
    "server": _("server"),
    "port": _("port"),
    "continued": _("go on with a former ledger"),
    "begun": _("other mailboxes, collected from the beginning"),
    "former": _("goes on with the ledger of"),
    "pass_present": _("what already lies on the server counts as collected"),
    "since": _("of what lies on the server, only letters since then are collected"),
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

SETTINGS = {
    "interval": _("Interval between mail checks"),
    "per_host": _("Connections to one server at a time"),
    "local_domains": _("Local mail domains"),
    "alert_addresses": _("Send alerts to"),
    "alert_webhook": _("Alert webhook"),
    "webhook_internal": _("The webhook may lead to an internal address"),
    "alert_after_failures": _("Alert after failures in a row"),
    "alert_after_hours": _("Alert after hours without success"),
    "journal_days": _("Keep the journal for"),
    "owner_rules": _("Rules per mailbox owner"),
    "owner_networks": _("Networks open to mailbox owners"),
}
"""The names of the service's settings."""

_ENCRYPTION = {
    "auto": _("STARTTLS if offered"),
    "ssl": "SSL/TLS",
    "starttls": "STARTTLS",
    "plaintext": _("none"),
}


def name_of(rule: Rule) -> str:
    """The part of the line by which people recognize the rule."""
    return harmless(f"{rule.server}:{rule.protocol} {rule.user} → {rule.recipient}")


def beginning_of(rule: Rule) -> str:
    """What a preview says of a new rule."""
    return gettext("new rule, switched off") if rule.skip else gettext("new rule, first poll at once")


def describe_change(field: str, old: object, new: object) -> str:
    """One field, before and after; of a password only that it changes."""
    if field == "password":
        return gettext("new password")
    if field == "skip":
        return gettext("switched off") if new else gettext("switched on")
    about = {"field": field_name(field), "old": _value(old, field), "new": _value(new, field)}
    return harmless(gettext("%(field)s: %(old)s → %(new)s") % about)


def _value(value: object, field: str = "") -> str:
    match value:
        case bool():
            return gettext("yes") if value else gettext("no")
        case None | "" | []:  # of a sequence pattern: an empty tuple too
            return "—"
        case [*items]:
            return ", ".join(map(str, items))
        case int() if field == "limit":
            return amounts.octets(value)
        case _ if field == "encryption":
            return str(_ENCRYPTION[str(value)])
        case _:
            return str(value)


def describe_event(what: str) -> str:
    """The event in words; an unknown one by its stable name."""
    return str(EVENTS.get(what, what))


def details(detail: Mapping[str, object]) -> str:
    """The details of an entry, in one line."""
    return ", ".join(_detail(name, value) for name, value in detail.items())


def _detail(name: str, value: object) -> str:
    match name, value:
        case "fields", list(fields):
            return "; ".join(describe_change(*field) for field in fields)
        case "settings", list(names):
            return "; ".join(_setting(*each) for each in names)
        case "account", list(fields):
            return "; ".join(f"{ACCOUNT.get(name, name)}: {_value(old)} → {_value(new)}" for name, old, new in fields)
        case _, bool():
            return f"{DETAILS.get(name, name)}: {_value(value)}"
        case _:
            return f"{DETAILS.get(name, name)}: {value}"


def _setting(name: str, old: object = None, new: object = None) -> str:
    title = str(SETTINGS.get(name, name))
    return title if new is None else f"{title}: {_value(old)} → {_value(new)}"
