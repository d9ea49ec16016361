"""The statistics page: charts drawn on the server, the same figures as a table, and as CSV."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fetchrules.models import FetchRule, Run
from fetchrules.panel import access
from fetchrules.panel.pages import figures
from fetchrules.panel.pages.charts import Bar, Chart, chart
from fetchrules.panel.pages.figures import COUNTERS, Spread, Sums
from fetchrules.panel.pages.period import Period
from fetchrules.panel.params import numbers
from fetchrules.words import amounts, guarded, times
from fetchrules.words.names import source_name

GROUPS = {"server": ("server",), "rule": ("id", "user", "server")}
_TOP = 20
_MEGABYTE = 1024 * 1024


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The page."""
    user = access.user_of(request)
    rules, rule = _asked_for(request)
    hours = access.visible_hours(user).filter(rule__in=rules)
    runs = access.visible_runs(user).filter(rule__in=rules)
    letters = access.visible_letters(user).filter(run__rule__in=rules)
    period = Period.of(request.GET, timezone.now())
    group = request.GET.get("by", "")
    group = group if group in GROUPS else "server"
    buckets = figures.by_bucket(hours, period)
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
        "summary": _summary(total, figures.poll_times(runs, period), figures.delays(letters, period)),
        "charts": _charts(labels, [sums for _start, sums in buckets]),
        "lines": list(zip(labels, [sums for _start, sums in buckets], strict=True)),
        "busiest": [(_name(key), key, sums) for key, sums in figures.by_group(hours, period, GROUPS[group], _TOP)],
        "failures": _failures(runs, period, exact=access.administers(user)),
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
    hours = access.visible_hours(access.user_of(request)).filter(rule__in=rules)
    for start, sums in figures.by_bucket(hours, period):
        writer.writerow([timezone.localtime(start).isoformat(), *(getattr(sums, name) for name in COUNTERS)])
    return response


def _asked_for(request: HttpRequest) -> tuple[QuerySet[FetchRule], FetchRule | None]:
    """The rules that are counted; and the rule, if it is only one."""
    rules = access.visible_rules(access.user_of(request))
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
    for code, number in figures.failures_by_kind(runs, period):
        failure, _detail = guarded.describe(code, "", "", exact=exact)
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
        _("Fetched: %(letters)s, %(size)s. Polls: %(runs)s, failed: %(failed)s.")
        % {
            "letters": amounts.letters(total.fetched),
            "size": amounts.octets(total.octets),
            "runs": amounts.count(total.runs),
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
