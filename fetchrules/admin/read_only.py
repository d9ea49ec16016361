"""Lists in Django's admin, and the rows that the program writes and nobody changes there."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.acts.mailboxes import adopt
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
    SourceMailbox,
)
from fetchrules.models.rule import FetchedBefore, RemoteHost
from fetchrules.panel import access
from fetchrules.policy.known import Fate, State
from fetchrules.poll.destinations import paths_of
from fetchrules.words.states import FATES, LETTER_BADGES


class ListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """A number in the address that no column can hold (`?id__in=`) finds nothing."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            return super().changelist_view(request, extra_context)
        except OverflowError as error:
            raise Http404 from error


class Values(admin.AllValuesFieldListFilter):
    """The values that occur; the empty one, whose link would have no words, is called none."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or _("none")}


class ReadOnlyAdmin(ListAdmin):
    """Nobody adds, changes or deletes these rows by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False


@admin.register(LocalMarker)
class LocalMarkerAdmin(ReadOnlyAdmin):
    """The Maildirs that are known. One that was replaced is accepted as on its rule's own page."""

    list_display = ("path", "created_at")
    search_fields = ("path",)
    actions = ("adopt",)

    @admin.action(description=gettext_lazy("This is the right mailbox: deliver into what stands there now"))
    def adopt(self, request: HttpRequest, queryset: QuerySet[LocalMarker]) -> None:
        paths = set(queryset.values_list("path", flat=True))
        rules = {path: rule for rule in FetchRule.objects.all() for path in paths_of(rule) if path in paths}
        accepted = sum(adopt(rule, by=access.user_of(request)) for rule in rules.values())
        self.message_user(
            request, _("Local mailboxes that were accepted: %(count)s") % {"count": accepted}, messages.INFO
        )


@admin.register(Letter)
class LetterAdmin(ReadOnlyAdmin):
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


def _show(model: type[Model], **options: Any) -> None:
    admin.site.register(model, type(f"{model.__name__}Admin", (ReadOnlyAdmin,), options))


_show(
    Run,
    list_display=(
        *("claimed_at", "source", "recipient", "cause", "state"),
        *("found", "fetched", "deleted", "octets", "error"),
    ),
    list_filter=("state", "cause", ("error", Values)),
    search_fields=("source__user", "source__host", "recipient"),
    list_select_related=("source",),
    date_hierarchy="claimed_at",
    exclude=("token",),
)
_show(
    SourceMailbox,
    list_display=("__str__", "protocol", "port", "folder", "listed_at"),
    list_filter=("protocol",),
    search_fields=("host", "user"),
)
_show(
    RemoteHost,
    list_display=("host", "wrong_sizes", "list_at_once", "shifted", "shifted_at"),
    search_fields=("host",),
)
_show(
    HourlyStat,
    list_display=("hour", "rule", "runs", "failed", "fetched", "deleted", "octets", "milliseconds"),
    list_select_related=("rule",),
    date_hierarchy="hour",
)
_show(
    Revision,
    list_display=("created_at", "author", "version", "added", "changed", "removed", "note"),
    exclude=("passwords",),  # sealed, and nobody's to see
)
_show(
    AuditEntry,
    list_display=("at", "who", "what", "about"),
    list_filter=("what",),
    search_fields=("who", "about"),
    date_hierarchy="at",
)
_show(FetchedBefore, list_display=("source",))
_show(Incident, list_display=("__str__",))
_show(Notice, list_display=("incident", "channel", "begun_at", "ended_at"))
_show(Channel, list_display=("name", "failures", "failing_since", "next_try_at", "detail"))
_show(Attempt, list_display=("at", "what", "who", "place"), list_filter=("what",))
_show(Heartbeat, list_display=("part", "host", "started_at", "seen_at"))
