"""When a rule is polled next, and why then. Pure: the clock and the dice are the caller's."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from fetchrules.errors import FetchError, LoginDelay, LoginRefused, MailboxBusy, OverLimit, Retry, RunOvertaken

REFUSALS = 3
"""Refused logins after which the rule pauses: the next one may get the address banned."""
LASTS = 3
LASTING = timedelta(minutes=30)
"""A failure that lasts for so many polls and so long does not pass by itself."""
SOONEST = timedelta(minutes=1)
LONGEST = timedelta(hours=6)
OURS = timedelta(minutes=2)
"""The longest wait after a fault of this machine."""
JITTER = 0.1
OVERTAKEN = timedelta(seconds=5)


class NextReason(StrEnum):
    """Why the next poll is when it is. `next_poll` gives the last four."""

    SAVED = "saved"
    BY_HAND = "by_hand"
    INTERVAL = "interval"
    BACKOFF = "backoff"
    SERVER_WAIT = "server_wait"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True, slots=True)
class NextPoll:
    """`at` None: not until somebody changes or resumes the rule."""

    at: datetime | None
    reason: NextReason


@dataclass(frozen=True, slots=True)
class Failing:
    """How long a rule has been failing since its last success or edit, with the poll that has just ended.

    `failures` of any kind; `alike`: those with the last one's error, consecutive or not, the first of them `lasting` ago.
    """

    failures: int = 1
    alike: int = 1
    lasting: timedelta = timedelta(0)


def next_poll(now: datetime, interval: timedelta, error: FetchError | None, failing: Failing, dice: float) -> NextPoll:
    """After a poll that ended at `now` with `error` (None: success, `failing` is ignored); `dice` is in [-1, 1].

    If only letters failed, the mailbox was read, and the next poll comes as after a success.
    """
    if error is None or error.retry is Retry.AS_USUAL:
        return NextPoll(now + _jittered(interval, dice), NextReason.INTERVAL)
    if isinstance(error, RunOvertaken):
        return NextPoll(now + OVERTAKEN, NextReason.OVERTAKEN)
    if pauses(error, failing):
        return NextPoll(None, NextReason.BACKOFF)
    reason = NextReason.SERVER_WAIT if isinstance(error, MailboxBusy | LoginDelay | OverLimit) else NextReason.BACKOFF
    return NextPoll(now + _jittered(_wait(error.retry, interval, failing.failures), dice), reason)


def longest_wait(interval: timedelta) -> timedelta:
    return max(interval, LONGEST) * (1 + JITTER)


def pauses(error: FetchError, failing: Failing) -> bool:
    """Whether the rule has to wait for a person."""
    if isinstance(error, LoginRefused):
        return failing.alike >= REFUSALS
    if error.retry is Retry.IF_IT_LASTS:
        return failing.alike >= LASTS and failing.lasting >= LASTING
    return error.retry is Retry.AFTER_EDIT


def _wait(retry: Retry, interval: timedelta, failures: int) -> timedelta:
    doublings = min(max(failures, 1) - 1, 10)
    match retry:
        case Retry.OURS:
            return min(SOONEST * (1 << doublings), OURS)
        case Retry.SOON:
            return min(SOONEST * (1 << doublings), max(interval, SOONEST * 30))
        case Retry.LATER | Retry.IF_IT_LASTS | Retry.AFTER_EDIT:
            return min(interval * (1 << doublings), max(interval, LONGEST))
        case Retry.AS_USUAL:
            return interval
    assert_never(retry)


def _jittered(wait: timedelta, dice: float) -> timedelta:
    return wait * (1 + JITTER * dice)
