"""Whether a look at a mailbox has left nothing to do, so that the next one may end as soon as it finds the same. Pure.

The same listing, ledger and terms make the same plan, except where the clock decides. So a look is quiet if its plan does nothing,
the ledger is settled about every letter, and nothing becomes due by time alone; that last holds for a while only.
"""

from datetime import datetime, timedelta

from fetchrules.policy.known import Fate, Knowledge, Known
from fetchrules.policy.planning import Plan, Why
from fetchrules.policy.table import Terms
from fetchrules.remote.mailbox import Listing

LOOK_AGAIN = timedelta(hours=1)
"""A mailbox is worked through at least so often, since letters that are missing are forgotten with time."""

_LASTING = frozenset({Why.SEEN, Why.PASSED, Why.TOO_LARGE, Why.MARKED})
"""Reasons to leave a letter alone that no time ends."""


def quiet_until(listing: Listing, knowledge: Knowledge, plan: Plan, terms: Terms, now: datetime) -> datetime | None:
    """Until when a mailbox in the same state leaves nothing to do; None if it does so now."""
    if not plan.idle or plan.distrusted or plan.unsettled or not listing.complete or listing.unlisted:
        return None
    if any(why not in _LASTING for _, why in plan.left) or any(_is_due(row) for row in knowledge.rows.values()):
        return None
    if knowledge.outdated or (knowledge.unlisted and not listing.letters):
        return None  # an empty listing proves no letter absent
    until = min([now + LOOK_AGAIN, *_expiries(knowledge, terms)])
    return until if until > now else None


def _is_due(row: Known) -> bool:
    """Whether something is owed to this listed letter: its deletion, a comparison, another try."""
    return row.gone or row.deleted or row.tries > 0 or row.fate is not Fate.KEPT


def _expiries(knowledge: Knowledge, terms: Terms) -> list[datetime]:
    """The earliest times by the clock at which listed letters may expire."""
    if terms.keepdays is None:
        return []
    age = timedelta(days=terms.keepdays)
    return [row.delivered_at + age for row in knowledge.rows.values() if row.delivered_at is not None]
