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
