"""What the rows of letters that made trouble hand on to the rows that take their place."""

from collections.abc import Collection, Iterable
from typing import Any

from fetchrules.ledger.sources import former_of
from fetchrules.models import Letter, SourceMailbox
from fetchrules.policy import State

_GOES_ON = ("tries", "tried_at", "reason", "detail")


def replace_held(ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """Remove the held ones of these rows; by their ids, the columns that go on in the rows in their place."""
    held = Letter.objects.filter(id__in=ids, state=State.HELD)
    rows = held.values_list("id", *_GOES_ON)
    columns = {row_id: dict(zip(_GOES_ON, values, strict=True)) for row_id, *values in rows}
    held.delete()
    return columns


def doubted(source: SourceMailbox, fingerprints: Iterable[str]) -> frozenset[str]:
    """Those that are held letters' which a mail server may have taken, whatever the letters are called now."""
    ledgers = [source, *former_of(source)]
    held = Letter.objects.filter(source__in=ledgers, state=State.HELD, maybe_twice=True, fingerprint__in=fingerprints)
    return frozenset(held.values_list("fingerprint", flat=True))
