"""What becomes of an owner's rules when their address is another one."""

from django.contrib.auth.models import User
from django.db import transaction

from fetchrules import roles
from fetchrules.models import FetchRule
from fetchrules.poll.destinations import mailbox_key
from fetchrules.rulebook.edits import switch_rules
from fetchrules.rulebook.guard import lock


def leave(former: str, owner: User, *, by: User) -> list[FetchRule]:
    """Switch off the rules of `owner` that deliver to their `former` address, unless it is the same mailbox; those rules.

    It may be somebody else's by now. Where rules deliver to a third address, somebody who may has decided so; who may change every
    rule decides so for his own.

    Raises PermissionDenied where `by` may change no rule.
    """
    left = mailbox_key(former)
    if not former or left == mailbox_key(owner.email) or roles.edits_all(owner):
        return []
    with transaction.atomic():
        lock()
        theirs = FetchRule.objects.filter(owner=owner, enabled=True)
        ids = [rule.id for rule in theirs.only("recipient") if mailbox_key(rule.recipient) == left]
        return switch_rules(theirs.filter(id__in=ids), on=False, by=by) if ids else []
