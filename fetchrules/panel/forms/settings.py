"""The form of the service's settings."""

import ipaddress
from collections.abc import Callable
from typing import Any, ClassVar

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Fieldset, Layout
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fetchrules.models import ServiceSettings
from fetchrules.notices import webhook
from fetchrules.panel.forms.crispy import Joined
from fetchrules.ruletext.validate import is_host_name
from fetchrules.words.settings import NAMES

_LINES = {"class": "field", "rows": 3, "spellcheck": "false"}
_SHORT = {"class": "field short"}


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
            "interval": forms.NumberInput(attrs={**_SHORT, "min": 1}),
            "per_host": forms.NumberInput(attrs={**_SHORT, "min": 1}),
            "journal_days": forms.NumberInput(attrs={**_SHORT, "min": 1}),
            "owner_rules": forms.NumberInput(attrs={**_SHORT, "min": 0}),
            "alert_after_failures": forms.NumberInput(attrs={**_SHORT, "min": 1}),
            "alert_after_hours": forms.NumberInput(attrs={**_SHORT, "min": 1}),
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

    def clean_interval(self) -> int:
        """At least a minute."""
        return self._at_least_one("interval")

    def clean_per_host(self) -> int:
        """At least one, or nothing would ever be polled."""
        return self._at_least_one("per_host")

    def clean_journal_days(self) -> int:
        """At least a day."""
        return self._at_least_one("journal_days")

    def clean_local_domains(self) -> str:
        """Host names, one in a line."""
        return self._lines("local_domains", is_host_name, gettext("Not a domain name: %(line)s"))

    def clean_alert_addresses(self) -> str:
        """E-mail addresses, one in a line."""
        return self._lines("alert_addresses", _is_address, gettext("Not an e-mail address: %(line)s"))

    def clean_alert_webhook(self) -> str:
        """An http or https address."""
        url: str = self.cleaned_data["alert_webhook"]
        try:
            if url:
                webhook.Hook.parse(url)
        except ValueError as error:
            raise ValidationError(gettext("Not an http or https address.")) from error
        return url

    def clean_owner_networks(self) -> str:
        """Networks, one in a line."""
        return self._lines("owner_networks", _is_network, gettext("Not a network: %(line)s"))

    def _at_least_one(self, name: str) -> int:
        value: int = self.cleaned_data[name]
        if value < 1:
            raise ValidationError(gettext("At least 1."))
        return value

    def _lines(self, name: str, proper: Callable[[str], bool], complaint: str) -> str:
        lines = self.cleaned_data[name].split()
        for line in lines:
            if not proper(line):
                raise ValidationError(complaint % {"line": line})
        return "\n".join(lines)


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


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
