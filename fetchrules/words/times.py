"""Times in words: «3 min ago», «at 12:05», «21 Aug 2026, 11:28»."""

from datetime import date, datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext


def exact(moment: datetime) -> str:
    """Date and time to the minute."""
    local = timezone.localtime(moment)
    return _("%(day)s %(month)s %(year)s, %(time)s") % {
        "day": local.day,
        "month": _month(local),
        "year": local.year,
        "time": f"{local:%H:%M}",
    }


def exact_second(moment: datetime) -> str:
    """Date and time to the second, for the hover and the journal."""
    return f"{exact(moment)}:{timezone.localtime(moment):%S}"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago `moment` was. After 12 hours, the time or date instead."""
    past = now - moment
    if past < timedelta(seconds=10):
        return _("just now")
    if past < timedelta(minutes=1):
        return _("%(count)s s ago") % {"count": int(past.total_seconds())}
    if past < timedelta(hours=1):
        return _("%(count)s min ago") % {"count": int(past.total_seconds() // 60)}
    if past < timedelta(hours=12):
        hours = int(past.total_seconds() // 3600)
        return ngettext("%(count)s hour ago", "%(count)s hours ago", hours) % {"count": hours}
    return on(moment, now)


def on(moment: datetime, now: datetime) -> str:
    """`moment` as briefly as it is clear at `now`: a time for today, a day and time for yesterday and tomorrow, else a date."""
    local, today = timezone.localtime(moment), timezone.localtime(now).date()
    clock = {"time": f"{local:%H:%M}"}
    if local.date() == today:
        return _("at %(time)s") % clock
    if local.date() == today + timedelta(days=1):
        return _("tomorrow at %(time)s") % clock
    if local.date() == today - timedelta(days=1):
        return _("yesterday at %(time)s") % clock
    day = {"day": local.day, "month": _month(local), "year": local.year}
    return _("%(day)s %(month)s") % day if local.year == today.year else _("%(day)s %(month)s %(year)s") % day


def day(moment: date) -> str:
    """The date without its year."""
    return _("%(day)s %(month)s") % {"day": moment.day, "month": _month(moment)}


def _month(moment: date) -> str:
    return pgettext("months of a date", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()[moment.month - 1]
