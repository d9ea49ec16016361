"""Statistics."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def index(request: HttpRequest) -> HttpResponse:
    """The page."""
    return render(request, "fetchrules/statistics.html")
