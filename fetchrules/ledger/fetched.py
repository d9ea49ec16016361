"""Lists of letters that other collectors have fetched, while they wait for a complete listing.

They bear no sizes, without which a letter of the ledger proves nothing. A poll that lists the mailbox completely counts those that
are there as collected, with the sizes that it finds, and drops the others (`letters.record_elsewhere`).
"""

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import QuerySet

from fetchrules.ledger.settled import UNSETTLED
from fetchrules.ledger.source_mailboxes import former_of
from fetchrules.models import FetchedBefore, SourceMailbox
from fetchrules.models.chunks import chunks


def file(lists: Mapping[SourceMailbox, Iterable[str]]) -> None:
    """Let these names wait with their mailboxes, beside those that wait there. The next polls look through the mailboxes again."""
    with transaction.atomic():
        for some in chunks(list(lists)):
            waiting = FetchedBefore.objects.select_for_update().filter(source__in=some)
            known = dict(waiting.values_list("source_id", "uids"))
            waiting.delete()  # a poll that has read one of them notices by its id that there is more now
            FetchedBefore.objects.bulk_create(
                FetchedBefore(source=source, uids=sorted({*lists[source], *known.get(source.pk, ())}))
                for source in some
            )
            SourceMailbox.objects.filter(id__in=[source.pk for source in some]).update(**UNSETTLED)


def waiting(mailboxes: QuerySet[SourceMailbox]) -> int:
    """How many names wait with these mailboxes, or with former names of theirs."""
    return sum(map(len, FetchedBefore.objects.filter(source__in=_heeded(mailboxes)).values_list("uids", flat=True)))


def drop(mailboxes: QuerySet[SourceMailbox]) -> bool:
    """Forget the lists that wait with these mailboxes, or with former names of theirs; whether there was one."""
    return FetchedBefore.objects.filter(source__in=_heeded(mailboxes)).delete()[0] > 0


def heeded(mailbox: SourceMailbox) -> list[SourceMailbox]:
    """The mailboxes whose lists the polls of this one heed: itself, and former names of it on the same server or by the same login.

    With another server and another login it may be another mailbox, whose names are others' there.
    """
    formers = former_of(mailbox)
    return [mailbox, *(one for one in formers if one.host == mailbox.host or one.user == mailbox.user)]


def _heeded(mailboxes: QuerySet[SourceMailbox]) -> list[SourceMailbox]:
    return [one for mailbox in mailboxes for one in heeded(mailbox)]
