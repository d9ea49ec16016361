"""The state of a rule or a run, the last result and the next poll, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fetchrules.models import FetchRule, NextReason, Pause, Run
from fetchrules.policy import Why
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import Encryption
from fetchrules.words import amounts, runs, times


class RuleState(StrEnum):
    """What a rule is doing, as the list says it. The order is that of urgency: what needs a human comes first."""

    FAILED = "failed"
    LOCAL = "local"
    OWNERLESS = "ownerless"
    PAUSED = "paused"
    WAITING = "waiting"
    RUNNING = "running"
    QUEUED = "queued"
    NEVER = "never"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Sign:
    """A word, an icon of the sprite and a tone (a class in states.css)."""

    word: str | Promise
    icon: str
    tone: str


RULE_SIGNS: dict[RuleState, Sign] = {
    RuleState.FAILED: Sign(gettext_lazy("Failed"), "failed", "bad"),
    RuleState.LOCAL: Sign(gettext_lazy("Local fault"), "alert", "bad"),
    RuleState.OWNERLESS: Sign(gettext_lazy("No owner"), "user", "warn"),
    RuleState.PAUSED: Sign(gettext_lazy("Paused"), "pause", "warn"),
    RuleState.WAITING: Sign(gettext_lazy("Waiting"), "alert", "warn"),
    RuleState.RUNNING: Sign(gettext_lazy("Running"), "poll", "run"),
    RuleState.QUEUED: Sign(gettext_lazy("Queued"), "clock", "run"),
    RuleState.NEVER: Sign(gettext_lazy("Never polled"), "new", "idle"),
    RuleState.ON: Sign(gettext_lazy("On"), "on", "good"),
    RuleState.OFF: Sign(gettext_lazy("Off"), "off", "idle"),
}

RUN_SIGNS: dict[Run.State, Sign] = {
    Run.State.QUEUED: Sign(gettext_lazy("Queued"), "clock", "run"),
    Run.State.RUNNING: Sign(gettext_lazy("Running"), "poll", "run"),
    Run.State.DONE: Sign(gettext_lazy("Done"), "check", "good"),
    Run.State.FAILED: Sign(gettext_lazy("Failed"), "failed", "bad"),
    Run.State.ABANDONED: Sign(gettext_lazy("Abandoned"), "alert", "warn"),
}


@dataclass(frozen=True, slots=True)
class Saying:
    """A line and a smaller one below it."""

    line: str
    below: str = ""


def result(fetched: int, octets: int, deleted: int, found: int, left: Mapping[str, int]) -> Saying:
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
            below.append(f"{runs.left(reason)}: {amounts.count(number)}")
    return Saying(line, " · ".join(below))


def next_poll(rule: FetchRule, state: RuleState, usual: int, now: datetime) -> Saying:
    """When `rule` is polled next, and why then. `usual` is the service's interval in minutes."""
    match state:
        case RuleState.OFF:
            return Saying("—", _("switched off"))
        case RuleState.OWNERLESS:
            return Saying("—", _("nobody answers for it: its owner's account is gone"))
        case RuleState.RUNNING | RuleState.QUEUED:
            return Saying("—", _("after this poll"))
        case RuleState.PAUSED:
            return _paused(rule)
        case RuleState.LOCAL:
            return Saying(_scheduled(rule, usual, now).line, _("again and again until it is mended here"))
        case RuleState.FAILED | RuleState.WAITING | RuleState.NEVER | RuleState.ON:
            if rule.pause:
                return _paused(rule)
            return _scheduled(rule, usual, now)
    assert_never(state)


def _paused(rule: FetchRule) -> Saying:
    if rule.pause == Pause.BY_HAND:
        until = rule.paused_until
        return Saying(_("paused"), _("until %(moment)s") % {"moment": times.exact(until)} if until else _("by hand"))
    if rule.failures > 1:
        after = ngettext("after %(count)s failure in a row", "after %(count)s failures in a row", rule.failures)
        return Saying(_("paused"), after % {"count": rule.failures})
    return Saying(_("paused"), _("until the rule is mended"))


def _scheduled(rule: FetchRule, usual: int, now: datetime) -> Saying:
    if rule.next_poll_at is None:
        return Saying("—")
    line = _("now") if rule.next_poll_at <= now else times.on(rule.next_poll_at, now)
    return Saying(line, _reason(NextReason(rule.next_reason), rule.interval or usual))


def _reason(reason: NextReason, interval: int) -> str:
    match reason:
        case NextReason.SAVED:
            return _("the rule was saved")
        case NextReason.BY_HAND:
            return _("asked for by hand")
        case NextReason.INTERVAL:
            return _("every %(interval)s") % {"interval": amounts.minutes(interval)}
        case NextReason.BACKOFF:
            return _("waiting longer after the failure")
        case NextReason.SERVER_WAIT:
            return _("the server asks to wait")
        case NextReason.OVERTAKEN:
            return _("the last poll was interrupted")
    assert_never(reason)


def protection(rule: FetchRule) -> str:
    """How the connection is protected: what was seen, or before the first poll what was asked for."""
    if rule.tls_seen == TlsLevel.UNVERIFIED:
        return _("TLS, certificate not verified")
    if rule.tls_seen == TlsLevel.VERIFIED:
        return _("TLS, pinned certificate") if rule.sslfingerprint else "TLS"
    if rule.encryption == Encryption.AUTO and rule.last_success_at is None:
        return _("STARTTLS if offered")
    return {Encryption.SSL.value: "TLS", Encryption.STARTTLS.value: "STARTTLS"}.get(rule.encryption, _("no encryption"))
