"""Letters that could not be collected: what they are, why, and the two ways out."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from fetchrules import tasks
from fetchrules.ledger import by_hand, letters, runs
from fetchrules.models import FetchRule, Letter
from fetchrules.sources import folders_of
from fetchrules.views import access, audit
from fetchrules.views.paths import back
from fetchrules.wording import failures

PAGE = 50


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The problem letters of the rules that the reader may watch, and those that are stuck in delivery."""
    visible = access.visible_letters(access.user_of(request))
    troubled = visible.filter(state=Letter.State.HELD).exclude(reason="")  # without one, nobody has tried it yet
    held = troubled.select_related("source").order_by("-tried_at", "-id")
    paginator = Paginator(held, PAGE)
    page = paginator.get_page(request.GET.get("page"))
    stuck = visible.filter(id__in=letters.stuck(timezone.now()).values("id"))
    context = {
        "stuck": stuck.select_related("source").order_by("first_seen_at")[:PAGE],
        "page": page,
        "pages": list(paginator.get_elided_page_range(page.number)),
        "lines": [(letter, failures.describe(letter.reason, letter.source.host)) for letter in page],
    }
    return render(request, "fetchrules/letters.html", context)


@require_POST
def act(request: HttpRequest) -> HttpResponse:
    """Try the selected letters again now, or leave them on the server for good."""
    user = access.user_of(request)
    ids = [int(number) for number in request.POST.getlist("letter") if number.isascii() and number.isdigit()]
    held = access.runnable_letters(user).filter(id__in=ids, state=Letter.State.HELD)
    chosen = Letter.objects.filter(id__in=list(held.values_list("id", flat=True)))
    if not ids:
        messages.warning(request, _("Select the letters first."))
        return redirect(back(request, "letters"))
    match request.POST.get("do"):
        case "retry":
            _retry(request, chosen, access.runnable_rules(user))
        case "pass":
            number = by_hand.pass_over(chosen)
            audit.record(request, "letters_passed_over", number)
            words = ngettext("%(count)s letter stays on the server.", "%(count)s letters stay on the server.", number)
            messages.success(request, words % {"count": number})
        case _:
            raise Http404
    return redirect(back(request, "letters"))


@require_POST
def take_up(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Take the letters of a rule after all that were passed over, or were about to be."""
    rule = get_object_or_404(access.editable_rules(access.user_of(request)), id=rule_id)
    folders_of(rule.source).update(pass_present=False)
    number = by_hand.take_up(by_hand.passed(folders_of(rule.source)))
    runs.ask_for_poll(FetchRule.objects.filter(id=rule.id), timezone.now())
    tasks.wake()
    audit.record(request, "letters_taken_up", rule, count=number)
    words = ngettext("%(count)s letter is new again.", "%(count)s letters are new again.", number)
    messages.success(request, words % {"count": number})
    return redirect("rule", rule_id)


def _retry(request: HttpRequest, chosen: QuerySet[Letter], rules: QuerySet[FetchRule]) -> None:
    number = by_hand.retry_held(chosen)
    theirs = rules.filter(Q(source__letters__in=chosen) | Q(runs__letters__in=chosen)).values_list("id", flat=True)
    runs.ask_for_poll(rules.filter(id__in=list(theirs)), timezone.now())
    tasks.wake()
    audit.record(request, "letters_retried", number)
    words = ngettext("%(count)s letter is being tried again.", "%(count)s letters are being tried again.", number)
    messages.success(request, words % {"count": number})
