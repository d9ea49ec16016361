"""The statistics page: charts drawn on the server, the same figures as a table, and as CSV.

The figures are counted in the database, for the rules that the reader may see and a period. The charts are coordinates: the
template draws them as SVG, the words stand beside them in HTML.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from statistics import median, quantiles

from django.db.models import Count, F, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fetchrules.acts import roles
from fetchrules.models import FetchRule, HourlyStat, Letter, Run
from fetchrules.panel import access
from fetchrules.panel.pages.journal import Period
from fetchrules.panel.params import numbers
from fetchrules.words import amounts, failures, times
from fetchrules.words.names import source_name

GROUPS = {"server": ("server",), "rule": ("id", "user", "server")}
_TOP = 20
_MEGABYTE = 1024 * 1024

SAMPLE = 20_000
"""So many of the newest polls and letters are looked at for medians."""
WIDTH = 1000
HEIGHT = 200
_GAP = 0.22
_NICE = (2, 4, 10, 20)


@dataclass(frozen=True, slots=True)
class Sums:
    """Counters added up. `milliseconds` of all polls together."""

    runs: int = 0
    failed: int = 0
    idle: int = 0
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
    """How long after their arrival at the remote server letters were delivered, by IMAP or their own headers."""
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


@dataclass(frozen=True, slots=True)
class Column:
    """One bar: where it stands, how high, and what it says."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `scale` are the words of the y axis, from the top; `ticks` of the x axis, from the left."""

    title: str
    columns: tuple[Column, ...]
    scale: tuple[str, str, str]
    ticks: tuple[str, ...]
    tone: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(column.height for column in self.columns)


@dataclass(frozen=True, slots=True)
class Bar:
    """A value, its place on the x axis in words, and its words."""

    value: float
    tick: str
    words: str


def chart(title: str, bars: Sequence[Bar], say: Callable[[int], str], unit: int = 1, tone: str = "") -> Chart:
    """A chart of `bars`, as high as the highest needs; `say` puts a value of the y axis into words, in round `unit`s."""
    top = _top(max((bar.value for bar in bars), default=0), unit)
    step = WIDTH / max(len(bars), 1)
    columns = tuple(_column(bar, index * step, step, top) for index, bar in enumerate(bars))
    return Chart(title, columns, (say(round(top)), say(round(top / 2)), "0"), _ticks([bar.tick for bar in bars]), tone)


def _top(most: float, unit: int) -> float:
    """The round number of `unit`s at or above `most`, where the axis ends."""
    size = float(unit)
    while size * _NICE[-1] < most:
        size *= 10
    return next(nice * size for nice in _NICE if nice * size >= most)


def _column(bar: Bar, x: float, step: float, top: float) -> Column:
    height = HEIGHT * bar.value / top
    if bar.value:
        height = max(height, 2.0)
    return Column(
        round(x + step * _GAP / 2, 1),
        round(HEIGHT - height, 1),
        round(step * (1 - _GAP), 1),
        round(height, 1),
        bar.words,
    )


def _ticks(words: Sequence[str]) -> tuple[str, ...]:
    """The first, the last, and a few between at equal distances."""
    if len(words) <= 8:
        return tuple(words)
    return tuple(words[round(index * (len(words) - 1) / 4)] for index in range(5))


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = access.user_of(request)
    rules, rule = _asked_for(request)
    hours = roles.visible_hours(user).filter(rule__in=rules)
    runs = roles.visible_runs(user).filter(rule__in=rules)
    letters = roles.visible_letters(user).filter(run__rule__in=rules)
    period = Period.of(request.GET, timezone.now())
    group = request.GET.get("by", "")
    group = group if group in GROUPS else "server"
    buckets = by_bucket(hours, period)
    labels = [_label(start, period) for start, _sums in buckets]
    total = sum((sums for _start, sums in buckets), Sums())
    context = {
        "period": period,
        "periods": [("today", _("Today")), ("week", _("Week")), ("month", _("Month"))],
        "server": request.GET.get("server", ""),
        "rule": rule,
        "by": group,
        "groups": [("server", _("By server")), ("rule", _("By rule"))],
        "total": total,
        "summary": _summary(total, poll_times(runs, period), delays(letters, period)),
        "charts": _charts(labels, [sums for _start, sums in buckets]),
        "lines": list(zip(labels, [sums for _start, sums in buckets], strict=True)),
        "busiest": [(_name(key), key, sums) for key, sums in by_group(hours, period, GROUPS[group], _TOP)],
        "failures": _failures(runs, period, exact=roles.administers(user)),
    }
    return render(request, "fetchrules/statistics.html", context)


