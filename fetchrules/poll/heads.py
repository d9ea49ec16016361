"""Letters that their headers tell enough of, so that they need not be fetched."""

from collections.abc import Iterable, Iterator, Sequence

from fetchrules.delivery.fingerprint import head_print
from fetchrules.ledger.branches import collected_heads
from fetchrules.ledger.former import former_ledgers
from fetchrules.policy import NO_HEAD, Errand, Purpose, Why, is_known, passed_by_head
from fetchrules.poll.intake import Intake
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Listed, RemoteMailbox

AT_ONCE = 1000
"""Headers that one session asks for; the other letters wait for the next one."""


def heads(mailbox: RemoteMailbox, letters: Iterable[Listed], progress: Progress) -> Iterator[tuple[Listed, str]]:
    """Each of `letters` with the fingerprint of its header; NO_HEAD where the server does not give it alone."""
    for letter, octets in mailbox.heads(letters):
        progress.received(len(octets or b""))
        yield letter, NO_HEAD if octets is None else head_print(octets)


def settled_by_head(mailbox: RemoteMailbox, errands: Sequence[Errand], intake: Intake) -> list[Errand]:
    """Those of `errands` that have to be fetched, after a look at the headers of letters that may be known by them.

    A letter that was passed over is recognised. One that is marked as read, or for deletion, and of which no ledger of the account
    knows the header is none of ours, and left alone. Letters beyond AT_ONCE are left for a later poll.
    """
    looked_at = [one for one in errands if one.compare and (intake.passed or one.purpose is not Purpose.COLLECT)]
    if not looked_at:
        return list(errands)
    postponed = {one.letter.number for one in looked_at[AT_ONCE:]}
    told = {letter.number: head for letter, head in heads(mailbox, _letters(looked_at[:AT_ONCE]), intake.progress)}
    former = former_ledgers(intake.source)
    ours, headless = collected_heads(intake.source, intake.epoch, former)
    to_fetch: list[Errand] = []
    for errand in errands:
        head = told.get(errand.letter.number, "")
        match = passed_by_head(intake.passed, errand.letter, head)
        if errand.letter.number in postponed:
            intake.progress.left[Why.DOUBT] += 1
        elif not is_known(head):
            to_fetch.append(errand)
        elif match.row is not None:
            intake.recognise_passed(errand, match.row, head)
        elif errand.purpose is not Purpose.COLLECT and head not in ours and not headless:
            intake.set_apart(errand.letter, head)
        else:
            to_fetch.append(errand)
    intake.record_compared()
    return to_fetch


def _letters(errands: Sequence[Errand]) -> list[Listed]:
    return [errand.letter for errand in errands]
