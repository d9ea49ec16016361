"""Who may see and change what. Every object of a page is looked up through these querysets: what is not in them is a 404."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from fetchrules.models import FetchRule, Letter, Run
from fetchrules.rulebook.scope import EVERYTHING, Scope

Reader = AbstractBaseUser | AnonymousUser
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def user_of(request: HttpRequest) -> User:
    """The one who is logged in; the middleware lets nobody else reach a page that asks."""
    assert isinstance(request.user, User)
    return request.user


def edits_all(user: Reader) -> bool:
    """An administrator: changes every rule, the text, the settings."""
    return isinstance(user, User) and user.is_active and (user.is_staff or user.has_perm("fetchrules.change_fetchrule"))


def runs_service(user: Reader) -> bool:
    """An administrator or an operator: polls and pauses every rule, starts and stops the service."""
    return edits_all(user) or (isinstance(user, User) and user.has_perm("fetchrules.run_service"))


def sees_all(user: Reader) -> bool:
    """Sees the rules and runs of everybody."""
    return runs_service(user) or (isinstance(user, User) and user.has_perm("fetchrules.view_fetchrule"))


def sees_passwords(user: Reader) -> bool:
    """May export passwords, after entering his own once more."""
    return isinstance(user, User) and user.has_perm("fetchrules.see_passwords")


def visible_rules(user: User) -> QuerySet[FetchRule]:
    """The rules that `user` may watch."""
    return FetchRule.objects.all() if sees_all(user) else FetchRule.objects.filter(owner=user)


def runnable_rules(user: User) -> QuerySet[FetchRule]:
    """The rules that `user` may poll, pause and resume."""
    return FetchRule.objects.all() if runs_service(user) else FetchRule.objects.filter(owner=user)


def editable_rules(user: User) -> QuerySet[FetchRule]:
    """The rules that `user` may change, switch and delete."""
    return FetchRule.objects.all() if edits_all(user) else FetchRule.objects.filter(owner=user)


def edits_rules(user: Reader) -> bool:
    """May add and change rules: an administrator all of them; an owner his own, if it is known which mailbox is his."""
    return edits_all(user) or (isinstance(user, User) and not sees_all(user) and bool(user.email))


def scope_of(user: User) -> Scope:
    """The rules whose text `user` may change."""
    return EVERYTHING if edits_all(user) else Scope(owner=user, recipient=user.email)


def visible_runs(user: User) -> QuerySet[Run]:
    """The runs that `user` may watch."""
    return Run.objects.all() if sees_all(user) else Run.objects.filter(rule__owner=user)


def visible_letters(user: User) -> QuerySet[Letter]:
    """The letters that `user` may watch."""
    return Letter.objects.all() if sees_all(user) else _letters_of(user)


def runnable_letters(user: User) -> QuerySet[Letter]:
    """The letters that `user` may have tried again or passed over."""
    return Letter.objects.all() if runs_service(user) else _letters_of(user)


def _letters_of(user: User) -> QuerySet[Letter]:
    """A rule that names folders reads several source mailboxes: its letters are also those of its runs."""
    return Letter.objects.filter(Q(source__rules__owner=user) | Q(run__rule__owner=user)).distinct()


def administrators_only(view: "View[P]") -> "View[P]":
    """Refuse everybody else."""
    return _only(edits_all, view)


def operators_only(view: "View[P]") -> "View[P]":
    """Refuse those who may not run the service."""
    return _only(runs_service, view)


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
