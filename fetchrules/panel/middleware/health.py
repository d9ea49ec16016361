"""Two addresses for those who watch from outside: `/healthz`, this process answers; `/readyz`, the installation does its work.

They answer whoever asks, by whatever name and way, before sessions, host names and TLS are looked at. Strangers get one word, a
logged-in administrator the reasons. A database that hangs holds up an answer for PATIENCE at most: it is asked in a thread.
"""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread

import django.db
from django.conf import settings
from django.contrib.auth import get_user
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from fetchrules.acts import roles
from fetchrules.panel.pages.service import Service
from fetchrules.secrets.sealed import rules_without_key
from fetchrules.secrets.sealing import key_ring

Check = Callable[[datetime], Iterable[str]]
"""Yields, in words, each reason why not. Raises DatabaseError."""


def migrations(now: datetime) -> Iterable[str]:  # noqa: ARG001 -- a Check
    missing = _of_this_version() - set(MigrationRecorder(connection).applied_migrations())
    if missing:
        yield _(
            "The database is older than the program; migrations are missing: %(names)s. To start them: migrate."
        ) % {"names": ", ".join(sorted(f"{app}.{name}" for app, name in missing))}


def keys(now: datetime) -> Iterable[str]:  # noqa: ARG001 -- a Check
    """Passwords need their keys. Without passwords there need be no key: the first one is made when it is needed."""
    try:
        if missing := rules_without_key(key_ring()):
            yield _("The passwords of %(count)s rules have no key at hand.") % {"count": missing}
    except (ValueError, OSError) as error:
        yield _("The password keys cannot be read: %(reason)s.") % {"reason": error}


def service(now: datetime) -> Iterable[str]:
    """The same as the panel's service strip."""
    return Service.read(now).reasons


CHECKS: tuple[Check, ...] = (migrations, keys, service)


def reasons(now: datetime) -> list[str]:
    """All reasons why not. Without the right tables, no further check runs."""
    found: list[str] = []
    for check in CHECKS:
        found += check(now)
        if found and check is migrations:
            break
    return found


@cache
def _of_this_version() -> set[tuple[str, str]]:
    return set(MigrationLoader(None).disk_migrations)


PATIENCE = 5.0
"""Seconds."""
_AT_A_TIME = BoundedSemaphore(4)
"""However many ask while the database hangs, no more threads than these wait for it."""


class HealthMiddleware:
    """Stands before everything that may refuse."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        match request.path_info:
            case "/healthz":
                return _plain("ok", 200)
            case "/readyz":
                return _ready(request)
            case _:
                return self.get_response(request)


@dataclass(frozen=True, slots=True)
class _Found:
    """What stands against it, and whether the reader may know."""

    reasons: tuple[str, ...]
    reader_may_know: bool = False


def _ready(request: HttpRequest) -> HttpResponse:
    found = _within_patience(request)
    if found is not None and not found.reasons:
        return _plain("ready", 200)
    told = found.reasons if found is not None and found.reader_may_know else ()
    return _plain("\n".join(("not ready", *told)), 503)


def _within_patience(request: HttpRequest) -> _Found | None:
    """None where there was no answer in time."""
    answers: SimpleQueue[_Found] = SimpleQueue()
    if not _AT_A_TIME.acquire(timeout=PATIENCE):
        return None
    try:
        Thread(target=_ask, args=(request, answers), name="readyz", daemon=True).start()
    except RuntimeError:  # no thread can be had now
        _AT_A_TIME.release()
        return None
    try:
        return answers.get(timeout=PATIENCE)
    except Empty:
        return None


def _ask(request: HttpRequest, answers: "SimpleQueue[_Found]") -> None:
    try:
        with translation.override(translation.get_language_from_request(request)):
            answers.put(_look(request))
    finally:
        django.db.connections.close_all()
        _AT_A_TIME.release()


def _look(request: HttpRequest) -> _Found:
    try:
        found = reasons(timezone.now())
    except (django.db.Error, sqlite3.Error) as error:
        return _Found((_("The database does not answer: %(reason)s.") % {"reason": error},), _administers(request))
    return _Found(tuple(found), bool(found) and _administers(request))


def _administers(request: HttpRequest) -> bool:
    """False where the database, which knows, is the one that fails."""
    sessions = import_module(settings.SESSION_ENGINE)
    request.session = sessions.SessionStore(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    try:
        return roles.administers(get_user(request))
    except (django.db.Error, sqlite3.Error):
        return False


def _plain(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
