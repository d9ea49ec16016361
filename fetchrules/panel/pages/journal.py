"""The journal: runs, one run with its letters, and stopping one."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from fetchrules.acts.rules import stop_run
from fetchrules.models import FetchRule, Run
from fetchrules.panel import access
from fetchrules.panel.pages.period import Period
from fetchrules.panel.pages.progress import Progress
from fetchrules.panel.pages.rows import remarks_of
from fetchrules.panel.params import numbers, page_of, search
from fetchrules.panel.paths import back
from fetchrules.policy import Doubt, Fate, Remark, State
from fetchrules.words import failures, states
from fetchrules.words.failures import Failure
from fetchrules.words.names import source_name
from fetchrules.words.states import Badge, TwoLines

PAGE = 50
STAGES = {
    "login": gettext_lazy("connected and logged in"),
    "listing": gettext_lazy("listing read"),
    "flush": gettext_lazy("old letters deleted on the server"),
    "fetching": gettext_lazy("fetching begun"),
    "delivered": gettext_lazy("letters delivered"),
    "quit": gettext_lazy("session ended"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A run in words."""

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
    progress: Progress | None

    @classmethod
    def of(cls, run: Run, now: datetime, reader: User) -> "Entry":
        """`run` with its source and its rule at hand, as `reader` may see it."""
        exact = access.administers(reader) or (run.rule is not None and not run.rule.restricted)
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
            progress=Progress.of(run, now) if run.is_open else None,
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
    rule = access.visible_rules(user).filter(id__in=numbers([request.GET.get("rule", "")])).first()
    found = _filtered(request, access.visible_runs(user), rule)
    page = page_of(request, found.select_related("source", "rule"), PAGE)
    entries = [Entry.of(run, now, user) for run in page]
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
    found = get_object_or_404(access.visible_runs(user).select_related("source", "rule"), id=run_id)
    page = page_of(request, found.letters.exclude(state=State.READ).order_by("id"), PAGE)  # of those it took none
    context = {
        "entry": Entry.of(found, timezone.now(), user),
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
    """Let a running poll end within seconds."""
    found = get_object_or_404(access.runnable_runs(access.user_of(request)), id=run_id)
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
    return not access.sees_all(user) or access.runs_service(user)
