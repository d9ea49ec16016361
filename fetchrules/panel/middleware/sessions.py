"""Sessions: ended with the account, prolonged by what a person does and not by what a page does by itself."""

import logging
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

log = logging.getLogger(__name__)

REFRESH = "X-Refresh"
"""The header by which a page that keeps itself up to date says so (static/js)."""
STEP = timedelta(minutes=5)
"""A session is prolonged when so much of it is over: not with every request."""


class PersonsSessionMiddleware:
    """Behind AuthenticationMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session and not request.user.is_authenticated:
            request.session.flush()  # the account is gone, or inactive
        response = self.get_response(request)
        if REFRESH not in request.headers and response.status_code < 500 and SESSION_KEY in request.session:
            _prolong(request, response)
        return response


def _prolong(request: HttpRequest, response: HttpResponse) -> None:
    """By its row alone: its data, which another request may be writing, stay as they are."""
    now, key = timezone.now(), request.session.session_key
    until = now + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    grown_old = Session.objects.filter(session_key=key, expire_date__gt=now, expire_date__lt=until - STEP)
    try:
        if not grown_old.exists() or not grown_old.update(expire_date=until):
            return
    except DatabaseError as error:
        log.warning("a session was not prolonged: %s", error)
        return
    response.set_cookie(
        settings.SESSION_COOKIE_NAME,
        str(key),
        max_age=settings.SESSION_COOKIE_AGE,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=settings.SESSION_COOKIE_HTTPONLY,
        samesite="Lax",
    )
