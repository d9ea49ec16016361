"""What to do with each letter of a remote mailbox: the table of keep, flush and fetchall, and the plan of one poll. Pure."""

from fetchrules.policy.known import HELD_PAUSE, MAX_TRIES, Doubt, Fate, Knowledge, Known, State, ambiguous, makeshift
from fetchrules.policy.planning import Doomed, Errand, Plan, Why, missing, plan
from fetchrules.policy.remarks import Remark
from fetchrules.policy.table import TABLE, Action, Row, Terms, decide

__all__ = [
    "HELD_PAUSE",
    "MAX_TRIES",
    "TABLE",
    "Action",
    "Doubt",
    "Doomed",
    "Errand",
    "Fate",
    "Knowledge",
    "Known",
    "Plan",
    "Remark",
    "Row",
    "State",
    "Terms",
    "Why",
    "ambiguous",
    "decide",
    "makeshift",
    "missing",
    "plan",
]
