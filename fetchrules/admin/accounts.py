"""Accounts and groups in Django's admin: who may give rights, what the audit says of it, and what follows from a change.

Only superusers give rights; other staff look after accounts that may do no more than they. One that is deactivated or deleted is
logged out everywhere, for good; rules that deliver to the former address of their owner are switched off.
"""

from collections.abc import Iterable
from typing import Any, ClassVar
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

from fetchrules import roles
from fetchrules.acts.sessions import end_sessions
from fetchrules.panel import access
from fetchrules.panel.pages import audit
from fetchrules.rulebook.addresses import leave
from fetchrules.words.events import ACCOUNT

admin.site.unregister(User)
admin.site.unregister(Group)

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
"""The fields of an account that give rights."""


class Noted(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """What is added, changed and deleted here is in the audit. `noted` begins the words of its events."""

    noted: ClassVar[str]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """The last that is written: note all of it."""
        super().save_related(request, form, formsets, change)
        changed = [
            name for name in form.changed_data if name in ACCOUNT
        ]  # no dates: Django's forms lose their microseconds
        if not change:
            audit.record(request, f"{self.noted}_added", form.instance)
        elif changed:
            fields = [[name, _plain(form.initial.get(name)), _plain(form.cleaned_data[name])] for name in changed]
            audit.record(request, f"{self.noted}_changed", form.instance, account=fields)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete and note it."""
        super().delete_model(request, obj)
        audit.record(request, f"{self.noted}_deleted", obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """The same for several."""
        deleted = list(queryset)
        super().delete_queryset(request, queryset)
        for each in deleted:
            audit.record(request, f"{self.noted}_deleted", each)


@admin.register(User)
class AccountAdmin(Noted, UserAdmin):  # type: ignore[type-arg]
    """Django's page of accounts."""

    noted = "account"

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Rights, to whoever is no superuser."""
        shown = tuple(str(name) for name in super().get_readonly_fields(request, obj))
        return shown if access.user_of(request).is_superuser else (*shown, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Of no account that may do more than they; the password is changed by the same permission."""
        return super().has_change_permission(request, obj) and _looks_after(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """The same."""
        return super().has_delete_permission(request, obj) and _looks_after(request, obj)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: Any) -> None:
        """Save it. Whoever is inactive now is logged out."""
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            end_sessions([obj.pk])

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """And what the rights, which are written here, and the address mean for the rules."""
        super().save_related(request, form, formsets, change)
        if change and "email" in form.changed_data:
            self._leave(request, form.initial["email"], User.objects.get(pk=form.instance.pk))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 -- Django's name
        """Django's page; that a password was set, or taken away, is noted."""
        with transaction.atomic():
            before = self.get_object(request, unquote(id))
            response = super().user_change_password(request, id, form_url)
            if before is not None and not User.objects.filter(pk=before.pk, password=before.password).exists():
                audit.record(request, "account_password_set", before)
        return response

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Log them out, then delete the account."""
        end_sessions([obj.pk])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """The same for several accounts."""
        end_sessions(list(queryset.values_list("pk", flat=True)))
        super().delete_queryset(request, queryset)

    def _leave(self, request: HttpRequest, former: str, owner: User) -> None:
        """Switch off what delivers to the former address, and say so."""
        left = leave(former, owner, by=access.user_of(request))
        if not left:
            return
        audit.record_each(request, "rule_switched_off", left)
        words = ngettext(
            "%(count)s rule of %(owner)s was switched off: it delivers to %(address)s. To go on, save it with the right address.",
            "%(count)s rules of %(owner)s were switched off: they deliver to %(address)s. To go on, save them with the right one.",
            len(left),
        ) % {"count": len(left), "owner": owner.get_username(), "address": former}
        where = f"{reverse('rules')}?{urlencode({'recipient': former})}"
        self.message_user(request, format_html('<a href="{}">{}</a>', where, words), messages.WARNING)


@admin.register(Group)
class RoleAdmin(Noted, GroupAdmin):
    """Django's page of groups, which give rights to all their members: for superusers to change."""

    noted = "group"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers only."""
        return access.user_of(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        """Superusers only."""
        return access.user_of(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:  # noqa: ARG002
        """Superusers only."""
        return access.user_of(request).is_superuser


def _looks_after(request: HttpRequest, account: User | None) -> bool:
    return account is None or roles.looks_after(access.user_of(request), account)


def _plain(value: object) -> object:
    """The value of a field as the audit keeps it."""
    if isinstance(value, QuerySet | list):
        return ", ".join(sorted(_names(value)))
    return value if isinstance(value, bool) else "" if value is None else str(value)


def _names(values: Iterable[object]) -> Iterable[str]:
    """Permissions by the stable names that roles and the manual call them by."""
    for value in values:
        yield f"{value.content_type.app_label}.{value.codename}" if isinstance(value, Permission) else str(value)
