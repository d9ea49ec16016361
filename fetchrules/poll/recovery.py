"""Letters that a crash left between their record and their delivery, and those whose local mailbox was replaced meanwhile."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from django.utils import timezone

from fetchrules.delivery.dialogue import Deferred, Unanswered
from fetchrules.errors import DeliveryFailed, DeliveryRefused, FolderUnsupported, MaildirReplaced, Retry
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import unattended
from fetchrules.models import Letter, SourceMailbox
from fetchrules.poll.destinations import Destination, forget_marker, mailbox_key, replaced
from fetchrules.remote.stopping import STOPPING


class LettersElsewhere(MaildirReplaced):
    """Recorded letters wait in a directory that is no longer the recipient's. New letters are collected."""

    retry = Retry.LATER


def recover(source: SourceMailbox) -> DeliveryFailed | None:
    """Finish the delivery of every recorded letter; the first failure, if any. Letters that failed stay in hand."""
    return next(iter(finish_all(ledger.unfinished(source)).values()), None)


def lost_by_replacing(recipient: str) -> list[int] | None:
    """If another directory stands in the mailbox's place, ids of letters that were about to go to the old one; else None.

    Delivers the letters in hand first, if the old directory is back; those of a running poll are left to it.
    """
    in_hand = [letter for letter in unattended() if mailbox_key(letter.recipient) == mailbox_key(recipient)]
    lost = [row_id for row_id, error in finish_all(in_hand).items() if isinstance(error, MaildirReplaced)]
    return lost if lost or replaced(recipient) is not None else None


def accept(recipient: str, lost: Collection[int]) -> int:
    """Deliver into the present directory from now on. Returns how many letters are collected again.

    The `lost` letters may have been delivered before, but they are still on the server, and a duplicate is better than a loss. The
    caller opens the transaction.
    """
    taken = list(unattended().filter(id__in=lost).values_list("id", flat=True))
    for row_id in taken:
        ledger.take_back(row_id)
    forget_marker(recipient)
    return len(taken)


def finish_all(letters: Iterable[Letter]) -> dict[int, DeliveryFailed]:
    """Finish the delivery of these recorded letters, mailbox by mailbox; the failures by row id."""
    failures: dict[int, DeliveryFailed] = {}
    for (recipient, into, directory), group in groupby(sorted(letters, key=_directory_of), _directory_of):
        rows = {letter.file_name: letter.id for letter in group}
        try:
            _finish(recipient, into, directory, rows)
        except DeliveryFailed as error:
            failures.update(dict.fromkeys(rows.values(), error))
    return failures


def _directory_of(letter: Letter) -> tuple[str, str, str]:
    return letter.recipient, letter.into, letter.directory


def _finish(recipient: str, into: str, directory: str, rows: Mapping[str, int]) -> None:
    """Deliver what is still staged. A letter that is missing from its own staging directory was delivered."""
    try:
        destination = Destination(recipient, into, lambda: STOPPING.by)
    except FolderUnsupported as error:
        raise LettersElsewhere(
            f"{recipient}: letters wait for a folder that no mail server delivers into now"
        ) from error
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
