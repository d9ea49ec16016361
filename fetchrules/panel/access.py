"""Who may see and change what. Every object of a page is looked up through these querysets: what is not in them is a 404."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from fetchrules.models import FetchRule, HourlyStat, Letter, Run
from fetchrules.roles import (
    Reader,
    administers,
    editable_rules,
    edits_all,
    edits_rules,
    runs_service,
    sees_all,
    sees_passwords,
)

__all__ = [
    "Reader",
    "administers",
    "administrators_only",
    "editable_rules",
    "editors_only",
    "edits_all",
    "edits_rules",
    "operators_only",
    "runnable_letters",
    "runnable_rules",
    "runnable_runs",
    "runs_service",
    "sees_all",
    "sees_passwords",
    "text_editors_only",
    "user_of",
    "visible_hours",
    "visible_letters",
    "visible_rules",
    "visible_runs",
]

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def user_of(request: HttpRequest) -> User:
    """The one who is logged in; the middleware lets nobody else reach a page that asks."""
    assert isinstance(request.user, User)
    return request.user


def visible_rules(user: User) -> QuerySet[FetchRule]:
    """The rules that `user` may watch."""
    return FetchRule.objects.all() if sees_all(user) else FetchRule.objects.filter(owner=user)


def runnable_rules(user: User) -> QuerySet[FetchRule]:
    """The rules that `user` may poll, pause and resume."""
    return FetchRule.objects.all() if runs_service(user) else FetchRule.objects.filter(owner=user)


def visible_runs(user: User) -> QuerySet[Run]:
    """The runs that `user` may watch: an owner those since a rule is theirs."""
    return (
        Run.objects.all() if sees_all(user) else Run.objects.filter(_own_time("rule", "claimed_at"), rule__owner=user)
    )


def visible_hours(user: User) -> QuerySet[HourlyStat]:
    """The counters that `user` may watch; an owner's begin with the first whole hour in which a rule was theirs."""
    hours = HourlyStat.objects.all()
    return hours if sees_all(user) else hours.filter(_own_time("rule", "hour"), rule__owner=user)


def runnable_runs(user: User) -> QuerySet[Run]:
    """The runs that `user` may stop: whoever runs the service also those whose rule is gone."""
    return Run.objects.all() if runs_service(user) else Run.objects.filter(rule__owner=user)


def visible_letters(user: User) -> QuerySet[Letter]:
    """The letters that `user` may watch."""
    return Letter.objects.all() if sees_all(user) else _letters_of(user)


def runnable_letters(user: User) -> QuerySet[Letter]:
    """The letters that `user` may have tried again or passed over."""
    return Letter.objects.all() if runs_service(user) else _letters_of(user)


def _letters_of(user: User) -> QuerySet[Letter]:
    """A rule that names folders reads several source mailboxes: its letters are also those of its runs.

    What was taken charge of before a rule was given to them, or by a poll that began before, is not theirs.
    """
    given = F("source__rules__given_at")
    own_run = Q(source__rules__given_at=None) | Q(run=None) | Q(run__claimed_at__gte=given)
    of_mailbox = Q(source__rules__owner=user) & _own_time("source__rules", "first_seen_at") & own_run
    of_run = Q(run__rule__owner=user) & _own_time("run__rule", "run__claimed_at")
    return Letter.objects.filter(of_mailbox | of_run).distinct()


def _own_time(rule: str, moment: str) -> Q:
    """That `moment` is not before the rule was given to its owner. `rule` is the way to it."""
    return Q(**{f"{rule}__given_at": None}) | Q(**{f"{moment}__gte": F(f"{rule}__given_at")})


def administrators_only(view: "View[P]") -> "View[P]":
    """Refuse everybody else."""
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
