"""What is answered where a password would have to be read or saved and its key is not at hand: words, not a fault of ours."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fetchrules.errors import PasswordUnreadable
from fetchrules.words.failures import describe


class KeylessMiddleware:
    """Forms say so beside the field; the text of all rules, and what only moves a password, end here. Nothing was changed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass it on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The failure in words, where it is about a password that does not open; of anything else nothing."""
        if not isinstance(exception, PasswordUnreadable):
            return None
        return render(request, "fetchrules/keyless.html", {"failure": describe(exception.code)}, status=503)
