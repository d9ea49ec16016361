"""Accounts in Django's admin: one that is deactivated or deleted is logged out everywhere, for good."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from fetchrules.sessions import end_sessions

admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Django's page of accounts; it ends their sessions, too."""

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: Any) -> None:
        """Save it. Whoever is inactive now is logged out."""
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            end_sessions([obj.pk])

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Log them out, then delete the account."""
        end_sessions([obj.pk])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """The same for several accounts."""
        end_sessions(list(queryset.values_list("pk", flat=True)))
        super().delete_queryset(request, queryset)
