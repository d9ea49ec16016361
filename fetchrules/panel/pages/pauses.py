"""For how long a rule can be paused by hand."""

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

PAUSES = [
    ("", _("until resumed")),
    ("hour", _("for an hour")),
    ("morning", _("until 9 tomorrow morning")),
    ("week", _("for a week")),
]


def end_of(pause: str, now: datetime) -> datetime | None:
    """When a pause of this name ends; None: when somebody ends it."""
    match pause:
        case "hour":
            return now + timedelta(hours=1)
        case "morning":
            tomorrow = timezone.localtime(now) + timedelta(days=1)
            return tomorrow.replace(hour=9, minute=0, second=0, microsecond=0)
        case "week":
            return now + timedelta(days=7)
        case _:
            return None
