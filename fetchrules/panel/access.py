"""Who may open a page. Every object of a page is looked up through the querysets of `roles`: what is not in them is a 404."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from fetchrules.acts.roles import Reader, administers, edits_all, edits_rules, runs_service

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def user_of(request: HttpRequest) -> User:
    """The one who is logged in; the middleware lets nobody else reach a page that asks."""
    assert isinstance(request.user, User)
    return request.user


def administrators_only(view: "View[P]") -> "View[P]":
    return _only(administers, view)


def operators_only(view: "View[P]") -> "View[P]":
    """Refuse those who may not run the service."""
    return _only(runs_service, view)


def text_editors_only(view: "View[P]") -> "View[P]":
    """Refuse those who may not change every rule."""
    return _only(edits_all, view)


def editors_only(view: "View[P]") -> "View[P]":
    """Refuse those who may only watch and run."""
    return _only(edits_rules, view)


def _only(allowed: Callable[[Reader], bool], view: "View[P]") -> "View[P]":
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not allowed(request.user):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded
