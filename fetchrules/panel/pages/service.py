"""The service strip: whether mail is collected, and if not, why and since when; and its switch."""

import time
from dataclasses import dataclass
from datetime import datetime

import redis
from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Max, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from redis.backoff import NoBackoff
from redis.retry import Retry

from fetchrules.acts import roles
from fetchrules.acts import settings as acts
from fetchrules.ledger.local_faults import LocalFault, local_faults
from fetchrules.ledger.turns import late, pollable
from fetchrules.ledger.workers import alive
from fetchrules.models import Heartbeat, Incident, Run, ServiceSettings
from fetchrules.notices.messages import fault, silence
from fetchrules.panel import access
from fetchrules.panel.params import back
from fetchrules.upkeep import heartbeat
from fetchrules.words import amounts, times
from fetchrules.words.failures import describe

PATIENCE = 0.5
"""The timeout, in seconds."""
FRESH = 5.0
"""How long an answer is cached, in seconds."""
LONGEST_REASON = 120


@dataclass(frozen=True, slots=True)
class BrokerTrouble:
    """Why no task can be enqueued, in words, and the command that would help, if there is one."""

    words: str
    command: str = ""


@dataclass(slots=True)
class _Answer:
    trouble: BrokerTrouble | None = None
    at: float = float("-inf")


_last = _Answer()


def broker_trouble(queue: str) -> BrokerTrouble | None:
    """Why no task can be enqueued in `queue`. None without Redis, because the embedded broker lives in the worker's process."""
    if not settings.UTM_MAIL_REDIS_URL:
        return None
    if time.monotonic() - _last.at > FRESH:
        _last.trouble = _ask(settings.UTM_MAIL_REDIS_URL, f"{queue}.probe")
        _last.at = time.monotonic()
    return _last.trouble


def _ask(url: str, key: str) -> BrokerTrouble | None:
    """Writes a key, because a Redis with a full disk, or one that became a replica, still answers a PING."""
    impatience = Retry(NoBackoff(), 0)
    try:
        with redis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=impatience
        ) as connection:
            connection.set(key, "", ex=10)
    except (redis.ResponseError, redis.AuthenticationError, redis.BusyLoadingError) as error:
        return BrokerTrouble(_("Redis refuses: tasks are not handed out. It says: %s") % str(error)[:LONGEST_REASON])
    except redis.RedisError:
        return BrokerTrouble(_("Redis does not answer: tasks are not handed out."), "redis-server")
    return None


PARTS = {"worker": "celery -A utm_mail worker -P threads", "beat": "celery -A utm_mail beat"}


@dataclass(frozen=True, slots=True)
class Fault:
    """A part of the service that is missing, since when, and the command that would start it, if there is one."""

    title: str
    command: str


