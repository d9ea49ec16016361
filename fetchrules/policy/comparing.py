"""What size and header say of a letter, before or without a look at all of its content."""

from collections.abc import Sequence
from dataclasses import dataclass

from fetchrules.policy.known import Known
from fetchrules.remote.mailbox import Listed

SHORT_OCTETS = 1024
SHORT_SHARE = 0.1


def is_short(listed: int, octets: int) -> bool:
    """Whether a letter of `octets`, each line end counted as two, cannot be all of one of `listed` octets.

    Servers count sizes each in their way, so a little less is nothing: it takes more than 1 KB and a tenth, or half of it.
    """
    lack = listed - octets
    return (lack > SHORT_OCTETS and lack > SHORT_SHARE * listed) or 2 * octets < listed


@dataclass(frozen=True, slots=True)
class Match:
    """`row`: the letter that was passed over and is this one. `perhaps`: this may be one of them, but nobody can tell."""

    row: Known | None = None
    perhaps: bool = False


def passed_by_head(passed: Sequence[Known], letter: Listed, head: str) -> Match:
    """Which of the letters that were passed over `letter` is, whose header has the fingerprint `head` (empty: unknown).

    They were never fetched, so that size and header have to tell. Both equal: it is the one. The header equal and the size not,
    or one header unknown and the size or the unique-id equal: it may be.
    """
    same_size = [row for row in passed if row.size == letter.size]
    alike = [row for row in passed if row.size == letter.size or row.uid == letter.uid]
    if head:
        for row in same_size:
            if row.head == head:
                return Match(row)
        if any(row.head == head for row in passed):
            return Match(perhaps=True)
    return Match(perhaps=any(not (head and row.head) for row in alike))
