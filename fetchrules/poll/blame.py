"""Whose fault it is that a mail server did not take a letter: the letter's own, which is held, or the server's, which is told."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import timezone

from fetchrules.delivery.dialogue import Deferred, Unanswered
from fetchrules.errors import DeliveryFailed, DeliveryRefused
from fetchrules.ledger import letters as ledger


@dataclass(frozen=True, slots=True)
class Blame:
    """`letters`: the names of those against whom a try counts. `server`: what to tell of the server, if it is at fault."""

    letters: frozenset[str]
    server: DeliveryFailed | None


def blame(failures: Mapping[str, DeliveryFailed], *, server_works: bool) -> Blame:
    """Judge what a batch's letters failed by; `server_works`: it has taken others.

    A letter that is refused for good, or gets no answer, is to blame. So is one that is put off, where the server takes others.
    Where it takes none the trouble is its own, and a try counts only against the first, which is last in the next batch:
    a filter that is down for an hour must not get a whole mailbox held, nor may letters it never likes stay before the others.
    """
    answered = (DeliveryRefused, Deferred, Unanswered)
    personal = [name for name, failure in failures.items() if isinstance(failure, answered)]
    put_off = [name for name in personal if isinstance(failures[name], Deferred)]
    if server_works:
        told = [failure for name, failure in failures.items() if name not in personal]
    else:
        personal = [name for name in personal if name not in put_off[1:]]
        told = [failure for failure in failures.values() if not isinstance(failure, DeliveryRefused)]
    return Blame(frozenset(personal), next(iter(told), None))


def count_try(row_id: int, failure: DeliveryFailed) -> bool:
    """Count it against a recorded letter. Whether it is held by that; otherwise it is in doubt, and will be sent again."""
    if isinstance(failure, Unanswered):
        return ledger.record_unanswered(row_id, failure, timezone.now())
    ledger.hold_back(row_id, failure, timezone.now())
    return True
