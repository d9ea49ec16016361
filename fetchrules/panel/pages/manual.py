"""The documentation that the panel carries with it: one page from the code that obeys it, and the manual as docs/ holds it."""

import re
from functools import partial

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from fetchrules.panel.markdown import html_of
from fetchrules.panel.pages import guide
from fetchrules.policy.table import TABLE

_OTHER = re.compile(r"manual\.(\w+)\.md")


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """One page; the table and the words come from the code that obeys them."""
    return render(request, "fetchrules/help.html", {"table": guide.table(TABLE), "options": guide.options()})


@require_safe
def whole(request: HttpRequest, language: str = "") -> HttpResponse:
    """The administrator's manual, in the reader's language if he names no other."""
    language = language or get_language() or settings.LANGUAGE_CODE
    text = (settings.MANUAL_DIR / f"manual.{language}.md").read_text(encoding="utf-8")
    context = {"manual": html_of(text, partial(_link, request.path)), "language": language}
    return render(request, "fetchrules/manual.html", context)


@require_safe
def picture(request: HttpRequest, name: str) -> FileResponse:  # noqa: ARG001 -- Django's signature
    """A picture of the manual."""
    pictures = {file.name: file for file in (settings.MANUAL_DIR / "images").iterdir()}
    if name not in pictures:
        raise Http404
    return FileResponse(pictures[name].open("rb"))


def _link(page: str, target: str) -> str | None:
    """Where `target`, seen from docs/, is in the panel; None for what is not in it."""
    if target.startswith("#"):
        return page + target
    if target.startswith("images/"):
        return reverse("manual_picture", args=[target.removeprefix("images/")])
    if other := _OTHER.fullmatch(target):
        return reverse("manual_in", args=[other[1]])
    return target if target.startswith("https://") else None
