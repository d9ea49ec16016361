"""Django's admin, for those who live there: rules through the rule book, everything that happened to be looked at only."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fetchrules import tasks
from fetchrules.ledger import runs
from fetchrules.models import (
    Attempt,
    AuditEntry,
    Channel,
    FetchRule,
    Heartbeat,
    HourlyStat,
    Incident,
    Letter,
    LocalMarker,
    Notice,
    Revision,
    Run,
    ServiceSettings,
    SourceMailbox,
)
from fetchrules.models.rule import RemoteHost
from fetchrules.panel import access
from fetchrules.panel.forms.admin import FIELDSETS, RuleAdminForm
from fetchrules.panel.forms.refusal import REFUSALS
from fetchrules.panel.pages import audit
from fetchrules.policy import Fate, State
from fetchrules.rulebook.changes import changes_of
from fetchrules.rulebook.edits import Given, SourceTaken, delete_rules, set_rule, switch_rules, take_over
from fetchrules.rulebook.guard import UNSEEN, RuleChanged
from fetchrules.rulebook.ledgers import ledger_change
from fetchrules.words.states import FATES, LETTER_BADGES

admin.site.site_header = gettext_lazy("Mail collection from remote servers")
admin.site.site_title = gettext_lazy("Mail collection")


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Rows that the program writes: nobody adds, changes or deletes them by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- Django's signature
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Never."""
        return False


