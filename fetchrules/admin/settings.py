"""The settings of the service in Django's admin: the panel's own form, saved by the same act."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from fetchrules.acts.settings import change_settings
from fetchrules.models import ServiceSettings
from fetchrules.panel import access
from fetchrules.panel.forms.settings import SettingsForm


@admin.register(ServiceSettings)
class ServiceSettingsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """The one row; what the form does not name is never written."""

    form = SettingsForm

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: ServiceSettings, form: Any, change: Any) -> None:  # noqa: ARG002
        change_settings(form.changed(), by=access.user_of(request))
