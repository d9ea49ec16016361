"""What a crash left between the record and the delivery is finished before anything else."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from django.utils import timezone

from fetchrules.destinations import Destination
from fetchrules.errors import DeliveryFailed, DeliveryRefused, MaildirReplaced
from fetchrules.ledger import letters as ledger
from fetchrules.models import Letter, SourceMailbox


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
    destination = Destination(recipient)
    try:
        destination.prepare(0)
        if destination.mailbox.marker != directory:
            raise MaildirReplaced(
                f"{recipient}: letters wait in another directory, where they were delivered to before"
            )
        ledger.record_twice([rows[name] for name in destination.mailbox.in_doubt(list(rows))])
        failures = destination.mailbox.commit(list(rows))
    finally:
        destination.close()
    ledger.record_delivered([rows[name] for name in rows if name not in failures], timezone.now())
    for name, failure in failures.items():
        if not isinstance(failure, DeliveryRefused):
            raise failure
        ledger.hold_back(rows[name], failure, 1, timezone.now())