@dataclass(frozen=True, slots=True)
class Service:
    running: bool
    stopped_by: str
    stopped_at: datetime | None
    workers: int
    queued: int
    open_runs: int
    next_poll: str
    faults: tuple[Fault, ...]
    local: tuple[str, ...]
    """The faults of this machine, in words."""
    fallen: tuple[str, ...]
    """The parts that fell lately and were started again, in words."""
    late: str
    """How many rules are late, in words; empty if none."""

    @property
    def amiss(self) -> tuple[str, ...]:
        return (*self.local, self.late) if self.late else self.local

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why mail is not collected, or not as it should be. Empty if all is well."""
        return (*(fault.title for fault in self.faults), *self.amiss)

    @property
    def alarms(self) -> bool:
        """Whether somebody has to do something: a stop by hand alone is no alarm."""
        return bool(self.faults) or (self.running and bool(self.amiss))

    @property
    def only_broken(self) -> bool:
        """Whether it should run and does not, so that the switch would change nothing."""
        return self.running and bool(self.faults)

    @classmethod
    def read(cls, now: datetime) -> "Service":
        row = ServiceSettings.current()
        parts = {
            beat["part"]: beat
            for beat in Heartbeat.objects.values("part").annotate(
                last=Max("seen_at"), alive=Count("id", filter=alive(now))
            )
        }
        runs = Run.objects.filter(finished_at__isnull=True).aggregate(
            all=Count("id"), queued=Count("id", filter=Q(state=Run.State.QUEUED))
        )
        due = pollable().aggregate(at=Min("next_poll_at"))["at"]
        faults = [
            _silent(part, parts[part]["last"] if part in parts else None, now)
            for part in PARTS
            if part not in parts or not parts[part]["alive"]
        ]
        if trouble := broker_trouble(row.queue):
            faults.append(Fault(trouble.words, trouble.command))
        return cls(
            running=row.running,
            stopped_by=row.stopped_by,
            stopped_at=row.stopped_at,
            workers=parts["worker"]["alive"] if "worker" in parts else 0,
            queued=runs["queued"],
            open_runs=runs["all"],
            next_poll=_("now") if due and due <= now else times.on(due, now) if due else "",
            faults=tuple(faults),
            local=tuple(_in_words(fault, now) for fault in local_faults(now)),
            fallen=_falls(now),
            late=_lateness(now),
        )


def _falls(now: datetime) -> tuple[str, ...]:
    """Only parts of this process: a supervisor restarts and reports those of others."""
    return tuple(
        ngettext(
            "A part of the service (%(part)s) ended unexpectedly and was started again; the log says why.",
            "A part of the service (%(part)s) ended unexpectedly and was started again %(count)s times in ten minutes; "
            "the log says why.",
            often,
        )
        % {"part": part, "count": often}
        for part, often in sorted(heartbeat.falls(now).items())
    )


def _in_words(fault: LocalFault, now: datetime) -> str:
    failure = describe(fault.code)
    if not fault.rules:
        return f"{failure.title}. {failure.remedy}"
    rules = ngettext("%(count)s rule waits", "%(count)s rules wait", fault.rules) % {
        "count": amounts.count(fault.rules)
    }
    words = {"title": failure.title, "rules": rules, "ago": times.ago(fault.since, now), "remedy": failure.remedy}
    return _("%(title)s: %(rules)s, it began %(ago)s. %(remedy)s") % words


def _lateness(now: datetime) -> str:
    found = late(now)
    if found is None:
        return ""
    words = ngettext(
        "%(count)s rule is late, by %(wait)s", "%(count)s rules are late, the latest by %(wait)s", found.rules
    )
    minutes = int((now - found.since).total_seconds() // 60)
    return words % {"count": amounts.count(found.rules), "wait": amounts.lasting(minutes)}


def _silent(part: str, last: datetime | None, now: datetime) -> Fault:
    since = times.ago(last, now) if last else _("never")
    title = {
        "worker": _("No worker is running (last heard from: %(since)s): mail is not collected."),
        "beat": _("The scheduler is not running (last heard from: %(since)s): rules are not polled by themselves."),
    }[part]
    return Fault(
        title % {"since": since}, PARTS[part] if settings.UTM_MAIL_REDIS_URL else f"{settings.UTM_MAIL_COMMAND} up"
    )


def strip(request: HttpRequest) -> dict[str, object]:
    """The template context of every page. Lazy, so that pages without the strip ask no queries."""
    if not hasattr(request, "user") or not request.user.is_authenticated:  # a request may fail before it has a user
        return {}
    return {
        "service": SimpleLazyObject(lambda: Service.read(timezone.now())),
        "administers": SimpleLazyObject(lambda: roles.administers(request.user)),
        "edits_all": SimpleLazyObject(lambda: roles.edits_all(request.user)),
        "runs_service": SimpleLazyObject(lambda: roles.runs_service(request.user)),
        "broken_channels": SimpleLazyObject(lambda: _broken_channels(request.user)),
    }


def _broken_channels(user: roles.Reader) -> list[tuple[str, str]]:
    """In words, that a channel does not deliver notices, and the same with the reason. Empty unless the reader sees everything."""
    if not roles.sees_all(user):
        return []
    broken = Incident.objects.filter(kind=Incident.Kind.CHANNEL, closed_at=None)
    return [(silence(incident), fault(incident)) for incident in broken]


@require_POST
@access.operators_only
def start(request: HttpRequest) -> HttpResponse:
    if acts.switch_service(on=True, by=access.user_of(request)):
        messages.success(request, _("The service is running."))
    return redirect(back(request))


@require_POST
@access.operators_only
def stop(request: HttpRequest) -> HttpResponse:
    """Stop all scheduled polling; polls that are running end in good order."""
    if acts.switch_service(on=False, by=access.user_of(request)):
        messages.warning(
            request, _("The service is stopped: no mailbox is polled by schedule until it is started again.")
        )
    return redirect(back(request))


def strip_fragment(request: HttpRequest) -> HttpResponse:
    return render(request, "components/_strip.html")
