"""The documentation that the panel carries with it: the rule line, its option words, the table of keep, flush and fetchall."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fetchrules.policy import TABLE
from fetchrules.wording import guide


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """One page; the table and the words come from the code that obeys them."""
    return render(request, "fetchrules/help.html", {"table": guide.table(TABLE), "options": guide.options()})
