"""What a crash left between the record and the delivery is finished before anything else."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from django.utils import timezone

from fetchrules.errors import DeliveryFailed, MaildirReplaced, Retry
from fetchrules.ledger import letters as ledger
from fetchrules.models import Letter, SourceMailbox
from fetchrules.poll import STOPPING
from fetchrules.poll.blame import blame, count_try
from fetchrules.poll.destinations import Destination


class LettersElsewhere(MaildirReplaced):
    """Recorded letters wait in a directory that is no longer the recipient's: somebody has to look, and new ones are collected."""

    retry = Retry.LATER


def recover(source: SourceMailbox) -> DeliveryFailed | None:
    """Finish the delivery of every recorded letter; why some could not be, if so: they stay in hand, and in nobody's way."""
    return next(iter(finish_all(ledger.unfinished(source)).values()), None)


def finish_all(letters: Iterable[Letter]) -> dict[int, DeliveryFailed]:
    """Finish the delivery of these recorded letters, mailbox by mailbox; where that failed, why, by row."""
    failures: dict[int, DeliveryFailed] = {}
    for (recipient, directory), group in groupby(sorted(letters, key=_place), _place):
        rows = {letter.file_name: letter.id for letter in group}
        try:
            _finish(recipient, directory, rows)
        except DeliveryFailed as error:
            failures.update(dict.fromkeys(rows.values(), error))
    return failures


def _place(letter: Letter) -> tuple[str, str]:
    return letter.recipient, letter.directory


def _finish(recipient: str, directory: str, rows: Mapping[str, int]) -> None:
    """Deliver what still waits in the staging directory; there, and only there, what is missing was delivered."""
    destination = Destination(recipient, lambda: STOPPING.by)
    try:
        destination.prepare(0)
        if destination.mailbox.marker != directory:
            raise LettersElsewhere(
                f"{recipient}: letters wait in another directory, where they were delivered to before"
            )
        waiting = destination.mailbox.in_doubt(list(rows))
        ledger.record_twice([rows[name] for name in waiting])
        failures = destination.mailbox.commit(list(rows))
        ledger.record_delivered([rows[name] for name in rows if name not in failures], timezone.now())
        personal = blame(failures, server_works=len(failures) < len(waiting)).letters
        held = [name for name in personal if count_try(rows[name], failures[name])]
        destination.mailbox.discard(held)  # the rows before the files: what is on record and gone passes for taken
    finally:
        destination.close()
    unfinished = [failure for name, failure in failures.items() if name not in held]
    if unfinished:
        raise unfinished[0]
