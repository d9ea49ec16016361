"""Rules in Django's admin."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fetchrules.acts import rules as acts
from fetchrules.acts.writer import UNSEEN, RuleChanged, SourceTaken
from fetchrules.admin.read_only import ListAdmin, Values
from fetchrules.models import FetchRule
from fetchrules.panel import access
from fetchrules.panel.forms.admin import FIELDSETS, RuleAdminForm
from fetchrules.panel.forms.saving import REFUSALS


@admin.register(FetchRule)
class FetchRuleAdmin(ListAdmin):
    """Changed by the acts, so that the text follows and they are polled at once."""

    form = RuleAdminForm
    list_display = (
        *("__str__", "protocol", "encryption", "enabled"),
        *("pause", "last_error", "last_polled_at", "next_poll_at"),
    )
    list_filter = ("enabled", "pause", ("last_error", Values), "protocol", "encryption", "tls_seen")
    search_fields = ("server", "user", "recipient")
    list_select_related = ("source",)
    actions = ("poll_now", "switch_on", "switch_off", "take_over")
    fieldsets = FIELDSETS

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """As usual; what only the rule book can refuse is said in the form, as it was filled in."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except (RuleChanged, *REFUSALS) as refused:
            request.refused = refused  # type: ignore[attr-defined]  # for get_form alone
            return super().changeform_view(request, *args, **kwargs)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> type[RuleAdminForm]:
        """One that says what the rule book has refused."""
        form = super().get_form(request, *args, **kwargs)
        assert issubclass(form, RuleAdminForm)
        form.refused = getattr(request, "refused", None)
        return form

    def save_model(self, request: HttpRequest, obj: FetchRule, form: Any, change: Any) -> None:
        """`obj` was changed by the form already; it is only told its number."""
        row = FetchRule.objects.select_related("source").get(pk=obj.pk) if change else None
        said = form.cleaned_data
        seen = UNSEEN if said["seen"] is None else said["seen"]
        saved = acts.set_rule(
            row,
            form.wanted(),
            by=access.user_of(request),
            seen=seen if row else None,
            given=acts.Given(said["owner"]),
            restricted=said["restricted"],
            other_mailbox=said["other_mailbox"],
        )
        obj.pk = saved.pk

    def response_action(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> HttpResponse | None:
        """As usual; nothing is done where all of the rules were deleted meanwhile."""
        try:
            return super().response_action(request, queryset)
        except FetchRule.DoesNotExist:
            return None

    def delete_model(self, request: HttpRequest, obj: FetchRule) -> None:
        acts.delete_rules([obj], by=access.user_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        acts.delete_rules(queryset, by=access.user_of(request))

    @admin.action(description=gettext_lazy("Poll now"), permissions=["change"])
    def poll_now(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        asked = acts.poll_rules(queryset, by=access.user_of(request))
        words = ngettext("%(count)s rule is being polled.", "%(count)s rules are being polled.", len(asked))
        self.message_user(request, words % {"count": len(asked)})

    @admin.action(description=gettext_lazy("Switch on"), permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        try:
            acts.switch_rules(queryset, on=True, by=access.user_of(request))
        except SourceTaken:
            message = _("Nothing was switched on: another rule reads the same remote mailbox and takes its mail away.")
            self.message_user(request, message, messages.ERROR)

    @admin.action(description=gettext_lazy("Switch off"), permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        acts.switch_rules(queryset, on=False, by=access.user_of(request))

    @admin.action(description=gettext_lazy("Take over"), permissions=["change"])
    def take_over(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        try:
            acts.take_over(queryset, by=access.user_of(request))
        except FetchRule.DoesNotExist:
            self.message_user(request, _("The owners of these rules are all there."), messages.WARNING)
