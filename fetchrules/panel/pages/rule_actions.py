"""The buttons of the list: for one rule, or for all that are selected; and accepting a local mailbox that was replaced."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from fetchrules.acts import mailboxes, roles
from fetchrules.acts import rules as acts
from fetchrules.acts.writer import RuleInvalid, SourceTaken
from fetchrules.models import FetchRule, Letter, ServiceSettings
from fetchrules.panel import access
from fetchrules.panel.params import LARGEST, back, numbers
from fetchrules.rulebook.rows import line_of

PAUSES = [
    ("", gettext_lazy("until resumed")),
    ("hour", gettext_lazy("for an hour")),
    ("morning", gettext_lazy("until 9 tomorrow morning")),
    ("week", gettext_lazy("for a week")),
]


def end_of(pause: str, now: datetime) -> datetime | None:
    """When a pause of this name ends; None: when somebody ends it."""
    match pause:
        case "hour":
            return now + timedelta(hours=1)
        case "morning":
            tomorrow = timezone.localtime(now) + timedelta(days=1)
            return tomorrow.replace(hour=9, minute=0, second=0, microsecond=0)
        case "week":
            return now + timedelta(days=7)
        case _:
            return None


@require_POST
def act(request: HttpRequest, rule_id: int, do: str) -> HttpResponse:
    return _do(request, do, [rule_id])


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    return _do(request, "delete" if request.method == "POST" else "ask", [rule_id])


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """One of the actions, on every rule that is selected. Deleting asks first."""
    ids = numbers(request.POST.getlist("rule"))
    if not ids:
        messages.warning(request, _("Select the rules first."))
        return redirect(back(request))
    do = request.POST.get("do", "")
    return _do(request, "ask" if do == "delete" and "sure" not in request.POST else do, ids)


def _do(request: HttpRequest, what: str, ids: Iterable[int]) -> HttpResponse:
    """Raises Http404 where none of the rules is the reader's to do this to."""
    user = access.user_of(request)
    runs = what in {"poll", "pause", "resume"}
    rules = (roles.runnable_rules(user) if runs else roles.editable_rules(user)).filter(
        id__in=[one for one in ids if one <= LARGEST]
    )
    if not rules.exists():
        raise Http404
    match what:
        case "on" | "off":
            _switch(request, rules, on=what == "on")
        case "poll" | "resume":
            _poll(request, rules, resume=what == "resume")
        case "pause":
            paused = len(acts.pause_rules(rules, end_of(request.POST.get("until", ""), timezone.now()), by=user))
            _say(request, ngettext("%(count)s rule paused.", "%(count)s rules paused.", paused), paused)
        case "take_over":
            taken = len(acts.take_over(rules, by=user))
            _say(request, ngettext("%(count)s rule taken over.", "%(count)s rules taken over.", taken), taken)
        case "delete":
            deleted = len(acts.delete_rules(rules, by=user))
            _say(request, ngettext("%(count)s rule deleted.", "%(count)s rules deleted.", deleted), deleted)
        case "ask":
            return _ask_to_delete(request, list(rules))
        case "export":
            return _export(rules)
        case _:
            raise Http404
    return redirect(back(request))


def _switch(request: HttpRequest, rules: QuerySet[FetchRule], *, on: bool) -> None:
    try:
        switched = len(acts.switch_rules(rules, on=on, by=access.user_of(request)))
    except SourceTaken:
        messages.error(
            request, _("Nothing was switched on: another rule reads the same remote mailbox and takes its mail away.")
        )
    except RuleInvalid:
        message = _(
            "Nothing was switched on: there is a rule that delivers to another address than yours. Save it in its form first."
        )
        messages.error(request, message)
    else:
        on_words = ngettext(
            "%(count)s rule switched on, polling now.", "%(count)s rules switched on, polling now.", switched
        )
        off_words = ngettext("%(count)s rule switched off.", "%(count)s rules switched off.", switched)
        _say(request, on_words if on else off_words, switched)


def _poll(request: HttpRequest, rules: QuerySet[FetchRule], *, resume: bool) -> None:
    """Poll them now; or only those that are paused (`resume`). Of ownerless rules it is said why nothing is done."""
    gone = rules.filter(FetchRule.OWNER_GONE).count()
    if gone:
        words = ngettext(
            "%(count)s rule is not polled: its owner is gone, and nobody has taken it over.",
            "%(count)s rules are not polled: their owners are gone, and nobody has taken them over.",
            gone,
        )
        messages.warning(request, words % {"count": gone})
    user, ownerless_only = access.user_of(request), gone == rules.count()
    if resume:
        done = len(acts.resume_rules(rules, by=user))
        words = ngettext("%(count)s rule resumed.", "%(count)s rules resumed.", done)
    else:
        done = len(acts.poll_rules(rules, by=user))
        words = ngettext("%(count)s rule is being polled.", "%(count)s rules are being polled.", done)
    if not ownerless_only:
        _say(request, words, done)


def _say(request: HttpRequest, words: str, count: int) -> None:
    messages.success(request, words % {"count": count})


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


@require_http_methods(["GET", "HEAD", "POST"])
@access.editors_only
def adopt(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Ask, then deliver into what stands in the place of the rule's local mailbox now."""
    user = access.user_of(request)
    rule = get_object_or_404(roles.editable_rules(user), id=rule_id)
    if not mailboxes.may_adopt(user, rule):
        raise Http404
    if request.method != "POST":
        return render(request, "fetchrules/adopt.html", {"rule": rule})
    mailboxes.adopt(rule, by=user)
    messages.success(request, _("Letters are delivered into it again; the rule is being polled now."))
    return redirect("rules")
