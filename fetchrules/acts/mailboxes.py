"""A local mailbox that was replaced, confirmed to be the right one."""

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from fetchrules import tasks
from fetchrules.acts import audit, roles
from fetchrules.errors import MaildirReplaced, VolumeMissing
from fetchrules.ledger import runs
from fetchrules.models import FetchRule
from fetchrules.poll import recovery
from fetchrules.poll.destinations import replaced


def may_adopt(user: User, rule: FetchRule) -> bool:
    """Whether `user` may confirm the mailbox of `rule`, which is theirs to change.

    If its volume is missing, for the last poll or the next one, only administrators may: that confirms the volume for everybody.
    """
    if roles.administers(user):
        return True
    return rule.last_error != VolumeMissing.code and not isinstance(replaced(rule.recipient), VolumeMissing)


def adopt(rule: FetchRule, *, by: User) -> bool:
    """Deliver into the directory that stands in the place of the rule's local mailbox, and poll at once; False if it was known.

    Raises FetchRule.DoesNotExist if the rule is not theirs to change, and PermissionDenied.
    """
    row = roles.editable_rules(by).get(id=rule.id)
    if not may_adopt(by, row):
        raise PermissionDenied
    lost = recovery.lost_by_replacing(row.recipient)  # before the transaction, since it reads and writes files
    stopped = (MaildirReplaced.code, VolumeMissing.code)
    affected = roles.editable_rules(by).filter(last_error__in=stopped, recipient__iexact=row.recipient)
    with transaction.atomic():
        if lost is not None:
            recovery.accept(row.recipient, lost)
            audit.record(by, "mailbox_adopted", row)
        rules = FetchRule.objects.filter(id__in=list(affected.values_list("id", flat=True)))
        asked = runs.ask_for_poll(rules, timezone.now())
        if lost is None:
            audit.record_each(by, "rule_poll_asked", asked)
        tasks.wake()
    return lost is not None
