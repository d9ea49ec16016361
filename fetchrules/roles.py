"""Who may do what with rules: administrators, editors, operators, watchers, and owners of one local mailbox.

An administrator (staff, or a superuser) may do everything. An editor (`change_fetchrule`) changes every rule and the text, and
nothing beside them: no settings, no notices, no networks, no restriction of a rule. An owner (a plain user with an e-mail address)
has rules of his own that deliver to that address.
"""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Permission, User
from django.db.models import Q, QuerySet

from fetchrules.models import FetchRule

Reader = AbstractBaseUser | AnonymousUser


def administers(user: Reader) -> bool:
    """An administrator."""
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
    """May export passwords, after entering his own once more."""
    return isinstance(user, User) and user.has_perm("fetchrules.see_passwords")


def edits_rules(user: Reader) -> bool:
    """May add and change rules: an editor all of them; an owner his own, if it is known which mailbox is his."""
    owns = isinstance(user, User) and user.is_active and bool(user.email)
    return edits_all(user) or (owns and not sees_all(user))


def editable_rules(user: User) -> QuerySet[FetchRule]:
    """The rules that `user` may change, switch and delete."""
    return FetchRule.objects.all() if edits_all(user) else FetchRule.objects.filter(owner=user)


def looks_after(user: User, account: User) -> bool:
    """Whether `user` may change `account` and set its password: a superuser any, others none that may do what they may not.

    Whoever sets a password can log in with it. An account that is inactive counts with all that was ever given to it.
    """
    if user.is_superuser:
        return True
    more = _given_to(account).exclude(pk__in=_given_to(user).values("pk"))
    implied = Q(content_type__app_label="fetchrules") & ~Q(
        codename="see_passwords"
    )  # an administrator may do all of that
    return not account.is_superuser and not (more.exclude(implied) if administers(user) else more).exists()


def _given_to(user: User) -> QuerySet[Permission]:
    return Permission.objects.filter(Q(user=user) | Q(group__user=user))
