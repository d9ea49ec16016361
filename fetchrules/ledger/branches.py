"""The branches of a mailbox: what one recipient has of it may be news to another."""

from collections.abc import Collection

from fetchrules.models import Letter, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy import State


def collected_by_others(source: SourceMailbox, epoch: int, uids: Collection[str]) -> frozenset[str]:
    """Of these letters, the ones that another branch of the same mailbox has collected."""
    mailbox = {column: getattr(source, column) for column in ("protocol", "host", "port", "user", "folder")}
    others = list(SourceMailbox.objects.filter(**mailbox).exclude(pk=source.pk)) if uids else []
    theirs = Letter.objects.filter(source__in=others, epoch=epoch, state=State.DELIVERED)
    found: set[str] = set()
    for some in chunks(sorted(uids)) if others else ():
        found.update(theirs.filter(uid__in=some).values_list("uid", flat=True))
    return frozenset(found)
