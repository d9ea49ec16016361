"""What people decide over single letters: retry, pass over, take up, settle a doubt.

A letter in doubt (`policy.Doubt`) was delivered and stays on the server, whatever its rule says, until somebody settles it here.
"""

from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from fetchrules.errors import DeletionFailed
from fetchrules.ledger.letters import every_row
from fetchrules.ledger.settled import touch
from fetchrules.ledger.source_mailboxes import folders_of, source_of
from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy.known import Doubt, Fate, State
from fetchrules.rule import MASK
from fetchrules.ruletext.sources import sources_of

HELD = Q(state=State.HELD) & ~Q(reason="")
"""Without a reason no poll has tried it yet."""
DOUBTED = Q(state=State.DELIVERED) & ~Q(doubt="")
UNDELETED = Q(state=State.DELIVERED, doubt="", reason=DeletionFailed.code, tries__gt=0, forgotten_at=None)
"""The server breaks off when it is to delete them."""
PROBLEMS = HELD | DOUBTED | UNDELETED
"""The letters that somebody has to look at."""


def retry_held(letters: QuerySet[Letter]) -> int:
    """Let the next poll collect or delete these letters as if for the first time; returns how many."""
    return _decided(letters, Q(state=State.HELD) | UNDELETED, tries=0, tried_at=None)


def pass_over(letters: QuerySet[Letter]) -> int:
    """Leave letters that are held, perhaps passed over before, or undeletable on the server for good; returns how many."""
    perhaps_passed = Q(state=State.DELIVERED, doubt=Doubt.PASSED)
    chosen = Q(state=State.HELD) | perhaps_passed | UNDELETED
    return _decided(letters, chosen, state=State.PASSED, fate=Fate.KEPT, doubt="", tries=0)


def passed(mailboxes: QuerySet[SourceMailbox]) -> QuerySet[Letter]:
    return Letter.objects.filter(source__in=mailboxes, state=State.PASSED, forgotten_at=None)


def take_up(letters: QuerySet[Letter]) -> int:
    """Hold letters that were passed over, so that they are fetched even if marked as read; returns how many."""
    with transaction.atomic():
        letters.filter(state=State.PASSED, reason="").update(run=None)
        return _decided(letters, Q(state=State.PASSED), state=State.HELD, tries=0, tried_at=None)


def settle(letters: QuerySet[Letter]) -> int:
    """End the doubt about these letters: their rules decide over them again; returns how many."""
    number = 0
    with transaction.atomic():
        chosen = letters.filter(DOUBTED)
        touch(chosen)
        for mailbox in SourceMailbox.objects.filter(id__in=list(chosen.values_list("source_id", flat=True))):
            deletes = _deletes(mailbox)
            for ids in chunks(list(chosen.filter(source=mailbox).values_list("id", flat=True))):
                if deletes:
                    every_row(ids).filter(fate=Fate.KEPT, forgotten_at=None).update(fate=Fate.WANTED)
                number += every_row(ids).update(doubt="")
    return number


def collect_again(letters: QuerySet[Letter]) -> int:
    """Fetch and deliver these letters in doubt once more, if they are still on the server; returns how many.

    The first copy stays in the local mailbox. The rows are held, and belong to no poll.
    """
    afresh = {"doubt": "", "fate": Fate.KEPT, "octets": 0, "reason": "", "detail": "", "tries": 0, "tried_at": None}
    chosen = DOUBTED & Q(forgotten_at=None)
    return _decided(letters, chosen, state=State.HELD, run=None, **afresh)


def _decided(letters: QuerySet[Letter], chosen: Q, **columns: Any) -> int:
    """Change the `chosen` ones of these letters; returns how many."""
    with transaction.atomic():
        touch(letters.filter(chosen))
        return letters.filter(chosen).update(**columns)


def _deletes(mailbox: SourceMailbox) -> bool:
    """Whether the rule that reads `mailbox` deletes delivered letters at once. Of several rules, the enabled ones decide."""
    readers = [
        rule
        for rule in FetchRule.objects.filter(source__in=folders_of(mailbox))
        if source_of(mailbox) in sources_of(rule.as_rule(MASK))
    ]
    deciding = [rule for rule in readers if rule.enabled] or readers
    return bool(deciding) and all(not rule.keep and rule.keepdays is None for rule in deciding)
