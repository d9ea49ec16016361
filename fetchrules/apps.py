"""The Django application."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FetchRulesConfig(AppConfig):
    """Collection rules and what they did."""

    name = "fetchrules"
    verbose_name = _("Mail collection from remote servers")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from fetchrules import checks  # noqa: F401
