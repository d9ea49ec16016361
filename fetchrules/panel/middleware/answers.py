"""What the panel adds to answers: security headers, static files, and pages for what an act could not do or a failed database."""

import sys
from collections.abc import Callable

from django.conf import settings
from django.contrib.staticfiles.views import serve
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseServerError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string

from fetchrules.errors import PasswordUnreadable
from fetchrules.models import FetchRule, Run
from fetchrules.poll.outlasting import DATABASE_AWAY
from fetchrules.words.failures import describe

_UNUSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "encrypted-media",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "screen-wake-lock",
    "usb",
    "xr-spatial-tracking",
)
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _UNUSED),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": settings.X_FRAME_OPTIONS,
    "Cache-Control": "no-store",
}
"""No inline script or style, no framing, nothing for other sites, nothing kept by caches except what says so itself."""


class SecurityHeadersMiddleware:
    """Stands before all that may refuse a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


_KEPT = "public, max-age=300"


class StaticFilesMiddleware:
    """Answers for what lies below STATIC_URL before hosts' names and sessions are looked at: pages of refusals need style too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(settings.STATIC_URL):
            return self.get_response(request)
        if request.method not in {"GET", "HEAD"} or "\0" in request.path:
            raise Http404
        response = serve(request, request.path.removeprefix(settings.STATIC_URL), insecure=True)
        response.headers["Cache-Control"] = _KEPT
        return response


class FailedActMiddleware:
    """Answers if an act did nothing and its page has no words for it: the rule or poll is gone, or a password does not open."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, FetchRule.DoesNotExist | Run.DoesNotExist):
            raise Http404 from exception
        if not isinstance(exception, PasswordUnreadable):
            return None
        return render(request, "fetchrules/keyless.html", {"failure": describe(exception.code)}, status=503)


RETRY_SECONDS = 30


def failed(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 -- Django's signature
    """Django calls this (`handler500`) while it handles the exception, wherever it came from: a view, a session, a template.

    The templates get no request: their context processors would ask the database who is logged in.
    """
    if isinstance(sys.exception(), DATABASE_AWAY):
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return HttpResponse(render_to_string("503.html"), status=503, headers=headers)
    return HttpResponseServerError(render_to_string("500.html"))
