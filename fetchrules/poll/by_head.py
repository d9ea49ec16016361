"""Letters that their headers tell enough of, so that they need not be fetched."""

from collections.abc import Iterator, Sequence

from fetchrules.ledger.knowing import collected_heads
from fetchrules.policy import Purpose, State, ToFetch, Why
from fetchrules.poll.comparison import Comparison
from fetchrules.poll.heads import heads
from fetchrules.remote.mailbox import Listed, RemoteMailbox

AT_ONCE = 1000
"""Headers that one session asks for; the other letters wait for the next one."""


def settled_by_head(mailbox: RemoteMailbox, planned: Sequence[ToFetch], comparison: Comparison) -> list[ToFetch]:
    """Those of `planned` that have to be fetched, after a look at the headers of letters that may be known by them.

    A letter that was passed over is recognised. One that is marked as read, or for deletion, and of which no ledger of the account
    knows the header is none of ours, and left alone. Letters beyond AT_ONCE are left for a later poll.
    """
    looked_at = [one for one in planned if one.compare and (comparison.passed or _is_told_by_head(one))]
    if not looked_at:
        return list(planned)
    # Letters without names are recognised anew in each poll, so that those behind them would wait for ever.
    postponed = {one.letter.number for one in looked_at[AT_ONCE:] if one.named}
    now = [one for one in looked_at if one.letter.number not in postponed]
    told = {letter.number: head for letter, head in _heads(mailbox, now, comparison)}
    ours, headless = collected_heads(comparison.source, comparison.epoch)
    remaining: list[ToFetch] = []
    for wanted in planned:
        head = told.get(wanted.letter.number, "")
        match = comparison.passed_match(wanted, head)
        if wanted.letter.number in postponed:
            comparison.postponed += 1
            comparison.progress.left[Why.DOUBT] += 1
        elif not head:
            remaining.append(wanted)
        elif match.row is not None:
            comparison.recognise_passed(wanted, match.row, head)
        elif wanted.purpose is not Purpose.COLLECT and head not in ours and not headless:
            comparison.set_apart(wanted.letter, head)
        else:
            remaining.append(wanted)
    comparison.record()
    return remaining


def _is_told_by_head(wanted: ToFetch) -> bool:
    passed = wanted.row is not None and wanted.row.state is State.PASSED
    return passed or wanted.purpose is not Purpose.COLLECT


def _heads(mailbox: RemoteMailbox, planned: Sequence[ToFetch], comparison: Comparison) -> Iterator[tuple[Listed, str]]:
    return heads(mailbox, comparison.source, [wanted.letter for wanted in planned], comparison.progress)
