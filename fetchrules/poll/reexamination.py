"""Resume paused rules whose reason is gone: the password's key is back, the target is allowed by now, the pin was removed.

A refused login waits for a person, or for a poll by hand that succeeds.
"""

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from time import monotonic

from django.db.models import Q

from fetchrules.errors import CertificateChanged, FetchError, PasswordMissing, PasswordUnreadable, TargetForbidden
from fetchrules.ledger.turns import go_on
from fetchrules.models import FetchRule, Pause
from fetchrules.poll.looking import targets_of
from fetchrules.remote.connecting import allowed_endpoints
from fetchrules.rule import MASK
from fetchrules.schedule import NextReason
from fetchrules.secrets.sealing import target_of, unseal

LOOKUP_SECONDS = 2.0
ALL_SECONDS = 30.0
"""What all lookups of names may take together. The order is random, so that no rule is always left out."""

_PASSWORD = (PasswordUnreadable.code, PasswordMissing.code)


def reexamine(now: datetime) -> int:
    """Resume these rules; returns how many. Connects to no server, and holds no transaction meanwhile."""
    paused = FetchRule.objects.filter(enabled=True, pause=Pause.FAILURE)
    unpinned = paused.filter(last_error=CertificateChanged.code, sslfingerprint=[])
    opened = [rule for rule in paused.filter(last_error__in=_PASSWORD) if _opens(rule)]
    return sum(go_on(rule, now) for rule in [*unpinned, *opened, *_allowed(now)])


def _opens(rule: FetchRule) -> bool:
    try:
        unseal(rule.password, target_of(rule.as_rule(MASK)))
    except PasswordUnreadable:
        return False
    return True


def _allowed(now: datetime) -> Iterator[FetchRule]:
    """Rules in back-off, which may last hours, are looked at, too."""
    waiting = Q(pause=Pause.FAILURE) | Q(pause=Pause.NONE, next_reason=NextReason.BACKOFF, next_poll_at__gt=now)
    rules = list(FetchRule.objects.filter(waiting, enabled=True, last_error=TargetForbidden.code))
    random.shuffle(rules)
    until = monotonic() + ALL_SECONDS
    for rule in rules:
        left = until - monotonic()
        if left <= 0:
            return
        spec = rule.as_rule(MASK)
        with suppress(FetchError):
            targets = targets_of(restricted=rule.restricted)
            allowed_endpoints(spec.server.strip("[]"), spec.effective_port, targets, min(left, LOOKUP_SECONDS))
            yield rule
