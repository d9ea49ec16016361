"""Letters that a crash left between their record and their delivery, and those whose local mailbox was replaced meanwhile."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from django.db import transaction
from django.utils import timezone

from fetchrules.errors import DeliveryFailed, MaildirReplaced, Retry
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import unattended
from fetchrules.models import Letter, SourceMailbox
from fetchrules.poll import STOPPING
from fetchrules.poll.blame import blame, count_try
from fetchrules.poll.destinations import Destination, forget_marker, replaced, same_mailbox


class LettersElsewhere(MaildirReplaced):
    """Recorded letters wait in a directory that is no longer the recipient's. Somebody has to look; new letters are collected."""

    retry = Retry.LATER


def recover(source: SourceMailbox) -> DeliveryFailed | None:
    """Finish the delivery of every recorded letter; the first failure, if any. Letters that failed stay in hand."""
    return next(iter(finish_all(ledger.unfinished(source)).values()), None)


def adopt(recipient: str) -> int:
    """Accept the directory that stands in the place of the recipient's mailbox now, as the administrator says it is the right one.

    Returns how many letters are collected again: those that were about to be delivered when the old directory went, since nobody
    can say whether they were (they are still on the server, and twice is better than never). If the old directory is back, they are
    delivered there and it stays the known one. Letters of a poll at work are left to it.
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


def finish_all(letters: Iterable[Letter]) -> dict[int, DeliveryFailed]:
    """Finish the delivery of these recorded letters, mailbox by mailbox; the failures by row id."""
    failures: dict[int, DeliveryFailed] = {}
    for (recipient, directory), group in groupby(sorted(letters, key=_directory_of), _directory_of):
        rows = {letter.file_name: letter.id for letter in group}
        try:
            _finish(recipient, directory, rows)
        except DeliveryFailed as error:
            failures.update(dict.fromkeys(rows.values(), error))
    return failures


def _directory_of(letter: Letter) -> tuple[str, str]:
    return letter.recipient, letter.directory


def _finish(recipient: str, directory: str, rows: Mapping[str, int]) -> None:
    """Deliver what is still staged. A letter that is missing from its own staging directory was delivered."""
    destination = Destination(recipient, lambda: STOPPING.by)
    try:
        destination.prepare(0)
        if destination.mailbox.staging.marker != directory:
            raise LettersElsewhere(
                f"{recipient}: letters wait in another directory, where they were delivered to before"
            )
        waiting = destination.mailbox.in_doubt(list(rows))
        ledger.record_twice([rows[name] for name in waiting])
        failures = destination.mailbox.commit(list(rows))
        ledger.record_delivered([rows[name] for name in rows if name not in failures], timezone.now())
        personal = blame(failures, server_works=len(failures) < len(waiting)).letters
        held = [name for name in personal if count_try(rows[name], failures[name])]
        destination.mailbox.staging.remove(held)
    finally:
        destination.close()
    unfinished = [failure for name, failure in failures.items() if name not in held]
    if unfinished:
        raise unfinished[0]
