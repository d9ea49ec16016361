"""Rules that fell out of the schedule are put back into it."""

from datetime import datetime, timedelta

from django.db.models import Exists, F, Max, OuterRef, QuerySet

from fetchrules.models import FetchRule, Pause, Run, ServiceSettings
from fetchrules.schedule import JITTER, NextReason, longest_wait

AHEAD = timedelta(minutes=5)
"""A last poll that is further in the future was noted by a clock that was wrong, and not by another machine's."""


def mend_schedule(now: datetime) -> int:
    """Put rules back into the schedule that are neither being polled nor due in good time; how many.

    There should be none unless a clock was wrong: then they are due now. A rule without a failure waits for its interval since its
    last poll, also where the interval was another one then.
    """
    usual = timedelta(minutes=ServiceSettings.current().interval)
    active = FetchRule.objects.filter(enabled=True, pause=Pause.NONE)
    running = Run.objects.filter(rule=OuterRef("pk"), finished_at__isnull=True)
    mended = _make_due(active.filter(~Exists(running), next_poll_at__isnull=True), now)
    waiting = active.filter(next_poll_at__gt=now)
    mended += _make_due(waiting.filter(last_polled_at__gt=now + AHEAD), now)
    for minutes, latest in waiting.order_by().values_list("interval").annotate(Max("next_poll_at")):
        interval = timedelta(minutes=minutes or 0) or usual
        if latest <= now + interval * (1 + JITTER):
            continue  # nearly always: the rules that have this interval need no look of their own
        alike = waiting.filter(interval=minutes)
        mended += _make_due(alike.filter(next_poll_at__gt=now + longest_wait(interval)), now)
        put_off = alike.filter(failures=0, next_poll_at__gt=now + interval * (1 + JITTER))
        mended += put_off.filter(last_polled_at__lte=now).update(next_poll_at=F("last_polled_at") + interval)
        mended += _make_due(put_off, now)
    return mended


def _make_due(rules: QuerySet[FetchRule], now: datetime) -> int:
    return rules.update(next_poll_at=now, next_reason=NextReason.OVERTAKEN)


def go_on(rule: FetchRule, now: datetime) -> bool:
    """Make `rule`, as it was read, due: what it failed by is over. False where somebody has changed it meanwhile, or polled it.

    Its failures still count until it succeeds, but what they have in common is counted anew.
    """
    same = FetchRule.objects.filter(
        id=rule.id,
        revision=rule.revision,
        pause=rule.pause,
        last_error=rule.last_error,
        last_polled_at=rule.last_polled_at,
        next_poll_at=rule.next_poll_at,
    )
    due = {"next_poll_at": now, "next_reason": NextReason.BACKOFF}
    return bool(same.update(pause=Pause.NONE, failing_since=now, **due))
