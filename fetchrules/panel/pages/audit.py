"""Who changed what, when."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fetchrules.models import AuditEntry
from fetchrules.panel import access
from fetchrules.panel.params import page_of, search
from fetchrules.words import events

PAGE = 100


@require_safe
@access.administrators_only
def index(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    page = page_of(request, search(AuditEntry.objects.all(), query, "who", "about", "what"), PAGE)
    lines = [(entry, events.describe_event(entry.what), events.details(entry.detail)) for entry in page]
    return render(request, "fetchrules/audit.html", {"page": page, "lines": lines, "query": query})
