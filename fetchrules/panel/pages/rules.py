"""The list of rules, and its rows alone for a list that keeps itself up to date."""

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fetchrules.panel import access
from fetchrules.panel.pages.attention import Attention
from fetchrules.panel.pages.listing import Choice, with_state
from fetchrules.panel.pages.pauses import PAUSES
from fetchrules.panel.pages.rows import rows_of
from fetchrules.panel.params import numbers
from fetchrules.status import RuleState
from fetchrules.words.states import RULE_BADGES

PAGE_SIZES = (50, 100, 250)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The list."""
    user, now = access.user_of(request), timezone.now()
    rules = access.visible_rules(user)
    choice = Choice.of(request.GET)
    counts = choice.counts(rules)
    paginator = Paginator(choice.listed(rules), _page_size(request))
    paginator.count = counts.get(choice.state, 0) if choice.state else sum(counts.values())
    page = paginator.get_page(request.GET.get("page"))
    rows = rows_of(list(page), now, user)
    context = {
        "attention": Attention.read(now) if access.sees_all(user) else None,
        "servers": choice.commonest(rules, "server"),
        "recipients": choice.commonest(rules, "recipient"),
        "page": page,
        "sizes": PAGE_SIZES if paginator.count > PAGE_SIZES[0] else (),
        "rows": rows,
        "live": any(row.live for row in rows),
    }
    return render(request, "fetchrules/rules.html", context | _filters(choice, counts) | _may(user))


@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """The rows named by `ids` and the filters with their numbers, as they are now."""
    user = access.user_of(request)
    ids = numbers(request.GET.get("ids", "").split(","))
    visible = access.visible_rules(user)
    rules = with_state(visible.filter(id__in=ids[: max(PAGE_SIZES)]))
    choice = Choice.of(request.GET)
    context = {"rows": rows_of(list(rules), timezone.now(), user)} | _filters(choice, choice.counts(visible))
    return render(request, "fetchrules/_fresh.html", context | _may(user))


def _filters(choice: Choice, counts: Mapping[RuleState, int]) -> dict[str, object]:
    """The states that there are, each with its number of rules."""
    shown = [state for state in RuleState if state in counts or state is choice.state]
    return {
        "choice": choice,
        "filters": [(state, RULE_BADGES[state], counts.get(state, 0)) for state in shown],
        "total": sum(counts.values()),
    }


def _may(user: User) -> dict[str, object]:
    """What the reader may do with the rules that he sees: an owner sees his own only."""
    owns = not access.sees_all(user)
    return {
        "pauses": PAUSES,
        "may_edit": access.edits_rules(user),
        "may_run": owns or access.runs_service(user),
        "needs_address": owns and not user.email,
    }


def _page_size(request: HttpRequest) -> int:
    asked = request.GET.get("per", "")
    return int(asked) if asked in {str(size) for size in PAGE_SIZES} else PAGE_SIZES[0]
