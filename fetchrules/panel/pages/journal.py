"""The journal: runs, one run with its letters, and stopping one."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from fetchrules.acts import roles
from fetchrules.acts.rules import stop_run
from fetchrules.models import FetchRule, Run
from fetchrules.panel import access
from fetchrules.panel.pages.rule_rows import RunProgress, remarks_of
from fetchrules.panel.params import back, numbers, page_of, search
from fetchrules.policy.known import Doubt, Fate, State
from fetchrules.policy.planning import Remark
from fetchrules.words import failures, states
from fetchrules.words.failures import Failure
from fetchrules.words.names import source_name
from fetchrules.words.states import Badge, TwoLines

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


PAGE = 50
STAGES = {
    "login": gettext_lazy("connected and logged in"),
    "listing": gettext_lazy("listing read"),
    "dates": gettext_lazy("dates of letters read"),
    "flush": gettext_lazy("old letters deleted on the server"),
    "fetching": gettext_lazy("fetching begun"),
    "delivered": gettext_lazy("letters delivered"),
    "quit": gettext_lazy("session ended"),
}


@dataclass(frozen=True, slots=True)
class RunEntry:
    run: Run
    badge: Badge
    source: str
    cause: str
    took: timedelta | None
    result: TwoLines
    failure: Failure | None
    detail: str
    transcript: str
    remarks: str
    progress: RunProgress | None

    @classmethod
    def of(cls, run: Run, now: datetime, reader: User) -> "RunEntry":
        """`run` with its source and its rule at hand, as `reader` may see it."""
        exact = roles.administers(reader) or (run.rule is not None and not run.rule.restricted)
        host = run.source.host
        failure, detail = (
            failures.describe_guarded(run.error, run.detail, host, exact=exact) if run.error else (None, "")
        )
        took = run.finished_at - (run.started_at or run.claimed_at) if run.finished_at else None
        return cls(
            run=run,
            badge=states.RUN_BADGES[Run.State(run.state)],
            source=source_name(run.source.user, run.source.host),
            cause=run.get_cause_display(),
            took=took,
            result=states.result(run.fetched, run.octets, run.deleted, run.found, run.left),
            failure=failure,
            detail=detail,
            transcript=run.transcript if exact or run.error not in failures.NOT_REACHED else "",
            remarks=remarks_of(run.left),
            progress=RunProgress.of(run, now) if run.is_open else None,
        )


RESULTS: dict[str, Q] = {
    "failed": Q(state__in=[Run.State.FAILED, Run.State.ABANDONED]),
    "open": Q(finished_at__isnull=True),
    "mail": Q(fetched__gt=0),
    "held": Q(held__gt=0) | Q(left__has_key=Remark.DOUBTED.value),
}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Runs, newest first. Polls that found nothing and failed at nothing leave counters only."""
    user, now = access.user_of(request), timezone.now()
    rule = roles.visible_rules(user).filter(id__in=numbers([request.GET.get("rule", "")])).first()
    found = _filtered(request, roles.visible_runs(user), rule)
    page = page_of(request, found.select_related("source", "rule"), PAGE)
    entries = [RunEntry.of(run, now, user) for run in page]
    context = {
        "page": page,
        "entries": entries,
        "live": any(entry.progress for entry in entries),
        "rule": rule,
        "query": request.GET.get("q", ""),
        "result": request.GET.get("result", ""),
        "results": [
            ("failed", _("With errors")),
            ("mail", _("With new mail")),
            ("held", _("With problem letters")),
            ("open", _("Running")),
        ],
        "causes": Run.Cause.choices,
        "may_run": _may_run(user),
    }
    return render(
        request, "fetchrules/_journal.html" if "fragment" in request.GET else "fetchrules/journal.html", context
    )


@require_safe
def run(request: HttpRequest, run_id: int) -> HttpResponse:
    """One run: its stages, its letters, what was left alone and why, the transcript."""
    user = access.user_of(request)
    found = get_object_or_404(roles.visible_runs(user).select_related("source", "rule"), id=run_id)
    page = page_of(request, found.letters.exclude(state=State.READ).order_by("id"), PAGE)  # of those it took none
    context = {
        "entry": RunEntry.of(found, timezone.now(), user),
        "run": found,
        "stages": [(str(STAGES.get(name, name)), timedelta(seconds=seconds)) for name, seconds in found.stages],
        "page": page,
        "letters": [
            (
                letter,
                states.LETTER_BADGES[State(letter.state)],
                states.FATES[Fate(letter.fate)],
                states.DOUBTS[Doubt(letter.doubt)] if letter.doubt else "",
            )
            for letter in page
        ],
        "left": [(states.left_alone(reason), number) for reason, number in found.left.items()],
        "problems": found.held + found.left.get(Remark.DOUBTED.value, 0),
        "may_run": _may_run(user),
    }
    return render(request, "fetchrules/_run.html" if "fragment" in request.GET else "fetchrules/run.html", context)


@require_POST
def stop(request: HttpRequest, run_id: int) -> HttpResponse:
    found = get_object_or_404(roles.runnable_runs(access.user_of(request)), id=run_id)
    if stop_run(found, by=access.user_of(request)):
        messages.success(request, _("The poll ends within seconds; letters that are whole are kept."))
    else:
        messages.info(request, _("The poll had ended already."))
    return redirect(back(request, "journal"))


def _filtered(request: HttpRequest, found: QuerySet[Run], rule: FetchRule | None) -> QuerySet[Run]:
    get = request.GET
    if "rule" in get:
        found = found.filter(rule=rule) if rule else found.none()
    if result := RESULTS.get(get.get("result", "")):
        found = found.filter(result)
    if get.get("cause", "") in Run.Cause.values:
        found = found.filter(cause=get["cause"])
    found = search(found, get.get("q", ""), "source__user", "source__host", "recipient")
    if get.get("from") or get.get("to"):
        period = Period.of(get, timezone.now())
        found = found.filter(claimed_at__gte=period.start, claimed_at__lt=period.end)
    return found


def _may_run(user: User) -> bool:
    """An owner sees his own runs only."""
    return not roles.sees_all(user) or roles.runs_service(user)
