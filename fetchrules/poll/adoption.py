"""The administrator's word that a local mailbox that was replaced is the right one."""

from django.db import transaction

from fetchrules.destinations import forget_marker, same_mailbox
from fetchrules.ledger import letters as ledger


def adopt(recipient: str) -> int:
    """Deliver to `recipient` again, into what stands in his mailbox's place now. How many letters are new again by that.

    They are those that were about to be delivered when the old directory went: nobody can say whether they were. They are still
    on the server, and a letter that comes twice is better than one that never comes. Raises RecipientInvalid.
    """
    with transaction.atomic():
        unfinished = [letter for letter in ledger.all_unfinished() if same_mailbox(letter.recipient, recipient)]
        for letter in unfinished:
            ledger.take_back(letter.id)
        forget_marker(recipient)
    return len(unfinished)
