"""Limits on attempts to enter a password and on tests of connections.

An attempt is written before the password is examined, and all rows of the window count, also those of attempts in progress. So no
more than the limit get through, however many come at once. The row is deleted if the password was right, and if the attempt was
refused unexamined: it told nobody anything, and repeating it must not keep the login closed.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone

from fetchrules.acts import audit, roles
from fetchrules.models import Attempt, AuditEntry

WINDOW = timedelta(minutes=15)
FROM_ONE_PLACE_AS_ONE = 10
FROM_ONE_PLACE = 50
AS_ONE = 200
"""Limits within WINDOW: from one place under one name; from one place; under one name, high so that strangers lock nobody out."""

TRIALS = 20
TRIALS_WINDOW = timedelta(hours=1)
"""How many connections a user who is no administrator may test in TRIALS_WINDOW."""

NAMELESS_NOTED = AS_ONE
"""How many refused logins under unknown names are noted in WINDOW, so that strangers do not fill the audit."""


class TooMany(Exception):
    """There were too many attempts, so this one was not examined."""


def is_right(who: str, address: str, check: Callable[[], bool], refusal: str = "login_refused") -> bool:
    """Whether `check` says that the password of `who` is right. If not, the audit notes the event `refusal`.

    Raises TooMany, without calling `check`, after too many wrong ones.
    """
    now, place = timezone.now(), place_of(address)
    attempt = _begin(Attempt.What.PASSWORD, who, place, now)
    if closed := _closed(who, place, now):
        attempt.delete()
        _note_closing(*closed, now)
        raise TooMany
    if check():
        attempt.delete()
        return True
    _note_refusal(refusal, who, address, now)
    return False


def begin_trial(about: str, server: str, port: int, *, by: User) -> None:
    """Count and note one test of a connection. Raises TooMany; administrators may test as often as they need."""
    now, who = timezone.now(), by.get_username()
    if not roles.administers(by):
        attempt = _begin(Attempt.What.TRIAL, who, "", now)
        if _recent(Attempt.What.TRIAL, now, TRIALS_WINDOW).filter(who=who).count() > TRIALS:
            attempt.delete()
            raise TooMany
    audit.record(by, "connection_tested", about, server=server, port=port)


def place_of(address: str) -> str:
    """The IPv4 address, also of one mapped to IPv6; of IPv6 the /64, since one customer has all of it."""
    try:
        found = ip_address(address)
    except ValueError:  # a socket of this machine has none
        return address[:64] or "local"
    if isinstance(found, IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((int(found), 64), strict=False))


def _begin(what: Attempt.What, who: str, place: str, now: datetime) -> Attempt:
    return Attempt.objects.create(at=now, what=what, who=who, place=place)


def _recent(what: Attempt.What, now: datetime, window: timedelta) -> QuerySet[Attempt]:
    """Attempts within `window` of `now`, on both sides. Those that a wrong clock dated further ahead do not count."""
    return Attempt.objects.filter(what=what, at__gt=now - window, at__lt=now + window)


def _closed(who: str, place: str, now: datetime) -> tuple[str, str] | None:
    """The name and the place for which the login is closed; an empty one means any. None if it is open."""
    limits = [(who, place, FROM_ONE_PLACE_AS_ONE), ("", place, FROM_ONE_PLACE), (who, "", AS_ONE)]
    for name, where, most in limits:
        tries = _recent(Attempt.What.PASSWORD, now, WINDOW)
        if name:
            tries = tries.filter(who=name)
        if where:
            tries = tries.filter(place=where)
        if tries.count() > most:
            return name, where
    return None


def _note_closing(who: str, place: str, now: datetime) -> None:
    """Note once in WINDOW that the login is closed."""
    noted = AuditEntry.objects.filter(at__gt=now - WINDOW, what="logins_closed", who=who, about=place)
    if not noted.exists():
        audit.record_stranger(who, "logins_closed", place, now)


def _note_refusal(what: str, who: str, address: str, now: datetime) -> None:
    names = User.objects.values("username")
    if not names.filter(username=who).exists():
        nameless = AuditEntry.objects.filter(what=what, at__gt=now - WINDOW).exclude(who__in=names)
        if nameless.count() >= NAMELESS_NOTED:
            return
    audit.record_stranger(who, what, address, now)
