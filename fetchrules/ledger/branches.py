"""The branches of a mailbox: what one recipient has of it may be news to another."""

from collections.abc import Collection
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet

from fetchrules.ledger.sources import former_of
from fetchrules.models import Letter, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy import IN_HAND, State


def collected_by_others(source: SourceMailbox, epoch: int, uids: Collection[str]) -> frozenset[str]:
    """Of these letters, the ones that another branch of the same mailbox has collected."""
    others = list(_branches(source).exclude(pk=source.pk)) if uids else []
    theirs = Letter.objects.filter(source__in=others, epoch=epoch, state=State.DELIVERED)
    found: set[str] = set()
    for some in chunks(sorted(uids)) if others else ():
        found.update(theirs.filter(uid__in=some).values_list("uid", flat=True))
    return frozenset(found)


def collected_for_others(source: SourceMailbox, fingerprint: str, head: str = "") -> bool:
    """Whether another branch of the mailbox, by whichever name, has collected a letter of this content, or with this header."""
    ours = [source, *former_of(source)]
    others = _branches(*ours).exclude(pk__in=[one.pk for one in ours])
    same = Q(fingerprint=fingerprint) | (Q(head=head) if head else Q())
    return Letter.objects.filter(same, source__in=others, state=State.DELIVERED).exists()


def collected_heads(source: SourceMailbox, epoch: int) -> tuple[frozenset[str], bool]:
    """The fingerprints of the headers of letters that were collected from the mailbox, for whomever, in another epoch or under a
    former name; and whether there are such letters of whose headers none is on record.
    """
    present = list(_branches(source))
    former = _branches(*former_of(source)) if source.continues_id else ()
    letters = Letter.objects.filter(source__in=present).exclude(epoch=epoch) | Letter.objects.filter(
        source__in=list(former)
    )
    heads = letters.filter(state__in=[State.DELIVERED, *IN_HAND]).values_list("head", flat=True)
    known = frozenset(heads.distinct())
    return known - {""}, "" in known


def has_moved(source: SourceMailbox, epoch: int) -> bool:
    """Whether some branch of the mailbox, this one included, has letters on record, be they forgotten, of another epoch."""
    letters = Letter.objects.filter(source__in=list(_branches(source))).exclude(state=State.READ)
    # Each is a look into the index of names; "not equal" would read all of it, at every poll.
    return letters.filter(epoch__lt=epoch).exists() or letters.filter(epoch__gt=epoch).exists()


def _branches(*ledgers: SourceMailbox) -> QuerySet[SourceMailbox]:
    """All branches of the mailboxes that these ledgers belong to."""
    columns = ("protocol", "host", "port", "user", "folder")
    mailboxes = [Q(**{column: getattr(one, column) for column in columns}) for one in ledgers]
    return SourceMailbox.objects.filter(reduce(or_, mailboxes))