class Values(admin.AllValuesFieldListFilter):
    """The values that occur; the empty one, whose link would have no words, is called none."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """As Django wants them: with the words to show as `display`."""
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or _("none")}


@admin.register(FetchRule)
class FetchRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rules: changed through the rule book, so that their lines follow and they are polled at once."""

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
        except FetchRule.DoesNotExist as gone:
            raise Http404 from gone
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
        """Through the rule book; `obj` itself, already changed by the form, is only told its number."""
        row = FetchRule.objects.select_related("source").get(pk=obj.pk) if change else None
        wanted = form.wanted()
        changes = changes_of(row, wanted) if row else None
        said = form.cleaned_data
        seen = UNSEEN if said["seen"] is None else said["seen"]
        saved = set_rule(
            row,
            wanted,
            by=access.user_of(request),
            seen=seen if row else None,
            given=Given(said["owner"]),
            restricted=said["restricted"],
            other_mailbox=said["other_mailbox"],
        )
        obj.pk = saved.pk
        audit.record_saved(request, saved, row, changes, ledger_change(row.source if row else None, saved.source))

    def delete_model(self, request: HttpRequest, obj: FetchRule) -> None:
        """With its line."""
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        """With their lines."""
        self._delete(request, list(queryset))

    @admin.action(description=gettext_lazy("Poll now"), permissions=["change"])
    def poll_now(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        """Make them due."""
        asked = runs.ask_for_poll(queryset, timezone.now())
        tasks.wake()
        audit.record_each(request, "rule_poll_asked", asked)
        words = ngettext("%(count)s rule is being polled.", "%(count)s rules are being polled.", len(asked))
        self.message_user(request, words % {"count": len(asked)})

    @admin.action(description=gettext_lazy("Switch on"), permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        """Switch them on."""
        try:
            self._switch(request, queryset, on=True)
        except SourceTaken:
            message = _("Nothing was switched on: another rule reads the same remote mailbox and takes its mail away.")
            self.message_user(request, message, messages.ERROR)

    @admin.action(description=gettext_lazy("Switch off"), permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        """Switch them off."""
        self._switch(request, queryset, on=False)

    @admin.action(description=gettext_lazy("Take over"), permissions=["change"])
    def take_over(self, request: HttpRequest, queryset: QuerySet[FetchRule]) -> None:
        """Answer for those whose owner is gone."""
        try:
            taken = take_over(queryset, by=access.user_of(request))
        except FetchRule.DoesNotExist:
            self.message_user(request, _("The owners of these rules are all there."), messages.WARNING)
        else:
            audit.record_each(request, "rule_taken_over", taken)

    def _switch(self, request: HttpRequest, rules: QuerySet[FetchRule], *, on: bool) -> None:
        try:
            switched = switch_rules(rules, on=on, by=access.user_of(request))
        except FetchRule.DoesNotExist:  # deleted meanwhile, all of them
            return
        audit.record_each(request, "rule_switched_on" if on else "rule_switched_off", switched)

    def _delete(self, request: HttpRequest, rules: list[FetchRule]) -> None:
        audit.record_each(request, "rule_deleted", delete_rules(rules, by=access.user_of(request)))


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """The journal."""

    list_display = (
        *("claimed_at", "source", "recipient", "cause", "state"),
        *("found", "fetched", "deleted", "octets", "error"),
    )
    list_filter = ("state", "cause", ("error", Values))
    search_fields = ("source__user", "source__host", "recipient")
    list_select_related = ("source",)
    date_hierarchy = "claimed_at"
    exclude = ("token",)


@admin.register(Letter)
class LetterAdmin(ReadOnlyAdmin):
    """The ledger."""

    list_display = ("__str__", "sender", "source", "state_in_words", "fate_in_words", "size", "delivered_at")
    list_filter = ("state", "fate", "doubt", "maybe_twice")
    search_fields = ("subject", "sender", "uid", "message_id", "source__user", "source__host")
    list_select_related = ("source",)
    show_full_result_count = False

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def state_in_words(self, letter: Letter) -> str:
        return str(LETTER_BADGES[State(letter.state)].word)

    @admin.display(description=gettext_lazy("On the server"), ordering="fate")
    def fate_in_words(self, letter: Letter) -> str:
        return str(FATES[Fate(letter.fate)])


@admin.register(SourceMailbox)
class SourceMailboxAdmin(ReadOnlyAdmin):
    """Whose letters the ledger knows."""

    list_display = ("__str__", "protocol", "port", "folder", "listed_at")
    list_filter = ("protocol",)
    search_fields = ("host", "user")


@admin.register(RemoteHost)
class RemoteHostAdmin(ReadOnlyAdmin):
    """What is known of remote servers."""

    list_display = ("host", "wrong_sizes", "list_at_once", "shifted", "shifted_at")
    search_fields = ("host",)


@admin.register(HourlyStat)
class HourlyStatAdmin(ReadOnlyAdmin):
    """The counters."""

    list_display = ("hour", "rule", "runs", "failed", "fetched", "deleted", "octets", "milliseconds")
    list_select_related = ("rule",)
    date_hierarchy = "hour"


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    """The history of the text; the sealed passwords beside it stay out of sight."""

    list_display = ("created_at", "author", "version", "added", "changed", "removed", "note")
    exclude = ("passwords",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who changed what."""

    list_display = ("at", "who", "what", "about")
    list_filter = ("what",)
    search_fields = ("who", "about")
    date_hierarchy = "at"


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    """What somebody was told of."""

    list_display = ("__str__",)


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    """What each channel has told."""

    list_display = ("incident", "channel", "begun_at", "ended_at")


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin):
    """The ways by which notices go out."""

    list_display = ("name", "failures", "failing_since", "next_try_at", "detail")


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Tries that are counted, so that there are not too many."""

    list_display = ("at", "what", "who", "place")
    list_filter = ("what",)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """Who is alive."""

    list_display = ("part", "host", "started_at", "seen_at")


@admin.register(LocalMarker)
class LocalMarkerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The Maildirs that are known. Deleting one lets the next delivery accept whatever stands in its place."""

    list_display = ("path", "created_at")
    search_fields = ("path",)
    readonly_fields: ClassVar[Any] = ("path", "marker", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- Django's signature
        """Made by the first delivery only."""
        return False


@admin.register(ServiceSettings)
class ServiceSettingsAdmin(ReadOnlyAdmin):
    """The one row. It is changed on the panel's own page, which checks it, notes it, and writes no more than what was changed."""

    exclude = ("text_start", "text_tail")
