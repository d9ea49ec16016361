"""Numbers in words: octets, counts, durations."""

from datetime import timedelta

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

_STEP = 1024


def count(number: int) -> str:
    """`number` with thousands separators."""
    return str(number_format(number, force_grouping=True))


def octets(number: int) -> str:
    """For example 512 B, 120 KB, 1.4 MB, 2 GB."""
    if number < _STEP:
        return _("%(number)s B") % {"number": number}
    value = float(number) / _STEP
    unit = _("%(number)s KB")
    for larger in (_("%(number)s MB"), _("%(number)s GB")):
        if value >= 999.5:
            value /= _STEP
            unit = larger
    shown = round(value, 1) if value < 9.95 else float(round(value))
    return unit % {"number": number_format(shown, 0 if shown.is_integer() else 1)}


def letters(number: int) -> str:
    return ngettext("%(count)s letter", "%(count)s letters", number) % {"count": count(number)}


def rules(number: int) -> str:
    return ngettext("%(count)s rule", "%(count)s rules", number) % {"count": count(number)}


def minutes(number: int) -> str:
    """An interval of `number` minutes, in whole hours or days if it is a multiple."""
    if number and number % 1440 == 0:
        return ngettext("%(count)s day", "%(count)s days", number // 1440) % {"count": number // 1440}
    if number and number % 60 == 0:
        return _("%(count)s h") % {"count": number // 60}
    return _("%(count)s min") % {"count": number}


def lasting(number: int) -> str:
    """How long something has lasted, in its largest units. `number` is in minutes."""
    if number < 60:
        return _("%(count)s min") % {"count": number}
    if number < 1440:
        return _("%(hours)s h %(minutes)s min") % {"hours": number // 60, "minutes": number % 60}
    return ngettext("%(count)s day", "%(count)s days", number // 1440) % {"count": number // 1440}


def duration(span: timedelta) -> str:
    """How long something took, in at most two units."""
    seconds = span.total_seconds()
    if seconds < 1:
        return _("%(count)s ms") % {"count": max(0, round(seconds * 1000))}
    if seconds < 10:
        return _("%(count)s s") % {"count": number_format(round(seconds, 1), 1)}
    whole = round(seconds)
    if whole < 60:
        return _("%(count)s s") % {"count": whole}
    if whole < 3600:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": whole // 60, "seconds": whole % 60}
    return _("%(hours)s h %(minutes)s min") % {"hours": whole // 3600, "minutes": whole % 3600 // 60}
