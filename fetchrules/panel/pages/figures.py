"""The figures behind the statistics page: counted once in the database, for those that the reader may see and a period."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from statistics import median, quantiles

from django.db.models import Count, F, QuerySet, Sum

from fetchrules.models import HourlyStat, Letter, Run
from fetchrules.panel.pages.period import Period

SAMPLE = 20_000
"""So many of the newest polls and letters are looked at for medians."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Counters added up. `milliseconds` of all polls together."""

    runs: int = 0
    failed: int = 0
    fetched: int = 0
    deleted: int = 0
    octets: int = 0
    milliseconds: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(Sums)))


COUNTERS = tuple(item.name for item in fields(Sums))


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some durations, and what nineteen of twenty do not exceed."""

    middle: timedelta
    long: timedelta

    @classmethod
    def of(cls, spans: Sequence[timedelta]) -> "Spread | None":
        """None without any."""
        if not spans:
            return None
        seconds = [span.total_seconds() for span in spans]
        longest = quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
        return cls(timedelta(seconds=median(seconds)), timedelta(seconds=longest))


def by_bucket(hours: QuerySet[HourlyStat], period: Period) -> list[tuple[datetime, Sums]]:
    """The sums of each hour or day of the period, empty ones too."""
    stats = hours.filter(hour__gte=period.start, hour__lt=period.end)
    sums = {row["hour"]: _sums(row) for row in stats.values("hour").annotate(**_totals())}
    return [
        (start, sum((s for hour, s in sums.items() if start <= hour < end), Sums())) for start, end in period.buckets()
    ]


def by_group(
    hours: QuerySet[HourlyStat], period: Period, group: Sequence[str], limit: int
) -> list[tuple[tuple[object, ...], Sums]]:
    """The sums by these columns of the rule, the busiest first."""
    stats = hours.filter(hour__gte=period.start, hour__lt=period.end)
    columns = [f"rule__{name}" for name in group]
    rows = stats.values(*columns).annotate(**_totals()).order_by("-sum_fetched", "-sum_failed", *columns)[:limit]
    return [(tuple(row[column] for column in columns), _sums(row)) for row in rows]


def failures_by_kind(runs: QuerySet[Run], period: Period) -> list[tuple[str, int]]:
    """How often polls failed, by the error's code, the commonest first."""
    failed = runs.filter(finished_at__gte=period.start, finished_at__lt=period.end).exclude(error="")
    return list(failed.order_by().values_list("error").annotate(number=Count("id")).order_by("-number", "error"))


def poll_times(runs: QuerySet[Run], period: Period) -> Spread | None:
    """How long the polls in the journal took."""
    done = runs.filter(finished_at__gte=period.start, finished_at__lt=period.end, started_at__isnull=False)
    return Spread.of(_spans(done.order_by("-id").values_list("started_at", "finished_at")[:SAMPLE]))


def delays(letters: QuerySet[Letter], period: Period) -> Spread | None:
    """How long after their arrival at the remote server letters were delivered; only IMAP tells when they arrived."""
    delivered = letters.filter(
        delivered_at__gte=period.start,
        delivered_at__lt=period.end,
        received_at__lt=F("delivered_at"),
    )
    return Spread.of(_spans(delivered.order_by("-id").values_list("received_at", "delivered_at")[:SAMPLE]))


def _totals() -> dict[str, Sum]:
    return {f"sum_{name}": Sum(name) for name in COUNTERS}


def _sums(row: dict[str, int]) -> Sums:
    return Sums(*(row[f"sum_{name}"] for name in COUNTERS))


def _spans(pairs: Iterable[tuple[datetime | None, datetime | None]]) -> list[timedelta]:
    return [end - start for start, end in pairs if start and end]
