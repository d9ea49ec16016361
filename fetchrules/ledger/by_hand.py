"""What people say of letters: try it again, leave it on the server, take it after all."""

from django.db.models import QuerySet

from fetchrules.models import Letter, SourceMailbox
from fetchrules.policy import State


def retry_held(letters: QuerySet[Letter]) -> int:
    """Try these held letters again at the next poll, as if for the first time; how many."""
    return letters.filter(state=State.HELD).update(tries=0, tried_at=None)


def pass_over(letters: QuerySet[Letter]) -> int:
    """Leave these held letters on the server for good, by the administrator's own word; how many."""
    return letters.filter(state=State.HELD).update(state=State.PASSED, tries=0)


def passed(mailboxes: QuerySet[SourceMailbox]) -> QuerySet[Letter]:
    """Letters of these mailboxes that are left alone by the administrator's own word."""
    return Letter.objects.filter(source__in=mailboxes, state=State.PASSED, forgotten_at=None)


def take_up(letters: QuerySet[Letter]) -> int:
    """Letters that were passed over are fetched after all, be they marked as read on the server; how many.

    They are held; one that no poll has tried is so without a reason, and of no poll.
    """
    chosen = letters.filter(state=State.PASSED)
    chosen.filter(reason="").update(run=None)
    return chosen.update(state=State.HELD, tries=0, tried_at=None)
