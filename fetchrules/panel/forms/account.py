"""Logging in, changing one's own password, proving who one is."""

from collections.abc import Callable
from typing import Any

from crispy_forms.helper import FormHelper
from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fetchrules.acts import attempts
from fetchrules.acts.accounts import change_own_password
from fetchrules.rulebook.text import FileFormat


def _helper() -> FormHelper:
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True
    return helper


TOO_MANY = "too_many"
"""The code of the error that says so."""


def is_closed(form: forms.Form) -> bool:
    """Whether the password was not looked at, since too many were wrong."""
    return any(error.code == TOO_MANY for errors in form.errors.as_data().values() for error in errors)


class LoginForm(AuthenticationForm):
    """Django's with our layout; closed for a while to whoever guesses. A name is counted as it is compared: stripped and folded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django tells only the browser; the name is noted, and a column of ours holds no more.
        self.fields["username"].validators.append(MaxLengthValidator(self.username_field.max_length or 150))
        self.helper = _helper()

    def clean(self) -> dict[str, Any]:
        """Check the password for the name."""
        name, given = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not name or not given:
            return self.cleaned_data
        refused: list[ValidationError] = []

        def check() -> bool:
            try:
                super(LoginForm, self).clean()
            except ValidationError as error:
                refused.append(error)
            return not refused

        assert self.request is not None
        _counted(name, self.request, check, "login_refused")
        if refused:
            raise refused[0]
        return self.cleaned_data


class PasswordForm(PasswordChangeForm):
    """Django's with our layout; wrong passwords count as at the login."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.fields["new_password2"].help_text = ""
        self.helper = _helper()

    def clean_old_password(self) -> str:
        """The password, if it is the user's own."""
        password = str(self.cleaned_data["old_password"])
        if not _is_own(password, self.user, self.request):
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return password

    def save(self, commit: bool = True) -> User:  # noqa: ARG002 -- Django's signature
        """Set the new password, and note it."""
        user: User = self.user
        change_own_password(user, self.cleaned_data["new_password1"])
        return user


class ExportForm(forms.Form):
    """What to export with its passwords; whoever asks enters their own once more."""

    format = forms.ChoiceField(
        label=_("Format"), choices=FileFormat.choices, widget=forms.Select(attrs={"class": "field"})
    )
    password = forms.CharField(
        label=_("Your own password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, user: User, request: HttpRequest, **kwargs: Any) -> None:
        self.user = user
        self.request = request
        super().__init__(*args, **kwargs)
        self.helper = _helper()

    def clean_password(self) -> str:
        """The password, if it is the user's own."""
        password = str(self.cleaned_data["password"])
        if not _is_own(password, self.user, self.request):
            raise ValidationError(gettext("This is not your password."))
        return password


def _is_own(password: str, user: User, request: HttpRequest) -> bool:
    """Whether it is the password of `user`, who is logged in."""
    return _counted(user.get_username(), request, lambda: user.check_password(password), "password_refused")


def _counted(who: str, request: HttpRequest, check: Callable[[], bool], refusal: str) -> bool:
    """`attempts.is_right`, and what is said where there were too many."""
    try:
        return attempts.is_right(who, request.META["REMOTE_ADDR"], check, refusal)
    except attempts.TooMany as error:
        raise ValidationError(gettext("Too many attempts. Try again in 15 minutes."), code=TOO_MANY) from error
