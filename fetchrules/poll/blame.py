"""Whether the letter or the mail server is at fault when a letter is not taken: the one is held, the other is reported."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import timezone

from fetchrules.delivery.dialogue import Deferred, Unanswered
from fetchrules.errors import DeliveryFailed, DeliveryRefused
from fetchrules.ledger import letters as ledger


@dataclass(frozen=True, slots=True)
class Blame:
    """`letters`: names of the letters against which a try counts. `server`: the failure to report if the server is at fault."""

    letters: frozenset[str]
    server: DeliveryFailed | None


def blame(failures: Mapping[str, DeliveryFailed], *, server_works: bool) -> Blame:
    """Judge the failures of a batch, by file name; `server_works`: the server has taken other letters.

    A letter that is refused for good, or gets no answer, is at fault; so is one that is put off by a server that takes others.
    If the server takes none, it is at fault itself, and a try counts only against the first letter, which comes last in the next
    batch: a filter that is down for an hour must not get a whole mailbox held, and a letter that it never accepts must not
    stay ahead of the others.
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
    """Count a failed try against a recorded letter; whether it is held now. Otherwise it is sent again."""
    if isinstance(failure, Unanswered):
        return ledger.record_unanswered(row_id, failure, timezone.now())
    ledger.hold_back(row_id, failure, timezone.now())
    return True
