"""What a request may be: refused by what it says of itself, before any of it is read."""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from fetchrules.panel import access
from fetchrules.panel.params import number

USUAL = 1024 * 1024
"""Octets of a form; those of ten thousand ticked rules are a quarter of it."""


class RequestLimitMiddleware:
    """Behind AuthenticationMiddleware. A body without a length is none: Django reads no more than `Content-Length` says.

    No text of ours holds a NUL, and PostgreSQL takes none to search for; in bodies, the fields of forms refuse it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("a NUL in the query")
        size = number(request.META.get("CONTENT_LENGTH") or "0")
        if size is None or (size > USUAL and size > _most(request)):
            return render(request, "413.html", status=413)
        return self.get_response(request)


def _most(request: HttpRequest) -> int:
    """The text of all rules may be larger, for those who may edit it."""
    user = request.user
    if request.path_info == reverse("text") and user.is_authenticated and access.edits_all(user):
        return settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return USUAL
