"""What a text would change, in words: a rule's name, a field before and after."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.errors import harmless
from fetchrules.rule import Rule
from fetchrules.words import amounts
from fetchrules.words.ruletext import field_name

_ENCRYPTION = {
    "auto": gettext_lazy("STARTTLS if offered"),
    "ssl": "SSL/TLS",
    "starttls": "STARTTLS",
    "plaintext": gettext_lazy("none"),
}


def name_of(rule: Rule) -> str:
    """Enough of the line to know the rule by."""
    return harmless(f"{rule.server}:{rule.protocol} {rule.user} → {rule.recipient}")


def beginning_of(rule: Rule) -> str:
    """What happens to a new rule once it is there."""
    return _("new rule, switched off") if rule.skip else _("new rule, first poll at once")


def describe(field: str, old: object, new: object) -> str:
    """One field, before and after; of a password only that it changes."""
    if field == "password":
        return _("new password")
    if field == "skip":
        return _("switched off") if new else _("switched on")
    about = {"field": field_name(field), "old": _value(field, old), "new": _value(field, new)}
    return harmless(_("%(field)s: %(old)s → %(new)s") % about)


def _value(field: str, value: object) -> str:
    match value:
        case bool():
            return _("yes") if value else _("no")
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
