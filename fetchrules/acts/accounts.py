"""Accounts and groups: what the audit says of a change, and what follows from it.

An account that is deactivated or deleted is logged out everywhere. Rules that deliver to the former address of their owner are
switched off. Django's own forms write accounts and groups, in the same transaction as these functions.
"""

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet

from fetchrules.acts import audit, roles
from fetchrules.acts.rules import switch_rules
from fetchrules.models import FetchRule
from fetchrules.poll.destinations import mailbox_key
from fetchrules.rulebook.edits import lock


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of an account or a group before and after. Never the password."""

    name: str
    old: str | bool
    new: str | bool


def note_saved(account: User | Group, changes: Sequence[FieldChange] | None, *, by: User) -> list[FetchRule]:
    """Note that Django's form added (`changes` None) or changed an account or a group. Returns the rules that were switched off."""
    kind = _kind(account)
    if changes is None:
        audit.record(by, f"{kind}_added", account)
        return []
    if changes:
        audit.record(by, f"{kind}_changed", account, account=[list(astuple(change)) for change in changes])
    if not isinstance(account, User):
        return []
    if not account.is_active:
        end_sessions([account.pk])
    former = next((str(change.old) for change in changes if change.name == "email"), None)
    return [] if former is None else _leave(former, User.objects.get(pk=account.pk), by)


def note_password_set(account: User, *, by: User) -> None:
    audit.record(by, "account_password_set", account)


def delete_accounts(accounts: QuerySet[User] | QuerySet[Group], *, by: User) -> None:
    with transaction.atomic():
        deleted: list[User | Group] = list(accounts)
        end_sessions([account.pk for account in deleted if isinstance(account, User)])
        accounts.delete()
        for account in deleted:
            audit.record(by, f"{_kind(account)}_deleted", account)


def change_own_password(user: User, password: str) -> None:
    """Set the user's own password, which its form has checked."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(user, "password_changed")


def make_administrator(name: str, password: str) -> None:
    """Make the administrator `name`, or give a present one this password, from the command line."""
    with transaction.atomic():
        user = User.objects.filter(username=name).first()
        if user is None:
            audit.record(None, "account_added", User.objects.create_superuser(name, password=password))
            return
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(None, "account_password_set", user)


def end_sessions(user_ids: Collection[int]) -> int:
    """Delete the sessions of these accounts, so that none revives when the account is active again. Returns how many."""
    wanted = {str(number) for number in user_ids}
    theirs = [
        session.session_key
        for session in Session.objects.iterator()
        if session.get_decoded().get(SESSION_KEY) in wanted
    ]
    return Session.objects.filter(session_key__in=theirs).delete()[0]


def _leave(former: str, owner: User, by: User) -> list[FetchRule]:
    """Switch off the rules of `owner` that deliver to their `former` address, and return them.

    That address may be somebody else's by now. Rules stay on if they deliver to a third address, because an administrator or
    editor decided so, or if the owner may change every rule.
    """
    left = mailbox_key(former)
    if not former or left == mailbox_key(owner.email) or roles.edits_all(owner):
        return []
    with transaction.atomic():
        lock()
        theirs = FetchRule.objects.filter(owner=owner, enabled=True)
        ids = [rule.id for rule in theirs.only("recipient") if mailbox_key(rule.recipient) == left]
        return switch_rules(theirs.filter(id__in=ids), on=False, by=by) if ids else []


def _kind(account: User | Group) -> str:
    return "account" if isinstance(account, User) else "group"
