"""What the settings of the service are called."""

from django.utils.translation import gettext_lazy as _

NAMES = {
    "interval": _("Interval between mail checks"),
    "per_host": _("Connections to one server at a time"),
    "local_domains": _("Local mail domains"),
    "alert_addresses": _("Send alerts to"),
    "alert_webhook": _("Alert webhook"),
    "webhook_internal": _("The webhook may lead to an internal address"),
    "alert_after_failures": _("Alert after failures in a row"),
    "alert_after_hours": _("Alert after hours without success"),
    "journal_days": _("Keep the journal for"),
    "owner_rules": _("Rules per mailbox owner"),
    "owner_networks": _("Networks open to mailbox owners"),
}
