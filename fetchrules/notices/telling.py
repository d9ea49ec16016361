"""The channels of notices: each tells for itself, remembers what it has told, and has a back-off of its own.

A try is written down as a failure before it is made and struck out when the notice is sent. So only one of two watchers sends; a
sender that dies, or fails in a way that nobody foresaw, waits longer each time, as one that was refused; and the channels that work
go first, so that no other can keep them from telling.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import translation

from fetchrules.errors import FetchError, printable
from fetchrules.models import Channel, Incident, Notice, ServiceSettings
from fetchrules.models.chunks import chunks
from fetchrules.notices import mail, webhook
from fetchrules.words.incidents import Message, message_of

log = logging.getLogger(__name__)

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (2, 4, 8, 16, 32, 60))
"""Between one failure and the next try; the first is longer than a try may take."""

BROKEN_AFTER = 3
"""Failures in a row: a mail server that takes no letter at first (greylisting) is not broken."""

Send = Callable[[Message], None]
"""Raises FetchError where the message was not taken."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """Since when something is broken, and what the system says of it."""

    since: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class _News:
    """What a channel has not told yet. `own`: that it did not get through itself, which only its next success ends."""

    begun: Sequence[Incident]
    ended: Sequence[Incident]
    own: Sequence[Incident]

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended or self.own)


def names(service: ServiceSettings) -> frozenset[str]:
    """The channels that are set."""
    return frozenset(_ways(service))


def broken(service: ServiceSettings) -> Mapping[str, Breakage]:
    """The channels that are set and do not get through, by name."""
    found = Channel.objects.filter(name__in=names(service), failures__gte=BROKEN_AFTER).exclude(failing_since=None)
    return {channel.name: Breakage(channel.failing_since, channel.detail) for channel in found if channel.failing_since}


def tell(service: ServiceSettings, now: datetime) -> None:
    """Tell what is new by each channel that is set and may be tried again."""
    ways = _ways(service)
    Channel.objects.exclude(name__in=ways).delete()
    for name in ways:
        Channel.objects.get_or_create(name=name)
    for channel in Channel.objects.filter(name__in=ways).order_by("failures"):
        _tell(channel, ways[channel.name], now)


def try_at_once(*changed: str) -> None:
    """Forget the back-off of these channels, because somebody has changed where they lead."""
    Channel.objects.filter(name__in=changed).update(next_try_at=None)


def try_out(service: ServiceSettings, message: Message) -> Mapping[str, FetchError | None]:
    """Send `message` by each channel that is set, and say what came of it; one that took it is tried at once with what waits."""
    outcomes: dict[str, FetchError | None] = {}
    for name, send in _ways(service).items():
        try:
            send(message)
        except FetchError as error:
            outcomes[name] = error
        else:
            outcomes[name] = None
            try_at_once(name)
    return outcomes


def _ways(service: ServiceSettings) -> dict[str, Send]:
    ways: dict[str, Send] = {}
    addresses, hook = service.alert_addresses.split(), service.alert_webhook
    if addresses:
        ways[Channel.Name.MAIL] = lambda message: mail.send(message, addresses)
    if hook:
        ways[Channel.Name.WEBHOOK] = lambda message: webhook.send(message, hook, internal=service.webhook_internal)
    return ways


def _tell(channel: Channel, send: Send, now: datetime) -> None:
    if not _news(channel.name):
        # What it should have told is over: nothing is left that could show whether it works.
        Channel.objects.filter(pk=channel.pk).exclude(failures=0).update(**_WORKING)
        return
    if not _take(channel, now):
        return
    news = _news(channel.name)  # once more, because another watcher may have told it just before
    try:
        if news:
            send(_message(news))
    except FetchError as error:
        Channel.objects.filter(pk=channel.pk).update(detail=printable(str(error)))
        log.warning("notices by %s do not get through: %s", channel.name, error)
    else:
        _note(channel, news, now)


_WORKING = {"failures": 0, "failing_since": None, "next_try_at": None, "detail": ""}


def _take(channel: Channel, now: datetime) -> bool:
    """Count a try as failed until it is known better; False where it is too soon, or another watcher has taken it."""
    # A time further ahead than any pause was written by a clock that was wrong.
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
    unfinished = Incident.objects.filter(closed_at=None)
    return _News(
        begun=_read(unfinished.exclude(of_itself).filter(~Exists(told))),
        ended=_read(Incident.objects.exclude(closed_at=None).filter(Exists(told.filter(ended_at=None)))),
        own=_read(unfinished.filter(of_itself)),
    )


def _read(incidents: QuerySet[Incident]) -> list[Incident]:
    return list(incidents.select_related("rule"))


def _message(news: _News) -> Message:
    with translation.override(settings.LANGUAGE_CODE):
        return message_of(news.begun, [*news.ended, *news.own])


@transaction.atomic
def _note(channel: Channel, news: _News, now: datetime) -> None:
    """The channel works, and has told this."""
    Channel.objects.filter(pk=channel.pk).update(**_WORKING)
    for some in chunks(news.own):
        Incident.objects.filter(pk__in=[incident.pk for incident in some], closed_at=None).update(closed_at=now)
    for some in chunks([*news.begun, *news.own]):
        left = Incident.objects.filter(pk__in=[incident.pk for incident in some])  # with a rule, its incidents go
        Notice.objects.bulk_create(
            [Notice(incident=incident, channel=channel.name, begun_at=now) for incident in left], ignore_conflicts=True
        )
    for some in chunks([*news.ended, *news.own]):
        Notice.objects.filter(channel=channel.name, incident__in=some, ended_at=None).update(ended_at=now)
