"""Style sheets, scripts and pictures, served by the panel itself: see docs/adr/0006-the-panel-serves-its-own-static-files.md."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.staticfiles.views import serve
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

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
