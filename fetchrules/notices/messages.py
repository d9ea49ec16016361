"""The words of notices and pages about incidents."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fetchrules.errors import harmless
from fetchrules.models import Channel, FetchRule, Incident
from fetchrules.words import times
from fetchrules.words.failures import describe

LISTED = 50
"""How many incidents a notice lists. When a whole network fails, it gives a number for the rest."""


@dataclass(frozen=True, slots=True)
class Message:
    """A notice for people, and the same as data for a program."""

    subject: str
    text: str
    data: dict[str, object]


def message_of(begun: Sequence[Incident], ended: Sequence[Incident]) -> Message:
    """One message for the incidents that began and ended since the last one, of which there is at least one."""
    sections = (
        (_("Not collected:"), [_trouble(rule, incident) for rule, incident in _of_rules(begun)]),
        (_("Needs an administrator:"), [fault(incident) for incident in _ours(begun)]),
        (_("Collected again:"), [str(rule) for rule, _incident in _of_rules(ended)]),
        (_("Mended:"), [_mended(incident) for incident in _ours(ended)]),
    )
    text = "\n\n".join(f"{title}\n{_listed(lines)}" for title, lines in sections if lines)
    data: dict[str, object] = {"began": [_data(each) for each in begun], "ended": [_data(each) for each in ended]}
    return Message(_subject(begun, ended), text, data)


def test_message() -> Message:
    text = _("Nothing has happened: somebody tries whether notices get through.")
    return Message(_("Test notice"), text, {"began": [], "ended": []})


def fault(incident: Incident) -> str:
    """An incident without a rule: what is broken, since when, and why."""
    if incident.kind == Incident.Kind.CHANNEL:
        return f"{silence(incident)}. {reason(incident.detail)}"
    failure = describe(incident.error)
    about = {"title": failure.title, "since": times.exact(incident.opened_at), "remedy": failure.remedy}
    return " ".join(filter(None, (_("%(title)s (since %(since)s). %(remedy)s") % about, incident.detail)))


def silence(incident: Incident) -> str:
    """An incident of a channel, without the reason."""
    about = {"title": _SILENT[incident.error], "since": times.exact(incident.opened_at)}
    return _("%(title)s since %(since)s") % about


def reason(detail: str) -> str:
    """Why a channel did not accept a notice. `detail` is the text of a FetchError: code, colon, detail."""
    code, _colon, said = detail.partition(": ")
    title = describe(code).title
    return f"{title}: {said}" if said else f"{title}."


_SILENT = {
    Channel.Name.MAIL.value: gettext_lazy("Notices by e-mail do not get through"),
    Channel.Name.WEBHOOK.value: gettext_lazy("Notices by webhook do not get through"),
}
_MENDED = {
    Channel.Name.MAIL.value: gettext_lazy("Notices by e-mail get through again; since %s they did not."),
    Channel.Name.WEBHOOK.value: gettext_lazy("Notices by webhook get through again; since %s they did not."),
}


def _mended(incident: Incident) -> str:
    if incident.kind == Incident.Kind.CHANNEL:
        return _MENDED[incident.error] % times.exact(incident.opened_at)
    return describe(incident.error).title


def _subject(begun: Sequence[Incident], ended: Sequence[Incident]) -> str:
    failing, collected = _of_rules(begun), _of_rules(ended)
    if len(failing) == 1 and not ended:
        return _("Mail is not collected: %s") % str(failing[0][0])
    if failing:
        return ngettext(
            "Mail of %d mailbox is not collected", "Mail of %d mailboxes is not collected", len(failing)
        ) % len(failing)
    if ours := _ours(begun):
        return str(_SILENT[ours[0].error]) if ours[0].kind == Incident.Kind.CHANNEL else describe(ours[0].error).title
    if len(collected) == 1:
        return _("Mail is collected again: %s") % str(collected[0][0])
    if collected:
        return ngettext(
            "Mail of %d mailbox is collected again", "Mail of %d mailboxes is collected again", len(collected)
        ) % len(collected)
    return _("Mended: %s") % _mended(ended[0])


def _of_rules(incidents: Sequence[Incident]) -> list[tuple[FetchRule, Incident]]:
    return [(incident.rule, incident) for incident in incidents if incident.rule is not None]


def _ours(incidents: Sequence[Incident]) -> list[Incident]:
    return [incident for incident in incidents if incident.rule is None]


def _trouble(rule: FetchRule, incident: Incident) -> str:
    if not rule.last_error:
        return f"{rule}: {incident.get_kind_display()}"
    failure = describe(rule.last_error, rule.server)
    return f"{rule}: {failure.title}. {failure.remedy}"


def _listed(lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:LISTED]]
    if len(lines) > LISTED:
        shown.append(ngettext("and %d more", "and %d more", len(lines) - LISTED) % (len(lines) - LISTED))
    return "\n".join(shown)


def _data(incident: Incident) -> dict[str, object]:
    rule = incident.rule
    since = incident.opened_at.isoformat()
    if rule is None:
        return {"rule": None, "kind": incident.kind, "error": incident.error, "since": since}
    return {
        "rule": rule.id,
        "source": harmless(f"{rule.user}@{rule.server}"),
        "recipient": harmless(rule.recipient),
        "kind": incident.kind,
        "error": rule.last_error,
        "since": since,
    }
