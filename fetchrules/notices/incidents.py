"""Incidents: a rule that keeps failing or has not succeeded for long, a broken channel, a fault of this machine.

Beat looks at the rows every minute. Polls do not report incidents: their results in the rows say everything.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from fetchrules.ledger.local_faults import local_faults
from fetchrules.models import FetchRule, Incident, Notice, Pause, ServiceSettings
from fetchrules.notices import channels

LASTING = timedelta(minutes=5)
"""A fault of this machine that is over sooner is shown in the panel, but not sent as a notice."""


def watch(now: datetime) -> None:
    """Open and close incidents, and send what is new by every channel."""
    service = ServiceSettings.current()
    if service.running:
        _open(service, now)
    _close(service, now)
    unset = Incident.objects.filter(kind=Incident.Kind.CHANNEL, closed_at=None).exclude(
        error__in=channels.names(service)
    )
    _close_silently(unset, now)
    _match(Incident.Kind.CHANNEL, channels.broken(service), now)
    lasting = [
        Incident(kind=Incident.Kind.LOCAL, error=fault.code, detail=fault.detail, opened_at=fault.since)
        for fault in local_faults(now)
        if not fault.rules or fault.since <= now - LASTING
    ]
    _match(Incident.Kind.LOCAL, lasting, now)
    channels.send_news(service, now)


def _failing(service: ServiceSettings) -> Q:
    return Q(enabled=True) & (Q(failures__gte=service.alert_after_failures) | Q(pause=Pause.FAILURE))


def _starved(service: ServiceSettings, now: datetime) -> Q:
    since = now - timedelta(hours=service.alert_after_hours)
    never = Q(last_success_at=None, created_at__lt=since)
    return Q(enabled=True) & ~Q(pause=Pause.BY_HAND) & (Q(last_success_at__lt=since) | never)


def _open(service: ServiceSettings, now: datetime) -> None:
    quiet = FetchRule.objects.filter(~Exists(Incident.objects.filter(rule=OuterRef("pk"), closed_at=None)))
    found = [(rule, Incident.Kind.FAILING) for rule in quiet.filter(_failing(service))]
    known = {rule.id for rule, _ in found}
    found += [(rule, Incident.Kind.STARVED) for rule in quiet.filter(_starved(service, now)) if rule.id not in known]
    Incident.objects.bulk_create(
        [
            Incident(rule=rule, kind=kind, error=rule.last_error, opened_at=_since(rule, kind) or now)
            for rule, kind in found
        ],
        ignore_conflicts=True,
    )


def _since(rule: FetchRule, kind: Incident.Kind) -> datetime | None:
    return rule.failing_since if kind == Incident.Kind.FAILING else rule.last_success_at or rule.created_at


def _close(service: ServiceSettings, now: datetime) -> None:
    # Asking for a poll, or an edit, counts the failures anew: the rule has recovered when a poll has succeeded.
    bad = FetchRule.objects.filter(_failing(service) | _starved(service, now) | Q(enabled=True, failing_since__lt=now))
    still = Incident.objects.filter(closed_at=None).exclude(rule=None).exclude(rule__in=bad)
    # A rule that was switched off or paused by hand has not recovered, so no channel says so.
    _close_silently(still.filter(Q(rule__enabled=False) | Q(rule__pause=Pause.BY_HAND)), now)
    still.update(closed_at=now)


def _match(kind: Incident.Kind, broken: Sequence[Incident], now: datetime) -> None:
    """Make the open incidents of this kind those of `broken`."""
    ours = Incident.objects.filter(rule=None, kind=kind, closed_at=None)
    ours.exclude(error__in=[incident.error for incident in broken]).update(closed_at=now)
    Incident.objects.bulk_create(broken, ignore_conflicts=True)


@transaction.atomic
def _close_silently(incidents: QuerySet[Incident], now: datetime) -> None:
    Notice.objects.filter(incident__in=incidents, ended_at=None).update(ended_at=now)
    incidents.update(closed_at=now)
