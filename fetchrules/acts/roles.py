"""Who may do what with rules: administrators, editors, operators, watchers, and owners of one local mailbox.

An administrator (staff, or a superuser) may do everything. An editor (`change_fetchrule`) changes every rule and the text, and
nothing else: no settings, no notices, no networks, no restriction of a rule. An owner (a plain user with an e-mail address)
has rules of their own that deliver to that address.
"""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet

from fetchrules.models import FetchRule, HourlyStat, Letter, Run

Reader = AbstractBaseUser | AnonymousUser


def as_stored(user: User) -> User:
    """The account with the rights that it has at this moment. Raises PermissionDenied if it is deleted."""
    stored = User.objects.filter(id=user.pk).first()
    if stored is None:
        raise PermissionDenied
    return stored


def administers(user: Reader) -> bool:
    return isinstance(user, User) and user.is_active and (user.is_staff or user.is_superuser)


def edits_all(user: Reader) -> bool:
    """An administrator or an editor: changes every rule and the text."""
    return administers(user) or (isinstance(user, User) and user.has_perm("fetchrules.change_fetchrule"))


def runs_service(user: Reader) -> bool:
    """An administrator, an editor or an operator: polls and pauses every rule, starts and stops the service."""
    return edits_all(user) or (isinstance(user, User) and user.has_perm("fetchrules.run_service"))


def sees_all(user: Reader) -> bool:
    """Sees the rules and runs of everybody."""
    return runs_service(user) or (isinstance(user, User) and user.has_perm("fetchrules.view_fetchrule"))


def sees_passwords(user: Reader) -> bool:
    """May export passwords, after entering their own once more."""
    return isinstance(user, User) and user.has_perm("fetchrules.see_passwords")


def edits_rules(user: Reader) -> bool:
    """May add and change rules: an editor all of them, an owner their own if their account has an e-mail address."""
    owns = isinstance(user, User) and user.is_active and bool(user.email)
    return edits_all(user) or (owns and not sees_all(user))


def editable_rules(user: User) -> QuerySet[FetchRule]:
    """The rules that `user` may change, switch and delete."""
    return FetchRule.objects.all() if edits_all(user) else FetchRule.objects.filter(owner=user)


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
    """The letters of an owner's source mailboxes and runs: a rule with folders reads several source mailboxes.

    Letters from the time before the rule was given to them are not theirs.
    """
    given = F("source__rules__given_at")
    own_run = Q(source__rules__given_at=None) | Q(run=None) | Q(run__claimed_at__gte=given)
    of_mailbox = Q(source__rules__owner=user) & _own_time("source__rules", "first_seen_at") & own_run
    of_run = Q(run__rule__owner=user) & _own_time("run__rule", "run__claimed_at")
    return Letter.objects.filter(of_mailbox | of_run).distinct()


def _own_time(rule: str, moment: str) -> Q:
    """Only what happened at `moment` after the rule was given to its owner. `rule` is the lookup path of the rule."""
    return Q(**{f"{rule}__given_at": None}) | Q(**{f"{moment}__gte": F(f"{rule}__given_at")})


def looks_after(user: User, account: User) -> bool:
    """Whether `user` may change `account` and set its password: a superuser any, others none that may do what they may not.

    Whoever sets a password can log in with it. An account that is inactive counts with all that was ever given to it.
    """
    if user.is_superuser:
        return True
    more = _given_to(account).exclude(pk__in=_given_to(user).values("pk"))
    # What an administrator may do anyway.
    implied = Q(content_type__app_label="fetchrules") & ~Q(codename="see_passwords")
    return not account.is_superuser and not (more.exclude(implied) if administers(user) else more).exists()


def _given_to(user: User) -> QuerySet[Permission]:
    return Permission.objects.filter(Q(user=user) | Q(group__user=user))
