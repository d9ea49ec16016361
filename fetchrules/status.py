"""The states of rules, and the failures that usually pass by themselves.

The list of rules filters and sorts by state, so the database decides the state: `DECISION` is the table from which the query is
made, and only the conditions of its facts are SQL.
"""

from enum import Enum, StrEnum, auto

from fetchrules import errors


class RuleState(StrEnum):
    """The most urgent state comes first."""

    FAILED = "failed"
    LOCAL = "local"
    OWNERLESS = "ownerless"
    WAITING = "waiting"
    RUNNING = "running"
    QUEUED = "queued"
    PAUSED = "paused"
    NEVER = "never"
    ON = "on"
    OFF = "off"


PROBLEMS = frozenset({RuleState.FAILED, RuleState.LOCAL})
"""Somebody has to act on these rules now."""
WARNINGS = frozenset({RuleState.OWNERLESS, RuleState.WAITING})
"""Somebody should look at these rules."""


class Fact(Enum):
    """The facts that decide the state of a rule. The failures are those of its last poll."""

    POLL_RUNS = auto()
    POLL_QUEUED = auto()
    SWITCHED_OFF = auto()
    OWNER_GONE = auto()
    PAUSED_BY_HAND = auto()
    PAUSED_BY_FAILURE = auto()
    LOCAL_FAULT = auto()
    PASSING_FAILURE = auto()
    """The failure is in PASSING, and fewer than LASTING polls in a row have failed."""
    FAILURE = auto()
    NEVER_POLLED = auto()


DECISION = (
    (Fact.POLL_RUNS, RuleState.RUNNING),
    (Fact.POLL_QUEUED, RuleState.QUEUED),
    (Fact.SWITCHED_OFF, RuleState.OFF),
    (Fact.OWNER_GONE, RuleState.OWNERLESS),
    (Fact.PAUSED_BY_HAND, RuleState.PAUSED),
    (Fact.PAUSED_BY_FAILURE, RuleState.FAILED),
    (Fact.LOCAL_FAULT, RuleState.LOCAL),
    (Fact.PASSING_FAILURE, RuleState.WAITING),
    (Fact.FAILURE, RuleState.FAILED),
    (Fact.NEVER_POLLED, RuleState.NEVER),
)
"""The first fact that holds decides. A rule of which none holds is ON."""

_PASSING = (
    *(errors.TimedOut, errors.ConnectionLost, errors.MailboxBusy, errors.LoginDelay, errors.ServerTemporary),
    *(errors.OverLimit, errors.CameShort, errors.RunOvertaken, errors.Interrupted),
)
PASSING = frozenset(kind.code for kind in _PASSING)
"""Codes of failures that usually pass by themselves."""
LASTING = 3
"""After this many failed polls in a row, somebody has to act even on such a failure."""

_DELIVERY = (
    *(errors.DeliveryFailed, errors.MailServerDown, errors.DiskFull, errors.MailboxUnwritable),
    *(errors.MaildirReplaced, errors.VolumeMissing),
)
_OURS = (*_DELIVERY, errors.KeyMissing, errors.DatabaseFailed, errors.InternalError, errors.Exhausted)
LOCAL_FAULTS = frozenset(kind.code for kind in _OURS)
"""Codes of the faults of this machine: the remote server is not to blame."""
CHECKED_LOCALLY = frozenset(kind.code for kind in (*_DELIVERY, errors.RecipientUnknown))
"""Codes of failures that this machine can see end without asking the remote server."""
