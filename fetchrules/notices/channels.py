"""The channels of notices. Each remembers what it has sent and has a back-off of its own.

An attempt is recorded as a failure before it is made, and reset when the notice is sent. So only one of two watchers sends, and a
sender that dies or fails unexpectedly backs off as one that was refused. Working channels go first, so that a broken one cannot
keep them from sending.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Coalesce
from django.utils import translation

from fetchrules.errors import FetchError, printable
from fetchrules.models import Channel, Incident, Notice, ServiceSettings
from fetchrules.models.chunks import chunks
from fetchrules.notices import mail, webhook
from fetchrules.notices.messages import Message, message_of

log = logging.getLogger(__name__)

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (2, 4, 8, 16, 32, 60))
"""The pauses after each failure. The first is longer than one attempt may take."""

BROKEN_AFTER = 3
"""Failures in a row. A mail server that refuses a letter at first (greylisting) is not broken."""

Send = Callable[[Message], None]
"""Sends one message. Raises FetchError if it was not accepted."""


@dataclass(frozen=True, slots=True)
class _News:
    """The incidents that a channel has not reported yet. `own` is the incident of its own failure, which its next success ends."""

    begun: Sequence[Incident]
    ended: Sequence[Incident]
    own: Sequence[Incident]

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended or self.own)


def names(service: ServiceSettings) -> frozenset[str]:
    return frozenset(_senders(service))


def broken(service: ServiceSettings) -> list[Incident]:
    """An incident, not saved yet, for each configured channel that does not deliver."""
    found = Channel.objects.filter(name__in=names(service), failures__gte=BROKEN_AFTER)
    return [
        Incident(kind=Incident.Kind.CHANNEL, error=channel.name, detail=channel.detail, opened_at=channel.failing_since)
        for channel in found
        if channel.failing_since
    ]


def send_news(service: ServiceSettings, now: datetime) -> None:
    """Send what is new by each configured channel whose back-off is over."""
    senders = _senders(service)
    Channel.objects.exclude(name__in=senders).delete()
    for name in senders:
        Channel.objects.get_or_create(name=name)
    for channel in Channel.objects.filter(name__in=senders).order_by("failures"):
        _send_news(channel, senders[channel.name], now)


def try_at_once(*changed: str) -> None:
    """End the back-off of these channels, because their settings have changed."""
    Channel.objects.filter(name__in=changed).update(next_try_at=None)


def try_out(service: ServiceSettings, message: Message) -> Mapping[str, FetchError | None]:
    """Send `message` by each configured channel, and return the error of each. One that works sends waiting notices at once."""
    outcomes: dict[str, FetchError | None] = {}
    for name, send in _senders(service).items():
        try:
            send(message)
        except FetchError as error:
            outcomes[name] = error
        else:
            outcomes[name] = None
            try_at_once(name)
    return outcomes


def _senders(service: ServiceSettings) -> dict[str, Send]:
    senders: dict[str, Send] = {}
    addresses, hook = service.alert_addresses.split(), service.alert_webhook
    if addresses:
        senders[Channel.Name.MAIL] = lambda message: mail.send(message, addresses)
    if hook:
        senders[Channel.Name.WEBHOOK] = lambda message: webhook.send(message, hook, internal=service.webhook_internal)
    return senders


def _send_news(channel: Channel, send: Send, now: datetime) -> None:
    if not _news(channel.name):
        # Nothing is left to send that could show whether the channel works, so it counts as working.
        Channel.objects.filter(pk=channel.pk).exclude(failures=0).update(**_WORKING)
        return
    if not _take(channel, now):
        return
    news = _news(channel.name)  # again, because another watcher may have just sent it
    try:
        if news:
            with translation.override(settings.LANGUAGE_CODE):
                message = message_of(news.begun, [*news.ended, *news.own])
            send(message)
    except FetchError as error:
        Channel.objects.filter(pk=channel.pk).update(detail=printable(str(error)))
        log.warning("notices by %s do not get through: %s", channel.name, error)
    else:
        _note(channel, news, now)


_WORKING = {"failures": 0, "failing_since": None, "next_try_at": None, "detail": ""}


def _take(channel: Channel, now: datetime) -> bool:
    """Record an attempt as failed, before it is made. False if it is too soon, or another watcher makes it."""
    # A wrong clock wrote any time that is further ahead than the longest pause.
    due = Q(next_try_at=None) | Q(next_try_at__lte=now) | Q(next_try_at__gt=now + PAUSES[-1])
    pause = PAUSES[min(channel.failures, len(PAUSES) - 1)]
    return bool(
        Channel.objects.filter(due, pk=channel.pk, failures=channel.failures).update(
            failures=F("failures") + 1, failing_since=Coalesce("failing_since", Value(now)), next_try_at=now + pause
        )
    )


def _news(name: str) -> _News:
    told = Notice.objects.filter(incident=OuterRef("pk"), channel=name)
    of_itself = Q(kind=Incident.Kind.CHANNEL, error=name)
    incidents = Incident.objects.select_related("rule")
    unfinished = incidents.filter(closed_at=None)
    return _News(
        begun=list(unfinished.exclude(of_itself).filter(~Exists(told))),
        ended=list(incidents.exclude(closed_at=None).filter(Exists(told.filter(ended_at=None)))),
        own=list(unfinished.filter(of_itself)),
    )


@transaction.atomic
def _note(channel: Channel, news: _News, now: datetime) -> None:
    """Record that the channel works and has sent this."""
    Channel.objects.filter(pk=channel.pk).update(**_WORKING)
    for some in chunks(news.own):
        Incident.objects.filter(pk__in=[incident.pk for incident in some], closed_at=None).update(closed_at=now)
    for some in chunks([*news.begun, *news.own]):
        left = Incident.objects.filter(pk__in=[incident.pk for incident in some])  # those of deleted rules are gone
        Notice.objects.bulk_create(
            [Notice(incident=incident, channel=channel.name, begun_at=now) for incident in left], ignore_conflicts=True
        )
    for some in chunks([*news.ended, *news.own]):
        Notice.objects.filter(channel=channel.name, incident__in=some, ended_at=None).update(ended_at=now)
