"""Whether days can be counted: a clock that jumped must not make letters look old enough to be deleted."""

from datetime import datetime, timedelta

from fetchrules.models import SourceMailbox

NOTED_EVERY = timedelta(hours=1)
TOLERANCE = timedelta(minutes=5)
LONGEST_GAP = timedelta(hours=24)
"""Between two looks at a mailbox. A longer one is a jump of the clock, or a long outage: nobody can tell which."""
QUARANTINE = timedelta(hours=24)


def runs_evenly(source: SourceMailbox, now: datetime) -> bool:
    """Whether the time has passed evenly since this mailbox was looked at last, and for a day before; notes the present look."""
    last = source.listed_at
    jumped = last is not None and (now < last - TOLERANCE or now - last > LONGEST_GAP)
    if jumped:
        source.uneven_until = now + QUARANTINE
    if last is None or jumped or now - last > NOTED_EVERY:
        source.listed_at = now
        SourceMailbox.objects.filter(pk=source.pk).update(listed_at=now, uneven_until=source.uneven_until)
    return source.uneven_until is None or not now < source.uneven_until <= now + QUARANTINE
