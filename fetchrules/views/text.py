"""The text of all rules."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def edit(request: HttpRequest) -> HttpResponse:
    """The page."""
    return render(request, "fetchrules/text.html")
