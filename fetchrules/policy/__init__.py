"""What to do with each letter of a remote mailbox: the table of keep, flush and fetchall, and the plan of one poll. Pure."""

from fetchrules.policy.comparing import Match, is_short, passed_by_head
from fetchrules.policy.errands import READ_AGAIN, Errand, Plan, Purpose, ToDelete, Why
from fetchrules.policy.known import (
    HELD_PAUSE,
    IN_HAND,
    MAX_TRIES,
    Doubt,
    Fate,
    Knowledge,
    Known,
    State,
    ambiguous,
    makeshift,
)
from fetchrules.policy.planning import missing, plan
from fetchrules.policy.remarks import Remark
from fetchrules.policy.table import RESTRICTED_LIMIT, TABLE, Action, Row, Terms, decide, limit_of

__all__ = [
    "HELD_PAUSE",
    "IN_HAND",
    "MAX_TRIES",
    "READ_AGAIN",
    "RESTRICTED_LIMIT",
    "TABLE",
    "Action",
    "Doubt",
    "Errand",
    "Fate",
    "Knowledge",
    "Known",
    "Match",
    "Plan",
    "Purpose",
    "Remark",
    "Row",
    "State",
    "Terms",
    "ToDelete",
    "Why",
    "ambiguous",
    "decide",
    "is_short",
    "limit_of",
    "makeshift",
    "missing",
    "passed_by_head",
    "plan",
]
