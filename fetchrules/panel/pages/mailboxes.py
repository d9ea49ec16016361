"""A local mailbox that was replaced: somebody who may change its rule says whether it is the right one."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from fetchrules.acts import mailboxes
from fetchrules.panel import access


@require_http_methods(["GET", "HEAD", "POST"])
@access.editors_only
def adopt(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Ask, then deliver into what stands in the place of the rule's local mailbox now."""
    user = access.user_of(request)
    rule = get_object_or_404(access.editable_rules(user), id=rule_id)
    if not mailboxes.may_adopt(user, rule):
        raise Http404
    if request.method != "POST":
        return render(request, "fetchrules/adopt.html", {"rule": rule})
    mailboxes.adopt(rule, by=user)
    messages.success(request, _("Letters are delivered into it again; the rule is being polled now."))
    return redirect("rules")
