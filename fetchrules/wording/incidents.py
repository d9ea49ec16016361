"""The notices of incidents, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fetchrules.models import Incident
from fetchrules.wording.failures import describe

LISTED = 50
"""So many are named one by one; when a whole network fails, the rest is a number."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to people, and the same as data for a program."""

    subject: str
    text: str
    data: dict[str, object]


def notice_of(begun: Sequence[Incident], ended: Sequence[Incident]) -> Notice:
    """One message for everything that began and ended since the last one."""
    parts = []
    if begun:
        parts.append(_("Not collected:") + "\n" + _listed([_trouble(incident) for incident in begun]))
    if ended:
        parts.append(_("Collected again:") + "\n" + _listed([_name(incident) for incident in ended]))
    return Notice(_subject(begun, ended), "\n\n".join(parts), {"began": _data(begun), "ended": _data(ended)})


def _subject(begun: Sequence[Incident], ended: Sequence[Incident]) -> str:
    if len(begun) == 1 and not ended:
        return _("Mail is not collected: %s") % _name(begun[0])
    if begun:
        return ngettext(
            "Mail of %d mailbox is not collected", "Mail of %d mailboxes is not collected", len(begun)
        ) % len(begun)
    if len(ended) == 1:
        return _("Mail is collected again: %s") % _name(ended[0])
    return ngettext(
        "Mail of %d mailbox is collected again", "Mail of %d mailboxes is collected again", len(ended)
    ) % len(ended)


def _trouble(incident: Incident) -> str:
    rule = incident.rule
    if not rule.last_error:
        return f"{_name(incident)}: {incident.get_kind_display()}"
    failure = describe(rule.last_error, rule.server)
    return f"{_name(incident)}: {failure.title}. {failure.remedy}"


def _name(incident: Incident) -> str:
    rule = incident.rule
    return f"{rule.user}@{rule.server} → {rule.recipient}"


def _listed(lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:LISTED]]
    if len(lines) > LISTED:
        shown.append(ngettext("and %d more", "and %d more", len(lines) - LISTED) % (len(lines) - LISTED))
    return "\n".join(shown)


def _data(incidents: Sequence[Incident]) -> list[dict[str, object]]:
    return [
        {
            "rule": incident.rule.id,
            "source": f"{incident.rule.user}@{incident.rule.server}",
            "recipient": incident.rule.recipient,
            "kind": incident.kind,
            "error": incident.rule.last_error,
            "since": incident.opened_at.isoformat(),
        }
        for incident in incidents
    ]
