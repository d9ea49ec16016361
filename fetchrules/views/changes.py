"""What the panel does to rules, one call each: save, switch, delete. Everything else about rules is read here, not written."""

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, Max, QuerySet
from django.utils import timezone

from fetchrules import tasks
from fetchrules.models import FetchRule, NextReason, Pause
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.ruletext.spec import MASK, Rule
from fetchrules.secrets import seal, target_of
from fetchrules.sources import sources_of


class SourceTaken(Exception):
    """Another rule that is switched on reads the same remote mailbox, and one of the two takes mail away from the other."""


def save(rule: FetchRule | None, wanted: Rule, owner: User | None) -> FetchRule:
    """Make `rule` (a new one if None) say `wanted`, and poll it at once. Raises SourceTaken."""
    row = rule or FetchRule(owner=owner, position=(FetchRule.objects.aggregate(last=Max("position"))["last"] or 0) + 1)
    for name in ("server", "protocol", "user", "recipient", "keep", "flush", "fetchall", "encryption", "sslcertck"):
        setattr(row, name, getattr(wanted, name))
    for name in ("sslfingerprint", "port", "uidl", "limit", "fetchlimit", "interval", "timeout", "keepdays"):
        setattr(row, name, getattr(wanted, name))
    row.folders = list(wanted.folders)
    row.enabled = not wanted.skip
    if wanted.password != MASK:
        row.password = seal(wanted.password, target_of(wanted))
    row.pause, row.paused_until, row.failures, row.tls_seen = Pause.NONE, None, 0, TlsLevel.NONE
    row.next_poll_at, row.next_reason, row.edited_at = timezone.now(), NextReason.SAVED, timezone.now()
    try:
        with transaction.atomic():
            row.source = sources_of(wanted)[0]
            if rule:
                row.revision += 1
            row.save()
    except IntegrityError as error:
        raise SourceTaken from error
    tasks.wake()
    return row


def switch(rules: QuerySet[FetchRule], on: bool) -> int:
    """Switch `rules` on or off; how many changed. A rule switched on is polled at once. Raises SourceTaken."""
    changes: dict[str, object] = {"enabled": on, "revision": F("revision") + 1}
    if on:
        changes |= {"next_poll_at": timezone.now(), "next_reason": NextReason.SAVED, "pause": Pause.NONE, "failures": 0}
    try:
        with transaction.atomic():
            changed = rules.filter(enabled=not on).update(**changes)
    except IntegrityError as error:
        raise SourceTaken from error
    tasks.wake()
    return changed


def delete(rules: Iterable[FetchRule]) -> int:
    """Delete `rules`; the ledger of their mailboxes stays, so that no letter comes twice if they return. How many."""
    return FetchRule.objects.filter(id__in=[rule.id for rule in rules]).delete()[1].get("fetchrules.FetchRule", 0)
