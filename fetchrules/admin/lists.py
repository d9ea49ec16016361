"""Lists in Django's admin: a filter that has words for everything, and addresses that nobody's number breaks."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _


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
