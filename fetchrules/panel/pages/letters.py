"""Letters that somebody has to look at: what they are, why, and what to do about them."""

from collections.abc import Collection

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from fetchrules.acts import letters as acts
from fetchrules.ledger import letters
from fetchrules.panel import access
from fetchrules.panel.pages import problems
from fetchrules.panel.params import numbers
from fetchrules.panel.paths import back
from fetchrules.words.names import shown_host


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The problem letters of the rules that the reader may watch, and those that are stuck in delivery."""
    user = access.user_of(request)
    visible = access.visible_letters(user)
    stuck = visible.filter(id__in=letters.stuck(timezone.now()).values("id"))
    asked = request.GET.get("kind", "")
    context = {
        "stuck": stuck.select_related("source").order_by("first_seen_at")[: problems.PAGE],
        "sections": problems.sections_of(visible, asked, request.GET.get("page")),
        "asked": asked,
        "servers": list(problems.servers()) if access.administers(user) else [],
    }
    return render(request, "fetchrules/letters.html", context)


@require_POST
def act(request: HttpRequest) -> HttpResponse:
    """Do with the selected letters what the reader says."""
    ids = numbers(given for kind in problems.KINDS for given in request.POST.getlist(kind))
    if not ids:
        messages.warning(request, _("Select the letters first."))
        return redirect(back(request, "letters"))
    messages.success(request, _do(request.POST.get("do", ""), ids, access.user_of(request)))
    return redirect(back(request, "letters"))


@require_POST
@access.administrators_only
def declare_sizes(request: HttpRequest) -> HttpResponse:
    """The sizes that a server lists are wrong, and not compared any more; or they are compared again."""
    wrong = "wrong" in request.POST
    host = request.POST.get("wrong" if wrong else "right", "")
    if not problems.is_known(host):
        raise Http404
    acts.declare_sizes(host, wrong=wrong, by=access.user_of(request))
    if wrong:
        said = _("%(host)s: sizes are not compared any more. Letters that came before still wait for your word.")
    else:
        said = _("%(host)s: sizes are compared again.")
    messages.success(request, said % {"host": shown_host(host)})
    return redirect("letters")


@require_POST
def take_up(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Take the letters of a rule after all that were passed over, or were about to be."""
    user = access.user_of(request)
    number = acts.take_up(get_object_or_404(access.editable_rules(user), id=rule_id), by=user)
    words = ngettext("%(count)s letter is new again.", "%(count)s letters are new again.", number)
    messages.success(request, words % {"count": number})
    return redirect("rule", rule_id)


def _do(what: str, ids: Collection[int], user: User) -> str:
    """What was done, in words."""
    match what:
        case "retry":
            number = acts.retry(ids, by=user)
            words = ngettext(
                "%(count)s letter is being tried again.", "%(count)s letters are being tried again.", number
            )
        case "delete":
            number = acts.retry(ids, by=user)
            words = ngettext("Deleting %(count)s letter again.", "Deleting %(count)s letters again.", number)
        case "again":
            number = acts.collect_again(ids, by=user)
            words = ngettext(
                "%(count)s letter is being collected again.", "%(count)s letters are being collected again.", number
            )
        case "pass":
            number = acts.pass_over(ids, by=user)
            words = ngettext("%(count)s letter stays on the server.", "%(count)s letters stay on the server.", number)
        case "settle":
            number = acts.settle(ids, by=user)
            words = ngettext(
                "%(count)s letter is treated as its rule says.",
                "%(count)s letters are treated as their rules say.",
                number,
            )
        case _:
            raise Http404
    return words % {"count": number}
