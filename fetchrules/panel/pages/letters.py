"""Letters that somebody has to look at: what they are, why, and what to do about them."""

from typing import NamedTuple

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from fetchrules import tasks
from fetchrules.ledger import by_hand, hosts, letters, runs
from fetchrules.ledger.sources import folders_of
from fetchrules.models import FetchRule, Letter
from fetchrules.panel import access
from fetchrules.panel.pages import audit, problems
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
    user = access.user_of(request)
    ids = numbers(given for kind in problems.KINDS for given in request.POST.getlist(kind))
    if not ids:
        messages.warning(request, _("Select the letters first."))
        return redirect(back(request, "letters"))
    runnable = access.runnable_letters(user).filter(by_hand.PROBLEMS, id__in=ids)
    chosen = Letter.objects.filter(id__in=list(runnable.values_list("id", flat=True)))
    theirs = access.runnable_rules(user).filter(Q(source__letters__in=chosen) | Q(runs__letters__in=chosen))
    rules = FetchRule.objects.filter(id__in=list(theirs.values_list("id", flat=True)))
    done = _do(request.POST.get("do", ""), chosen)
    if done.number:
        audit.record(request, done.event, done.number)
    if done.poll:
        runs.ask_for_poll(rules, timezone.now())
        tasks.wake()
    messages.success(request, done.words % {"count": done.number})
    return redirect(back(request, "letters"))


@require_POST
@access.administrators_only
def declare_sizes(request: HttpRequest) -> HttpResponse:
    """The sizes that a server lists are wrong, and not compared any more; or they are compared again."""
    wrong = "wrong" in request.POST
    host = request.POST.get("wrong" if wrong else "right", "")
    if not problems.is_known(host):
        raise Http404
    hosts.declare_sizes(host, wrong=wrong)
    audit.record(request, "sizes_declared_wrong" if wrong else "sizes_believed_again", host)
    if wrong:
        said = _("%(host)s: sizes are not compared any more. Letters that came before still wait for your word.")
    else:
        said = _("%(host)s: sizes are compared again.")
    messages.success(request, said % {"host": shown_host(host)})
    return redirect("letters")


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


class _Done(NamedTuple):
    """What was done with so many letters: its word in the audit, its words for the reader, and whether a poll is needed."""

    number: int
    event: str
    words: str
    poll: bool = False


def _do(what: str, chosen: QuerySet[Letter]) -> _Done:
    match what:
        case "retry":
            number = by_hand.retry_held(chosen)
            words = ngettext(
                "%(count)s letter is being tried again.", "%(count)s letters are being tried again.", number
            )
            return _Done(number, "letters_retried", words, poll=True)
        case "delete":
            number = by_hand.retry_held(chosen)
            words = ngettext("Deleting %(count)s letter again.", "Deleting %(count)s letters again.", number)
            return _Done(number, "letters_retried", words, poll=True)
        case "again":
            number = by_hand.collect_again(chosen)
            words = ngettext(
                "%(count)s letter is being collected again.", "%(count)s letters are being collected again.", number
            )
            return _Done(number, "letters_collected_again", words, poll=True)
        case "pass":
            number = by_hand.pass_over(chosen)
            words = ngettext("%(count)s letter stays on the server.", "%(count)s letters stay on the server.", number)
            return _Done(number, "letters_passed_over", words)
        case "settle":
            number = by_hand.settle(chosen)
            words = ngettext(
                "%(count)s letter is treated as its rule says.",
                "%(count)s letters are treated as their rules say.",
                number,
            )
            return _Done(number, "letters_settled", words)
        case _:
            raise Http404
