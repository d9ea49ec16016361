"""What is removed when its time is past, and what is mended that should not need it."""

import logging
from datetime import datetime, timedelta

from fetchrules.ledger import forgetting, runs
from fetchrules.ledger.mending import mend_schedule
from fetchrules.ledger.unattended import unattended
from fetchrules.models import AuditEntry, Heartbeat, HourlyStat, ServiceSettings
from fetchrules.poll.recovery import finish_all
from fetchrules.poll.reexamination import reexamine

log = logging.getLogger(__name__)

STATISTICS = timedelta(days=400)
AUDIT = timedelta(days=400)
SILENT = timedelta(days=1)


def tidy(now: datetime) -> None:
    """One round of it."""
    journal = timedelta(days=ServiceSettings.current().journal_days)
    runs.purge(now - journal)
    forgetting.purge(now)
    HourlyStat.objects.filter(hour__lt=now - STATISTICS).delete()
    AuditEntry.objects.filter(at__lt=now - AUDIT).delete()
    Heartbeat.objects.filter(seen_at__lt=now - SILENT).delete()
    mended = mend_schedule(now)
    if mended:
        log.warning("%d rules were neither running nor scheduled in good time and are due again", mended)
    released = reexamine(now)
    if released:
        log.info("%d rules go on: what had paused them is over", released)
    # What a crash left between the record and the delivery: perhaps no rule reads that mailbox any more.
    for error in set(finish_all(unattended()).values()):
        log.warning("a recorded letter could not be delivered: %s", error)
