"""How the form of a rule is laid out."""

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Fieldset, Layout
from django.utils.translation import gettext_lazy as _

from fetchrules.panel.forms.layout import Advanced, Former, Joined


def rule_layout(*, administers: bool) -> FormHelper:
    """Sections in the order of thought: where from, who, where to, what, when, and the rest.

    `administers`: the restriction is shown.
    """
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True
    helper.layout = Layout(
        Fieldset(
            _("Remote server"),
            "provider",
            "server",
            Joined(_("Protocol, encryption, port"), "protocol", "encryption", "port", css_id="connection"),
            "sslcertck",
            *(["public_only"] if administers else []),
        ),
        Fieldset(_("Account"), "user", "password"),
        Fieldset(_("Delivery"), "recipient", Former()),
        Fieldset(_("Treatment of letters"), Field("treatment", template="utm/treatment.html"), "pass_present"),
        Fieldset(_("Schedule"), Joined(_("Poll every"), "interval", css_id="interval", tail=_("min")), "enabled"),
        Advanced(
            _("Limits, folders, pinned certificate"),
            Joined(_("Do not fetch letters larger than"), "limit", "limit_unit", css_id="limit"),
            "fetchlimit",
            Joined(_("Wait for the server"), "timeout", css_id="timeout", tail=_("s")),
            "folders",
            "uidl",
            "sslfingerprint",
            names=("limit", "fetchlimit", "timeout", "folders", "uidl", "sslfingerprint"),
        ),
    )
    return helper
