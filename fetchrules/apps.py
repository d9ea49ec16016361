"""The Django application."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FetchRulesConfig(AppConfig):
    name = "fetchrules"
    verbose_name = _("Mail collection from remote servers")

    def ready(self) -> None:
        from fetchrules import checks  # noqa: F401 -- registers the system checks