@require_safe
def as_csv(request: HttpRequest) -> HttpResponse:
    """The table of the page, by hour or day; names of columns are stable, numbers plain."""
    rules, _rule = _asked_for(request)
    period = Period.of(request.GET, timezone.now())
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="mail-{period.first}-{period.last}.csv"'
    writer = csv.writer(response)
    writer.writerow(["start", *COUNTERS])
    hours = roles.visible_hours(access.user_of(request)).filter(rule__in=rules)
    for start, sums in by_bucket(hours, period):
        writer.writerow([timezone.localtime(start).isoformat(), *(getattr(sums, name) for name in COUNTERS)])
    return response


def _asked_for(request: HttpRequest) -> tuple[QuerySet[FetchRule], FetchRule | None]:
    """The rules that are counted; and the rule, if it is only one."""
    rules = roles.visible_rules(access.user_of(request))
    if server := request.GET.get("server", ""):
        rules = rules.filter(server=server)
    wanted = request.GET.get("rule", "")
    if not wanted:
        return rules, None
    rules = rules.filter(id__in=numbers([wanted]))
    return rules, rules.first()


def _failures(runs: QuerySet[Run], period: Period, *, exact: bool) -> list[tuple[str, int]]:
    """How often polls failed, by the words for it, the commonest first."""
    by_title: Counter[str] = Counter()
    for code, number in failures_by_kind(runs, period):
        failure, _detail = failures.describe_guarded(code, "", "", exact=exact)
        by_title[failure.title] += number
    return by_title.most_common()


def _charts(labels: Sequence[str], sums: Sequence[Sums]) -> list[Chart]:
    def bars(values: Iterable[int], say: Callable[[int], str]) -> list[Bar]:
        return [Bar(value, label, f"{label}: {say(value)}") for label, value in zip(labels, values, strict=True)]

    unit = _MEGABYTE if any(one.octets >= _MEGABYTE for one in sums) else 1024
    return [
        chart(_("Letters"), bars((one.fetched for one in sums), amounts.letters), amounts.count),
        chart(_("Size"), bars((one.octets for one in sums), amounts.octets), amounts.octets, unit=unit),
        chart(_("Failed polls"), bars((one.failed for one in sums), amounts.count), amounts.count, tone="bad"),
    ]


def _summary(total: Sums, polls: Spread | None, delay: Spread | None) -> list[str]:
    said = [
        _("Fetched: %(letters)s, %(size)s. Polls: %(runs)s, without new letters: %(idle)s, failed: %(failed)s.")
        % {
            "letters": amounts.letters(total.fetched),
            "size": amounts.octets(total.octets),
            "runs": amounts.count(total.runs),
            "idle": amounts.count(total.idle),
            "failed": amounts.count(total.failed),
        }
    ]
    if polls:
        said.append(_("A poll with mail takes %(middle)s, nineteen of twenty at most %(long)s.") % _words(polls))
    if delay:
        said.append(
            _(
                "A letter is delivered %(middle)s after it arrived at the remote server, nineteen of twenty within %(long)s."
            )
            % _words(delay)
        )
    return said


def _words(spread: Spread) -> dict[str, str]:
    return {"middle": amounts.duration(spread.middle), "long": amounts.duration(spread.long)}


def _label(start: datetime, period: Period) -> str:
    local = timezone.localtime(start)
    return f"{local:%H:%M}" if period.hourly else times.day(local.date())


def _name(key: tuple[object, ...]) -> str:
    match key:
        case (_id, user, server):
            return source_name(str(user), str(server))
        case _:
            return str(key[0])
