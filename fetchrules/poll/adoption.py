"""The administrator's word that a local mailbox that was replaced is the right one."""

from django.db import transaction

from fetchrules.errors import MaildirReplaced
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import unattended
from fetchrules.poll.destinations import forget_marker, replaced, same_mailbox
from fetchrules.poll.recovery import finish_all


def adopt(recipient: str) -> int:
    """Deliver to `recipient` again, into what stands in his mailbox's place now. How many letters are new again by that.

    They are those that were about to be delivered when the old directory went: nobody can say whether they were. They are still
    on the server, and a letter that comes twice is better than one that never comes. If the old directory is back, they are
    delivered, and it stays the known one. Letters of a poll at work are left to it.
    """
    in_hand = [letter for letter in unattended() if same_mailbox(letter.recipient, recipient)]
    lost = [row_id for row_id, error in finish_all(in_hand).items() if isinstance(error, MaildirReplaced)]
    if not lost and replaced(recipient) is None:
        return 0
    with transaction.atomic():
        taken = list(unattended().filter(id__in=lost).values_list("id", flat=True))
        for row_id in taken:
            ledger.take_back(row_id)
        forget_marker(recipient)
    return len(taken)
