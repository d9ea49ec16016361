"""Refused logins: noted in the audit, and too many of them refused without looking."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from fetchrules.models import AuditEntry

WINDOW = timedelta(minutes=15)
FROM_ONE_PLACE_AS_ONE = 10
FROM_ONE_PLACE = 50
AS_ONE = 200
"""In WINDOW: by this address under this name; by this address; under this name. The last is high: strangers lock nobody out."""
_REFUSED = "login_refused"


def too_many(request: HttpRequest, name: str, now: datetime) -> bool:
    """Whether another attempt would be one too many."""
    recent = AuditEntry.objects.filter(what=_REFUSED, at__gt=now - WINDOW)
    here, as_one = Q(about=_address(request)), Q(who=name[:150])
    return (
        recent.filter(here, as_one).count() >= FROM_ONE_PLACE_AS_ONE
        or recent.filter(here).count() >= FROM_ONE_PLACE
        or recent.filter(as_one).count() >= AS_ONE
    )


def note(request: HttpRequest, name: str, now: datetime) -> None:
    """One more was refused."""
    AuditEntry.objects.create(at=now, who=name[:150], what=_REFUSED, about=_address(request))


def _address(request: HttpRequest) -> str:
    """The reader's. A proxy in front of us, if we were told of one, has written it last into X-Forwarded-For."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.SECURE_PROXY_SSL_HEADER else ""
    return (forwarded.rpartition(",")[2].strip() or request.META["REMOTE_ADDR"])[:100]
