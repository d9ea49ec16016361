"""Logging in, changing one's own password, proving who one is."""

from typing import Any

from crispy_forms.helper import FormHelper
from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fetchrules.wording.formats import NAMES


def _helper() -> FormHelper:
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True
    return helper


class LoginForm(AuthenticationForm):
    """Django's, in our clothes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = _helper()


class PasswordForm(PasswordChangeForm):
    """Django's, in our clothes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password2"].help_text = ""
        self.helper = _helper()


class ExportForm(forms.Form):
    """What to export with its passwords; the one who asks proves who he is."""

    format = forms.ChoiceField(label=_("Format"), choices=NAMES, widget=forms.Select(attrs={"class": "field"}))
    password = forms.CharField(
        label=_("Your own password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)
        self.helper = _helper()

    def clean_password(self) -> str:
        """His password, right now."""
        password = str(self.cleaned_data["password"])
        if not self.user.check_password(password):
            raise ValidationError(gettext("This is not your password."))
        return password
