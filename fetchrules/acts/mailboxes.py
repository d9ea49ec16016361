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

    Confirming one on a volume that is missing confirms the volume for everybody: that is for administrators.
    """
    return roles.administers(user) or not _is_volume_missing(rule)


def adopt(rule: FetchRule, *, by: User) -> bool:
    """Deliver into what stands in the place of the rule's local mailbox now, and poll at once; False where it was known already.

    Raises FetchRule.DoesNotExist where the rule is not theirs to change, and PermissionDenied.
    """
    row = roles.editable_rules(by).get(id=rule.id)
    if not may_adopt(by, row):
        raise PermissionDenied
    found = recovery.look_for_replaced(row.recipient)  # before the transaction, since it reads and writes files
    stopped = (MaildirReplaced.code, VolumeMissing.code)
    affected = roles.editable_rules(by).filter(last_error__in=stopped, recipient__iexact=row.recipient)
    with transaction.atomic():
        if found is not None:
            recovery.accept(found)
            audit.record(by, "mailbox_adopted", row)
        rules = FetchRule.objects.filter(id__in=list(affected.values_list("id", flat=True)))
        asked = runs.ask_for_poll(rules, timezone.now())
        if found is None:
            audit.record_each(by, "rule_poll_asked", asked)
        tasks.wake()
    return found is not None


def _is_volume_missing(rule: FetchRule) -> bool:
    """Whether its last poll missed the volume, or the next one would."""
    return rule.last_error == VolumeMissing.code or isinstance(replaced(rule.recipient), VolumeMissing)
