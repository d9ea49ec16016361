"""What the buttons of the list do: to one rule, or to all that are selected."""

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from fetchrules import tasks
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Letter, ServiceSettings
from fetchrules.panel import access
from fetchrules.panel.pages import audit
from fetchrules.panel.pages.pauses import end_of
from fetchrules.panel.params import numbers
from fetchrules.panel.paths import back
from fetchrules.rulebook.edits import SourceTaken, delete_rules, switch_rules
from fetchrules.rulebook.edits import take_over as take_rules_over
from fetchrules.rulebook.guard import RuleInvalid
from fetchrules.rulebook.rows import line_of


@require_POST
def switch_on(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Switch a rule on."""
    return _switch(request, access.editable_rules(access.user_of(request)).filter(id=rule_id), on=True)


@require_POST
def switch_off(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Switch a rule off."""
    return _switch(request, access.editable_rules(access.user_of(request)).filter(id=rule_id), on=False)


@require_POST
def poll(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Poll a rule now; this also ends its pause."""
    return _poll(request, access.runnable_rules(access.user_of(request)).filter(id=rule_id))


@require_POST
def pause(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Poll a rule no more until then, or until it is resumed."""
    return _pause(request, access.runnable_rules(access.user_of(request)).filter(id=rule_id))


@require_POST
def resume(request: HttpRequest, rule_id: int) -> HttpResponse:
    """End a rule's pause."""
    return _resume(request, access.runnable_rules(access.user_of(request)).filter(id=rule_id))


@require_POST
@access.administrators_only
def take_over(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Answer for a rule whose owner is gone."""
    return _take_over(request, FetchRule.objects.filter(id=rule_id))


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Ask, then delete a rule."""
    rule = get_object_or_404(access.editable_rules(access.user_of(request)), id=rule_id)
    if request.method != "POST":
        return _ask_to_delete(request, [rule])
    return _delete(request, access.editable_rules(access.user_of(request)).filter(id=rule_id))


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """One of the actions, on every rule that is selected. Deleting asks first."""
    user, ids = access.user_of(request), numbers(request.POST.getlist("rule"))
    editable = access.editable_rules(user).filter(id__in=ids)
    if not ids:
        messages.warning(request, _("Select the rules first."))
        return redirect(back(request))
    match request.POST.get("do"):
        case "on" | "off" as switch:
            return _switch(request, editable, on=switch == "on")
        case "poll":
            return _poll(request, access.runnable_rules(user).filter(id__in=ids))
        case "pause":
            return _pause(request, access.runnable_rules(user).filter(id__in=ids))
        case "resume":
            return _resume(request, access.runnable_rules(user).filter(id__in=ids))
        case "take_over" if access.administers(user):
            return _take_over(request, editable)
        case "export":
            return _export(_required(editable))
        case "delete" if "sure" in request.POST:
            return _delete(request, editable)
        case "delete":
            return _ask_to_delete(request, list(_required(editable)))
        case _:
            raise Http404


def _switch(request: HttpRequest, rules: QuerySet[FetchRule], *, on: bool) -> HttpResponse:
    try:
        switched = switch_rules(_required(rules), on=on, by=access.user_of(request))
    except FetchRule.DoesNotExist as gone:
        raise Http404 from gone
    except SourceTaken:
        messages.error(
            request, _("Nothing was switched on: another rule reads the same remote mailbox and takes its mail away.")
        )
        return redirect(back(request))
    except RuleInvalid:
        message = _(
            "Nothing was switched on: there is a rule that delivers to another address than yours. Save it in its form first."
        )
        messages.error(request, message)
        return redirect(back(request))
    audit.record_each(request, "rule_switched_on" if on else "rule_switched_off", switched)
    if on:
        words = ngettext(
            "%(count)s rule switched on, polling now.", "%(count)s rules switched on, polling now.", len(switched)
        )
    else:
        words = ngettext("%(count)s rule switched off.", "%(count)s rules switched off.", len(switched))
    messages.success(request, words % {"count": len(switched)})
    return redirect(back(request))


def _poll(request: HttpRequest, rules: QuerySet[FetchRule]) -> HttpResponse:
    rules = _answered_for(request, _required(rules))
    asked = runs.ask_for_poll(rules, timezone.now())
    tasks.wake()
    audit.record_each(request, "rule_poll_asked", asked)
    words = ngettext("%(count)s rule is being polled.", "%(count)s rules are being polled.", len(asked))
    if rules:
        messages.success(request, words % {"count": len(asked)})
    return redirect(back(request))


def _answered_for(request: HttpRequest, rules: QuerySet[FetchRule]) -> QuerySet[FetchRule]:
    """Those of `rules` that somebody answers for; of the others it is said why nothing is done."""
    gone = rules.filter(FetchRule.OWNER_GONE).count()
    words = ngettext(
        "%(count)s rule is not polled: its owner is gone, and nobody has taken it over.",
        "%(count)s rules are not polled: their owners are gone, and nobody has taken them over.",
        gone,
    )
    if gone:
        messages.warning(request, words % {"count": gone})
    return rules.exclude(FetchRule.OWNER_GONE)


def _pause(request: HttpRequest, rules: QuerySet[FetchRule]) -> HttpResponse:
    paused = runs.pause(_required(rules), end_of(request.POST.get("until", ""), timezone.now()))
    audit.record_each(request, "rule_paused", rules)
    messages.success(request, ngettext("%(count)s rule paused.", "%(count)s rules paused.", paused) % {"count": paused})
    return redirect(back(request))


def _resume(request: HttpRequest, rules: QuerySet[FetchRule]) -> HttpResponse:
    rules = _answered_for(request, _required(rules))
    resumed = runs.resume(rules, timezone.now())
    tasks.wake()
    audit.record_each(request, "rule_resumed", resumed)
    words = ngettext("%(count)s rule resumed.", "%(count)s rules resumed.", len(resumed))
    if rules:
        messages.success(request, words % {"count": len(resumed)})
    return redirect(back(request))


def _delete(request: HttpRequest, rules: QuerySet[FetchRule]) -> HttpResponse:
    try:
        deleted = delete_rules(_required(rules), by=access.user_of(request))
    except FetchRule.DoesNotExist as gone:
        raise Http404 from gone
    audit.record_each(request, "rule_deleted", deleted)
    words = ngettext("%(count)s rule deleted.", "%(count)s rules deleted.", len(deleted))
    messages.success(request, words % {"count": len(deleted)})
    return redirect(back(request))


def _take_over(request: HttpRequest, rules: QuerySet[FetchRule]) -> HttpResponse:
    try:
        taken = take_rules_over(rules, by=access.user_of(request))
    except FetchRule.DoesNotExist as gone:
        raise Http404 from gone
    audit.record_each(request, "rule_taken_over", taken)
    words = ngettext("%(count)s rule taken over.", "%(count)s rules taken over.", len(taken))
    messages.success(request, words % {"count": len(taken)})
    return redirect(back(request))


def _export(rules: QuerySet[FetchRule]) -> HttpResponse:
    lines = [f"{line_of(rule).text}\n" for rule in rules.order_by("position", "id")]
    headers = {"Content-Disposition": 'attachment; filename="rules.txt"'}
    return HttpResponse("".join(lines), content_type="text/plain; charset=utf-8", headers=headers)


def _ask_to_delete(request: HttpRequest, rules: list[FetchRule]) -> HttpResponse:
    context = {
        "rules": rules,
        "collected": Letter.objects.filter(source__in=[rule.source_id for rule in rules]).count(),
        "next": back(request),
        "journal_days": ServiceSettings.current().journal_days,
    }
    return render(request, "fetchrules/delete.html", context)


def _required(rules: QuerySet[FetchRule]) -> QuerySet[FetchRule]:
    """`rules`, if there is one at all; raises Http404."""
    if not rules.exists():
        raise Http404
    return rules
