"""The form of the service's settings."""

from typing import Any, ClassVar

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Fieldset, Layout
from django import forms
from django.utils.translation import gettext_lazy as _

from fetchrules.acts.settings import AT_MOST, SettingInvalid, checked
from fetchrules.models import ServiceSettings
from fetchrules.panel.forms.crispy import Joined
from fetchrules.words.events import SETTINGS as NAMES

_LINES = {"class": "field", "rows": 3, "spellcheck": "false"}
_NUMBER = {"class": "field short", "min": 1, "max": AT_MOST}
_COMPLAINTS = {
    "local_domains": _("Not a domain name: %(line)s"),
    "alert_addresses": _("Not an e-mail address: %(line)s"),
    "alert_webhook": _("Not an http or https address."),
    "owner_networks": _("Not a network: %(line)s"),
}
_OUT_OF_BOUNDS = _("From 1 to %(most)s.")


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """What administrators set for the whole service."""

    class Meta:
        model = ServiceSettings
        fields = (
            "interval",
            "per_host",
            "local_domains",
            "alert_addresses",
            "alert_webhook",
            "webhook_internal",
            "alert_after_failures",
            "alert_after_hours",
            "journal_days",
            "owner_rules",
            "owner_networks",
        )
        labels: ClassVar = NAMES
        help_texts: ClassVar = {
            "interval": _("5–15 minutes are recommended. A rule may have its own"),
            "local_domains": _("One in a line. Empty: any domain. Example: mydomain.ru"),
            "alert_addresses": _("One in a line. One letter when a failure begins, one when it ends"),
            "webhook_internal": _("Without it, notices are posted to public addresses only, on any port"),
            "owner_networks": _(
                "Owners' rules connect to public addresses only; networks that are allowed besides, one in a line. "
                "Example: 192.168.10.0/24"
            ),
        }
        widgets: ClassVar = {
            "interval": forms.NumberInput(attrs=_NUMBER),
            "per_host": forms.NumberInput(attrs=_NUMBER),
            "journal_days": forms.NumberInput(attrs=_NUMBER),
            "owner_rules": forms.NumberInput(attrs={"class": "field short", "min": 0}),
            "alert_after_failures": forms.NumberInput(attrs=_NUMBER),
            "alert_after_hours": forms.NumberInput(attrs=_NUMBER),
            "local_domains": forms.Textarea(attrs=_LINES),
            "alert_addresses": forms.Textarea(attrs=_LINES),
            "owner_networks": forms.Textarea(attrs=_LINES),
        }

    alert_webhook = forms.URLField(
        label=NAMES["alert_webhook"],
        required=False,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"class": "field wide"}),
        help_text=_("Receives the same as JSON. Example: https://example.org/hook"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = _helper()

    def clean(self) -> dict[str, Any]:
        """By the checks of the act, so that what is refused is said at its field."""
        data = super().clean() or self.cleaned_data
        for name, value in list(data.items()):
            try:
                data[name] = checked(name, value)
            except SettingInvalid as error:
                self.add_error(name, _COMPLAINTS.get(name, _OUT_OF_BOUNDS) % {"line": error.wrong, "most": AT_MOST})
        return data

    def changed(self) -> dict[str, object]:
        """The new values of the settings that were changed."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


def _helper() -> FormHelper:
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True
    helper.layout = Layout(
        Fieldset(
            _("Polling"),
            Joined(NAMES["interval"], "interval", css_id="interval", tail=_("min")),
            "per_host",
        ),
        Fieldset(_("Delivery"), "local_domains"),
        Fieldset(
            _("Alerts"),
            "alert_addresses",
            "alert_webhook",
            "webhook_internal",
            "alert_after_failures",
            "alert_after_hours",
        ),
        Fieldset(_("Journal"), Joined(NAMES["journal_days"], "journal_days", css_id="journal", tail=_("days"))),
        Fieldset(_("Mailbox owners"), "owner_rules", "owner_networks"),
    )
    return helper
