"""What a rule is doing, and which failures pass by themselves.

The list filters and sorts by the state, so it is decided in SQL: `DECISION` is the table that the query is made from, and only the
conditions of its facts are SQL.
"""

from enum import Enum, StrEnum, auto

from fetchrules import errors


class RuleState(StrEnum):
    """What a rule is doing, the most urgent state first."""

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
"""These rules need a person now."""
WARNINGS = frozenset({RuleState.OWNERLESS, RuleState.WAITING})
"""These deserve a look."""


class Fact(Enum):
    """What the state of a rule depends on. The failures are those of its last poll."""

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
"""After so many failed polls in a row, even such a failure needs a person."""

_DELIVERY = (
    *(errors.DeliveryFailed, errors.MailServerDown, errors.DiskFull, errors.MailboxUnwritable),
    *(errors.MaildirReplaced, errors.VolumeMissing),
)
_OURS = (*_DELIVERY, errors.KeyMissing, errors.DatabaseFailed, errors.InternalError, errors.Exhausted)
LOCAL_FAULTS = frozenset(kind.code for kind in _OURS)
"""Codes of the faults of this machine, for which no remote server is to blame."""
CHECKED_LOCALLY = frozenset(kind.code for kind in (*_DELIVERY, errors.RecipientUnknown))
"""Codes of failures whose end this machine can see for itself, without asking the remote server."""
