"""Accounts and groups in Django's admin, and who may give rights there.

Only superusers give rights; other staff look after accounts that may do no more than they.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import ngettext

from fetchrules.acts import accounts as acts
from fetchrules.acts import roles
from fetchrules.acts.accounts import FieldChange
from fetchrules.admin.read_only import ListAdmin
from fetchrules.models import FetchRule
from fetchrules.panel import access
from fetchrules.words.events import ACCOUNT

admin.site.unregister(User)
admin.site.unregister(Group)

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
"""The fields of an account that give rights."""


class Noted(ListAdmin):
    """What is added, changed and deleted here is in the audit."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """The last that Django writes of an account or a group; what follows from it is in the same transaction."""
        super().save_related(request, form, formsets, change)
        # No dates: Django's forms lose their microseconds.
        names = [name for name in form.changed_data if name in ACCOUNT]
        changes = [FieldChange(name, _plain(form.initial.get(name)), _plain(form.cleaned_data[name])) for name in names]
        left = acts.note_saved(form.instance, changes if change else None, by=access.user_of(request))
        if left:
            self._say_left(request, left, form.initial["email"], form.instance)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_queryset(request, type(obj).objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        acts.delete_accounts(queryset, by=access.user_of(request))

    def _say_left(self, request: HttpRequest, left: list[FetchRule], former: str, owner: User) -> None:
        """Say which rules were switched off, because they deliver to the former address of their owner."""
        words = ngettext(
            "%(count)s rule of %(owner)s was switched off: it delivers to %(address)s. To go on, save it with the right address.",
            "%(count)s rules of %(owner)s were switched off: they deliver to %(address)s. To go on, save them with the right one.",
            len(left),
        ) % {"count": len(left), "owner": owner.get_username(), "address": former}
        where = f"{reverse('rules')}?{urlencode({'recipient': former})}"
        self.message_user(request, format_html('<a href="{}">{}</a>', where, words), messages.WARNING)


@admin.register(User)
class AccountAdmin(Noted, UserAdmin):  # type: ignore[type-arg]
    """Django's page of accounts."""

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Rights, to whoever is no superuser."""
        shown = tuple(str(name) for name in super().get_readonly_fields(request, obj))
        return shown if access.user_of(request).is_superuser else (*shown, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Of no account that may do more than they; the password is changed by the same permission."""
        return super().has_change_permission(request, obj) and _looks_after(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _looks_after(request, obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 -- Django's name
        """Django's page; that a password was set, or taken away, is noted."""
        with transaction.atomic():
            before = self.get_object(request, unquote(id))
            response = super().user_change_password(request, id, form_url)
            if before is not None and not User.objects.filter(pk=before.pk, password=before.password).exists():
                acts.note_password_set(before, by=access.user_of(request))
        return response


@admin.register(Group)
class RoleAdmin(Noted, GroupAdmin):
    """Django's page of groups, which give rights to all their members: for superusers to change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return access.user_of(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        return access.user_of(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:  # noqa: ARG002
        return access.user_of(request).is_superuser


def _looks_after(request: HttpRequest, account: User | None) -> bool:
    return account is None or roles.looks_after(access.user_of(request), account)


def _plain(value: object) -> str | bool:
    """The value of a field as the audit keeps it."""
    if isinstance(value, QuerySet | list):
        return ", ".join(sorted(_names(value)))
    return value if isinstance(value, bool) else "" if value is None else str(value)


def _names(values: Iterable[object]) -> Iterable[str]:
    """Permissions by the stable names that roles and the manual call them by."""
    for value in values:
        yield f"{value.content_type.app_label}.{value.codename}" if isinstance(value, Permission) else str(value)
