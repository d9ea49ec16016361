"""Who changed what, when: the writer's one function, and the page."""

from collections.abc import Sequence

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fetchrules.models import AuditEntry
from fetchrules.views import access
from fetchrules.wording import events

PAGE = 100


Noted = str | int | bool | Sequence[Sequence[object]]
"""A detail: one value, or for each field its name, and its values before and after."""


def record(request: HttpRequest, what: str, about: object = "", **detail: Noted) -> None:
    """Note a change made by the reader of this page. `what` is a word of `wording.events`; `detail` never holds a secret."""
    who = access.user_of(request).get_username()
    AuditEntry.objects.create(who=who, what=what, about=str(about)[:400], detail=detail)


@require_safe
@access.administrators_only
def index(request: HttpRequest) -> HttpResponse:
    """The audit, newest first, with a search over names."""
    query = request.GET.get("q", "").strip()
    entries = AuditEntry.objects.all()
    if query:
        entries = entries.filter(Q(who__icontains=query) | Q(about__icontains=query) | Q(what__icontains=query))
    page = Paginator(entries, PAGE).get_page(request.GET.get("page"))
    lines = [(entry, events.describe(entry.what), events.details(entry.detail)) for entry in page]
    return render(request, "fetchrules/audit.html", {"page": page, "lines": lines, "query": query})
