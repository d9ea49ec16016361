"""The branches of a mailbox: what one recipient has of it may be news to another."""

from collections.abc import Collection

from django.db.models import QuerySet

from fetchrules.models import Letter, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy import State


def collected_by_others(source: SourceMailbox, epoch: int, uids: Collection[str]) -> frozenset[str]:
    """Of these letters, the ones that another branch of the same mailbox has collected."""
    others = list(_branches(source).exclude(pk=source.pk)) if uids else []
    theirs = Letter.objects.filter(source__in=others, epoch=epoch, state=State.DELIVERED)
    found: set[str] = set()
    for some in chunks(sorted(uids)) if others else ():
        found.update(theirs.filter(uid__in=some).values_list("uid", flat=True))
    return frozenset(found)


def has_moved(source: SourceMailbox, epoch: int) -> bool:
    """Whether some branch of the mailbox, this one included, has letters on record, be they forgotten, of another epoch."""
    letters = Letter.objects.filter(source__in=list(_branches(source)))
    # Each is a look into the index of names; "not equal" would read all of it, at every poll.
    return letters.filter(epoch__lt=epoch).exists() or letters.filter(epoch__gt=epoch).exists()


def _branches(source: SourceMailbox) -> QuerySet[SourceMailbox]:
    mailbox = {column: getattr(source, column) for column in ("protocol", "host", "port", "user", "folder")}
    return SourceMailbox.objects.filter(**mailbox)
