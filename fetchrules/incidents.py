"""Incidents: a rule that fails time after time, or has not succeeded for long. One notice when it begins, one when it ends.

Found by looking at the rules now and then, not by hooks in the poll: what a poll leaves behind is all there is to know.
"""

import json
import logging
import urllib.request
from collections.abc import Sequence
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from fetchrules.models import FetchRule, Incident, Pause, ServiceSettings
from fetchrules.wording.incidents import notice_of

log = logging.getLogger(__name__)

WEBHOOK_SECONDS = 10


def watch(now: datetime) -> None:
    """Open and close incidents, and tell of those that nobody was told of yet."""
    service = ServiceSettings.current()
    if service.running:
        _open(service, now)
    _close(service, now)
    _tell(service, now)


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
        [Incident(rule=rule, kind=kind, error=rule.last_error, opened_at=now) for rule, kind in found],
        ignore_conflicts=True,
    )


def _close(service: ServiceSettings, now: datetime) -> None:
    bad = FetchRule.objects.filter(_failing(service) | _starved(service, now))
    still = Incident.objects.filter(closed_at=None).exclude(rule__in=bad)
    # A rule that was switched off or paused by hand has not recovered; whoever did it knows.
    still.filter(Q(rule__enabled=False) | Q(rule__pause=Pause.BY_HAND)).update(closed_at=now, told_end_at=now)
    still.filter(closed_at=None).update(closed_at=now)


def _tell(service: ServiceSettings, now: datetime) -> None:
    """Each notice is taken before it is sent, so that it is not sent twice, and given back if it could not be sent."""
    begun = _take(Incident.objects.filter(told_at=None, closed_at=None), "told_at", now)
    ended = _take(
        Incident.objects.exclude(told_at=None).exclude(closed_at=None).filter(told_end_at=None), "told_end_at", now
    )
    if (begun or ended) and not _sent(service, begun, ended):
        Incident.objects.filter(id__in=[incident.id for incident in begun]).update(told_at=None)
        Incident.objects.filter(id__in=[incident.id for incident in ended]).update(told_end_at=None)


def _take(incidents: QuerySet[Incident], column: str, now: datetime) -> list[Incident]:
    return [
        incident
        for incident in incidents.select_related("rule")
        if Incident.objects.filter(id=incident.id, **{column: None}).update(**{column: now})
    ]


def _sent(service: ServiceSettings, begun: Sequence[Incident], ended: Sequence[Incident]) -> bool:
    addresses = service.alert_addresses.split()
    with translation.override(settings.LANGUAGE_CODE):
        notice = notice_of(begun, ended)
    try:
        if addresses:
            send_mail(notice.subject, notice.text, settings.DEFAULT_FROM_EMAIL, addresses)
        if service.alert_webhook:
            _post(service.alert_webhook, notice.data | {"text": f"{notice.subject}\n{notice.text}"})
    except (OSError, SMTPException) as error:
        log.warning(_("The notice of an incident could not be sent and will be tried again: %s"), error)
        return False
    return True


def _post(url: str, data: dict[str, object]) -> None:
    if not url.startswith(("http://", "https://")):
        raise OSError("a webhook is an http or https address")
    request = urllib.request.Request(  # noqa: S310 -- the scheme was just looked at
        url, json.dumps(data, ensure_ascii=False).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS):  # noqa: S310
        pass
