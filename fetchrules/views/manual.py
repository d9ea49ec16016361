"""The documentation that the panel carries with it: the rule line, its option words, the table of keep, flush and fetchall."""

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from fetchrules.policy import TABLE
from fetchrules.wording import guide


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """One page; the table and the words come from the code that obeys them."""
    return render(request, "fetchrules/help.html", {"table": guide.table(TABLE), "options": guide.options()})


@require_safe
def whole(request: HttpRequest) -> FileResponse:  # noqa: ARG001 -- Django's signature
    """The administrator's manual in the reader's language, as docs/ holds it."""
    file = settings.BASE_DIR / "docs" / f"manual.{get_language()}.md"
    return FileResponse(file.open("rb"), content_type="text/plain; charset=utf-8")
