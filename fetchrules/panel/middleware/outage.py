"""The page for a request that failed: where the database is to blame, one that needs no database and says so."""

import sys

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.template.loader import render_to_string

from fetchrules.poll.outlasting import DATABASE_AWAY

RETRY_SECONDS = 30


def failed(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 -- Django's signature
    """Django calls this (`handler500`) while it handles the exception, wherever it came from: a view, a session, a template.

    The templates get no request: their context processors would ask the database who is logged in.
    """
    if isinstance(sys.exception(), DATABASE_AWAY):
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return HttpResponse(render_to_string("503.html"), status=503, headers=headers)
    return HttpResponseServerError(render_to_string("500.html"))
