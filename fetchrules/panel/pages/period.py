"""The stretch of time that a page is about: today, a week, a month, or between two dates, in buckets of an hour or a day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date

MAX_DAYS = 366
_HOURLY_DAYS = 2
_EARLIEST = date(1970, 1, 1)
"""Days before it make no sense; near the first day that there is, a year before it is none."""
LENGTHS = {"today": 1, "week": 7, "month": 30}


@dataclass(frozen=True, slots=True)
class Period:
    """From `first` to `last`, both included, in the reader's time zone. `name` is a key of LENGTHS, or `dates`."""

    name: str
    first: date
    last: date

    @classmethod
    def of(cls, get: QueryDict, now: datetime) -> "Period":
        """From the URL; without sense there, a week."""
        today = timezone.localtime(now).date()
        first, last = _date(get.get("from", "")), _date(get.get("to", ""))
        if first or last:
            last = min(last or today, today)
            first = max(min(first or last, last), last - timedelta(days=MAX_DAYS - 1))
            return cls("dates", first, last)
        name = get.get("period", "")
        name = name if name in LENGTHS else "week"
        return cls(name, today - timedelta(days=LENGTHS[name] - 1), today)

    @property
    def hourly(self) -> bool:
        """Whether it is short enough to be shown by the hour."""
        return (self.last - self.first).days < _HOURLY_DAYS

    @property
    def start(self) -> datetime:
        """The first moment."""
        return midnight(self.first)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return midnight(self.last + timedelta(days=1))

    def buckets(self) -> list[tuple[datetime, datetime]]:
        """The hours, or the days, each from its first moment to that of the next. A day of a clock change is one bucket."""
        if self.hourly:
            hours = int((self.end - self.start).total_seconds() // 3600)
            borders = [self.start + timedelta(hours=hour) for hour in range(hours + 1)]
        else:
            borders = [midnight(self.first + timedelta(days=day)) for day in range((self.last - self.first).days + 2)]
        return list(pairwise(borders))


def midnight(day: date) -> datetime:
    """The first moment of `day` in the reader's time zone."""
    return timezone.make_aware(datetime(day.year, day.month, day.day))  # noqa: DTZ001 -- made aware at once


def _date(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found and found >= _EARLIEST else None
