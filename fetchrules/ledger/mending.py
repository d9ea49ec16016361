"""Rules that fell out of the schedule are put back into it."""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from fetchrules.models import FetchRule, NextReason, Pause, Run, ServiceSettings
from fetchrules.schedule import longest_wait


def mend_schedule(now: datetime) -> int:
    """Make rules due that are neither being polled nor scheduled in good time; there should be none unless a clock was wrong."""
    running = Run.objects.filter(rule=OuterRef("pk"), finished_at__isnull=True)
    active = FetchRule.objects.filter(enabled=True, pause=Pause.NONE)
    stray = active.filter(~Exists(running), next_poll_at__isnull=True)
    late = active.filter(next_poll_at__gt=now + longest_wait(timedelta(0)))
    usual = ServiceSettings.current().interval
    times = late.values_list("id", "interval", "next_poll_at")
    lost = [pk for pk, own, at in times if at and at > now + longest_wait(timedelta(minutes=own or usual))]
    due = {"next_poll_at": now, "next_reason": NextReason.OVERTAKEN}
    return stray.update(**due) + late.filter(id__in=lost).update(**due)


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
