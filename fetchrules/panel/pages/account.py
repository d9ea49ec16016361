"""One's own account: logging in and out, password, language, appearance."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fetchrules.panel.forms.account import LoginForm, PasswordForm, is_closed
from fetchrules.panel.params import back

_YEAR = 365 * 24 * 3600


class Login(views.LoginView):
    """The way in."""

    authentication_form = LoginForm

    def form_invalid(self, form: Any) -> HttpResponse:
        """Say why not."""
        return self.render_to_response(self.get_context_data(form=form), status=429 if is_closed(form) else 200)


class PasswordChange(views.PasswordChangeView):
    """A new password for oneself."""

    form_class = PasswordForm
    success_url = reverse_lazy("rules")
    template_name = "registration/password.html"

    def get_form_kwargs(self) -> dict[str, Any]:
        """The form counts what is tried."""
        return super().get_form_kwargs() | {"request": self.request}

    def form_invalid(self, form: Any) -> HttpResponse:
        """Say why not."""
        return self.render_to_response(self.get_context_data(form=form), status=429 if is_closed(form) else 200)

    def form_valid(self, form: Any) -> HttpResponse:
        """Change it, and say so."""
        response = super().form_valid(form)
        messages.success(self.request, _("The password is changed."))
        return response


@require_POST
@login_not_required
def theme(request: HttpRequest) -> HttpResponse:
    """Light, dark, or as the system: a cookie, since it belongs to the screen and not to the account."""
    response = redirect(back(request))
    chosen = request.POST.get("theme")
    if chosen in {"light", "dark"}:
        response.set_cookie("theme", chosen, max_age=_YEAR, samesite="Lax", httponly=True, secure=request.is_secure())
    else:
        response.delete_cookie("theme")
    return response
