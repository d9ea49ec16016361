"""The page of the service's settings."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from fetchrules.acts.settings import change_settings
from fetchrules.errors import DeliveryFailed
from fetchrules.models import Channel, ServiceSettings
from fetchrules.notices import channels
from fetchrules.notices.messages import reason, test_message
from fetchrules.panel import access
from fetchrules.panel.forms.settings import SettingsForm
from fetchrules.poll.destinations import look_at
from fetchrules.words import failures


@require_http_methods(["GET", "HEAD", "POST"])
@access.administrators_only
def edit(request: HttpRequest) -> HttpResponse:
    """Show and change them."""
    form = SettingsForm(request.POST or None, instance=ServiceSettings.current())
    if form.is_bound and form.is_valid():
        change_settings(form.changed(), by=access.user_of(request))
        messages.success(request, _("Saved. Changes take effect at once."))
        return redirect("settings")
    return render(request, "fetchrules/settings.html", {"form": form, "delivery": settings.UTM_MAIL_DELIVERY})


@require_POST
@access.administrators_only
def check_delivery(request: HttpRequest) -> HttpResponse:
    """Whether a local mailbox would take a letter now. Nothing is delivered."""
    recipient = request.POST.get("recipient", "").strip()
    try:
        look_at(recipient)
    except DeliveryFailed as error:
        failure = failures.describe(error.code)
        about = {"mailbox": recipient, "title": failure.title, "remedy": failure.remedy, "detail": error.detail}
        messages.error(request, _("%(mailbox)s: %(title)s. %(remedy)s (%(detail)s)") % about)
    else:
        messages.success(request, _("%(mailbox)s takes letters.") % {"mailbox": recipient})
    return redirect("settings")


@require_POST
@access.administrators_only
def check_notices(request: HttpRequest) -> HttpResponse:
    """Send a test notice by each channel that is set."""
    outcomes = channels.try_out(ServiceSettings.current(), test_message())
    for name, error in outcomes.items():
        about = {"channel": str(Channel.Name(name).label)}
        if error is None:
            messages.success(request, _("%(channel)s: a test notice was sent.") % about)
        else:
            about["reason"] = reason(str(error))
            messages.error(request, _("%(channel)s: the test notice did not get through. %(reason)s") % about)
    if not outcomes:
        messages.warning(request, _("Nobody is told: neither an address nor a webhook is set."))
    return redirect("settings")
