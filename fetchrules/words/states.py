"""What rules, polls and letters are doing, and what a poll did, in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fetchrules.models import Run
from fetchrules.policy.known import Doubt, Fate, State
from fetchrules.policy.planning import Why
from fetchrules.status import RuleState
from fetchrules.words import amounts


@dataclass(frozen=True, slots=True)
class Badge:
    """A word, an icon of the sprite and a tone (a class in states.css)."""

    word: str | Promise
    icon: str
    tone: str


RULE_BADGES = {
    RuleState.FAILED: Badge(gettext_lazy("Failed"), "failed", "bad"),
    RuleState.LOCAL: Badge(gettext_lazy("Local fault"), "alert", "bad"),
    RuleState.OWNERLESS: Badge(gettext_lazy("No owner"), "user", "warn"),
    RuleState.PAUSED: Badge(gettext_lazy("Paused"), "pause", "warn"),
    RuleState.WAITING: Badge(gettext_lazy("Waiting"), "alert", "warn"),
    RuleState.RUNNING: Badge(gettext_lazy("Running"), "poll", "run"),
    RuleState.QUEUED: Badge(gettext_lazy("Queued"), "clock", "run"),
    RuleState.NEVER: Badge(gettext_lazy("Never polled"), "new", "idle"),
    RuleState.ON: Badge(gettext_lazy("On"), "on", "good"),
    RuleState.OFF: Badge(gettext_lazy("Off"), "off", "idle"),
}
RUN_BADGES = {
    Run.State.QUEUED: Badge(Run.State.QUEUED.label, "clock", "run"),
    Run.State.RUNNING: Badge(Run.State.RUNNING.label, "poll", "run"),
    Run.State.DONE: Badge(Run.State.DONE.label, "check", "good"),
    Run.State.FAILED: Badge(Run.State.FAILED.label, "failed", "bad"),
    Run.State.ABANDONED: Badge(Run.State.ABANDONED.label, "alert", "warn"),
}
LETTER_BADGES = {
    State.READY: Badge(gettext_lazy("being delivered"), "clock", "run"),
    State.SENDING: Badge(gettext_lazy("being sent"), "clock", "run"),
    State.DELIVERED: Badge(gettext_lazy("delivered"), "check", "good"),
    State.HELD: Badge(gettext_lazy("cannot be collected"), "alert", "warn"),
    State.PASSED: Badge(gettext_lazy("passed over"), "minus", "idle"),
    State.READ: Badge(gettext_lazy("read on the server"), "minus", "idle"),
}
FATES = {
    Fate.KEPT: gettext_lazy("stays on the server"),
    Fate.WANTED: gettext_lazy("to be deleted on the server"),
    Fate.SENT: gettext_lazy("deletion not confirmed, asked for again at the next poll"),
    Fate.DELETED: gettext_lazy("deleted on the server"),
}
DOUBTS = {
    Doubt.SHORT: gettext_lazy("came shorter than the server had said"),
    Doubt.PASSED: gettext_lazy("may be one that was passed over"),
}

LEFT = {
    "seen": gettext_lazy("collected before"),
    "present": gettext_lazy("lay there before; counts as collected"),
    "elsewhere": gettext_lazy("fetched by another program before; counts as collected"),
    "undated": gettext_lazy("not looked at yet: their headers will tell when they arrived"),
    "too_large": gettext_lazy("larger than the limit"),
    "fetchlimit": gettext_lazy("put off to the next poll by fetchlimit"),
    "held": gettext_lazy("cannot be collected; tried once a day"),
    "passed": gettext_lazy("passed over by hand"),
    "in_hand": gettext_lazy("being delivered"),
    "doubt": gettext_lazy("not certain to be the same letter: kept"),
    "marked": gettext_lazy("delivered, with a doubt that you have to settle"),
    "gone": gettext_lazy("gone from the server meanwhile"),
    "unlisted": gettext_lazy("counted by the server, but not in its list"),
    "undeleted": gettext_lazy("could not be deleted on the server"),
    "not_deleted": gettext_lazy("not deleted by the server, although it had confirmed that"),
    "flagged": gettext_lazy("flagged for deletion on the server, not by us; not collected"),
    "doubted": gettext_lazy("delivered with a doubt; left on the server until you settle it"),
    "uncounted": gettext_lazy(
        "stay longer: their days cannot be counted, for polls are too rare or the clock is wrong"
    ),
    "renamed": gettext_lazy("recognised by time and size, since the server has numbered its letters anew"),
    "not_there": gettext_lazy("in the other program's list, but no longer on the server"),
    "unconfirmed": gettext_lazy("deletion not confirmed by the server; it is asked for again"),
}
"""Why letters were left alone (`policy.Why`, `policy.Remark`)."""


@dataclass(frozen=True, slots=True)
class TwoLines:
    """A line and a smaller one below it."""

    line: str
    below: str = ""


def result(fetched: int, octets: int, deleted: int, found: int, left: Mapping[str, int]) -> TwoLines:
    """What a poll without an error did; `left` counts letters left alone by the reason why."""
    line = _("Nothing new")
    if fetched:
        line = ngettext("Fetched %(count)s (%(size)s)", "Fetched %(count)s (%(size)s)", fetched) % {
            "count": amounts.count(fetched),
            "size": amounts.octets(octets),
        }
    below = []
    if deleted:
        below.append(_("deleted on server: %(count)s") % {"count": amounts.count(deleted)})
    if found > max(fetched, deleted):
        below.append(_("on the server: %(letters)s") % {"letters": amounts.letters(found - deleted)})
    for reason, number in left.items():
        if reason != Why.SEEN:
            below.append(f"{left_alone(reason)}: {amounts.count(number)}")
    return TwoLines(line, " · ".join(below))


def left_alone(reason: str) -> str:
    """Why a letter was left alone."""
    return str(LEFT.get(reason, reason))
