"""Remote servers: what polls have learnt of each, and what people have said of it. A host is named as `SourceMailbox.host` is."""

from datetime import datetime

from django.db.models import F, QuerySet

from fetchrules.models.rule import RemoteHost


def sizes_are_wrong(host: str) -> bool:
    """Whether somebody declared that the sizes this server lists are not those of its letters."""
    return _row(host).filter(wrong_sizes=True).exists()


def with_wrong_sizes() -> QuerySet[RemoteHost]:
    """The servers that were declared so, by name."""
    return RemoteHost.objects.filter(wrong_sizes=True).order_by("host")


def declare_sizes(host: str, wrong: bool) -> None:
    """Sizes are not compared with what comes from this server from now on; or they are again."""
    RemoteHost.objects.update_or_create(host=host, defaults={"wrong_sizes": wrong})


def list_at_once(host: str) -> int | None:
    """How many letters one command of a listing may name there. None: no listing has broken yet."""
    return _row(host).values_list("list_at_once", flat=True).first()


def note_list_at_once(host: str, letters: int | None) -> None:
    """Remember that number after a listing that broke over more; None forgets it."""
    if letters is None:
        _row(host).update(list_at_once=None)
    else:
        RemoteHost.objects.update_or_create(host=host, defaults={"list_at_once": letters})


def that_shift() -> QuerySet[RemoteHost]:
    """The servers that have given known unique-ids to other letters, by name."""
    return RemoteHost.objects.filter(shifted__gt=0).order_by("host")


def count_shifted(host: str, letters: int, now: datetime) -> None:
    """At `now`, so many known unique-ids of this server turned out to be other letters'."""
    RemoteHost.objects.get_or_create(host=host)
    _row(host).update(shifted=F("shifted") + letters, shifted_at=now)


def _row(host: str) -> QuerySet[RemoteHost]:
    return RemoteHost.objects.filter(host=host)
