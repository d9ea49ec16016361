"""A local mailbox that was replaced: the administrator says whether it is the right one."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from fetchrules import tasks
from fetchrules.errors import MaildirReplaced, VolumeMissing
from fetchrules.ledger import runs
from fetchrules.models import FetchRule
from fetchrules.panel import access
from fetchrules.panel.pages import audit
from fetchrules.poll import recovery
from fetchrules.poll.destinations import replaced


@require_http_methods(["GET", "HEAD", "POST"])
@access.editors_only
def adopt(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Ask, then deliver into what stands in the place of the rule's local mailbox now.

    Whoever confirms one on a volume that is missing confirms the volume for everybody: that is for administrators.
    """
    user = access.user_of(request)
    rule = get_object_or_404(access.editable_rules(user), id=rule_id)
    if not access.administers(user) and _is_volume_missing(rule):
        raise Http404
    if request.method != "POST":
        return render(request, "fetchrules/adopt.html", {"rule": rule})
    recovery.adopt(rule.recipient)
    stopped = (MaildirReplaced.code, VolumeMissing.code)
    affected = access.editable_rules(user).filter(last_error__in=stopped, recipient__iexact=rule.recipient)
    audit.record(request, "mailbox_adopted", rule)
    runs.ask_for_poll(FetchRule.objects.filter(id__in=affected.values("id")), timezone.now())
    tasks.wake()
    messages.success(request, _("Letters are delivered into it again; the rule is being polled now."))
    return redirect("rules")


def _is_volume_missing(rule: FetchRule) -> bool:
    """Whether its last poll missed the volume, or the next one would."""
    return rule.last_error == VolumeMissing.code or isinstance(replaced(rule.recipient), VolumeMissing)
