"""The rows of the list of rules, in a fixed number of queries for all of them, and the progress of running polls."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import assert_never

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fetchrules.acts import roles
from fetchrules.errors import harmless
from fetchrules.models import FetchRule, Pause, Run, ServiceSettings
from fetchrules.models.gathered import Gathered, as_moment
from fetchrules.policy.planning import Remark, Why
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import MASK, Encryption, Protocol
from fetchrules.ruletext.render import options_of
from fetchrules.schedule import NextReason
from fetchrules.status import PROBLEMS, RuleState
from fetchrules.words import amounts, failures, times
from fetchrules.words.failures import Failure
from fetchrules.words.names import source_name
from fetchrules.words.states import RULE_BADGES, Badge, TwoLines, left_alone, result


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A progress bar and what is said below it. `percent` is None while the amount is unknown."""

    run: Run
    percent: int | None
    words: str

    @classmethod
    def of(cls, run: Run, now: datetime) -> "RunProgress":
        if run.state == Run.State.QUEUED:
            return cls(run, None, _("waiting for a worker"))
        if not run.to_fetch and Why.UNDATED in run.left:
            return cls(run, None, _undated(run))
        if not run.to_fetch:
            return cls(run, None, _("connecting") if not run.found else _("looking through the mailbox"))
        done = run.octets / run.octets_to_fetch if run.octets_to_fetch else run.fetched / run.to_fetch
        return cls(run, min(100, int(100 * done)), " · ".join(_parts(run, done, now)))


def _undated(run: Run) -> str:
    return _("dates to be read: %(count)s") % {"count": amounts.count(run.left[Why.UNDATED])}


def _parts(run: Run, done: float, now: datetime) -> list[str]:
    parts = [
        _("%(done)s of %(all)s") % {"done": amounts.count(run.fetched), "all": amounts.letters(run.to_fetch)},
        amounts.octets(run.octets),
    ]
    spent = (now - run.started_at).total_seconds() if run.started_at else 0.0
    if Why.UNDATED in run.left:
        parts.append(_undated(run))
    if spent >= 1 and run.octets:
        parts.append(_("%(size)s/s") % {"size": amounts.octets(int(run.octets / spent))})
        if 0 < done < 1:
            left = timedelta(seconds=max(1, round(spent * (1 - done) / done)))
            parts.append(_("%(time)s left") % {"time": amounts.duration(left)})
    return parts


HOURS = 24
SOON = timedelta(minutes=1)
"""A rule that has been due for less than this is about to be polled."""
_HEIGHT = 24
_SAY_WHY = (RuleState.FAILED, RuleState.LOCAL, RuleState.WAITING, RuleState.PAUSED, RuleState.OFF)


@dataclass(frozen=True, slots=True)
class Chip:
    """An option word. `warn` marks a risky one."""

    text: str
    warn: bool


@dataclass(frozen=True, slots=True)
class Hour:
    """The counters of one hour of the sparkline. Hour 23 is the present one."""

    index: int
    runs: int
    failed: int
    fetched: int


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The last 24 hours, in words and as bars: one path for the hours in which no poll failed, one for those in which some did."""

    good: str
    failed: str
    words: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as the list shows it."""

    rule: FetchRule
    state: RuleState
    badge: Badge
    source: str
    connection: str
    chips: tuple[Chip, ...]
    result: TwoLines
    failure: Failure | None
    detail: str
    remarks: str
    next: TwoLines
    sparkline: Sparkline
    progress: RunProgress | None
    due: bool

    @property
    def problem(self) -> bool:
        return self.state in PROBLEMS

    @property
    def ownerless(self) -> bool:
        return self.state is RuleState.OWNERLESS

    @property
    def by_pop3(self) -> bool:
        return self.rule.protocol == Protocol.POP3

    @property
    def live(self) -> bool:
        """Whether the page should ask for this row again soon."""
        return self.due or self.progress is not None


def rows_of(rules: Sequence[FetchRule], now: datetime, reader: User) -> list[RuleRow]:
    """The rows of `rules` (from `rules.with_state`) as `reader` may see them: three queries, however many rules."""
    administers = roles.administers(reader)
    usual = ServiceSettings.current().interval
    sources = [rule.source_id for rule in rules]
    visible = roles.visible_runs(reader).filter(source__in=sources, finished_at__isnull=True)
    open_runs = {run.source_id: run for run in visible}
    hours = _hours(rules, now, reader)
    return [
        _row(rule, open_runs.get(rule.source_id), hours[rule.id], usual, now, exact=administers or not rule.restricted)
        for rule in rules
    ]


def _row(rule: FetchRule, run: Run | None, hours: Sequence[Hour], usual: int, now: datetime, *, exact: bool) -> RuleRow:
    state = RuleState(rule.state)  # type: ignore[attr-defined]  # the annotation of rules.with_state
    failed = rule.last_error and state in _SAY_WHY
    failure, detail = (
        failures.describe_guarded(rule.last_error, rule.last_detail, rule.server, exact=exact) if failed else (None, "")
    )
    return RuleRow(
        rule=rule,
        state=state,
        badge=RULE_BADGES[state],
        source=source_name(rule.user, rule.server),
        connection=" · ".join(_connection(rule)),
        chips=chips_of(rule),
        result=_result(rule),
        failure=failure,
        detail=detail,
        remarks=remarks_of(rule.last_left),
        next=_next_poll(rule, state, usual, now),
        sparkline=_sparkline(hours),
        progress=RunProgress.of(run, now) if run else None,
        due=_due(rule, now),
    )


def remarks_of(left: Mapping[str, int]) -> str:
    """The counters of `left` that say that the server did something else than planned. They are shown beside a failure too."""
    said = (remark for remark in Remark if remark in left)
    return " · ".join(f"{left_alone(remark)}: {amounts.count(left[remark])}" for remark in said)


def _due(rule: FetchRule, now: datetime) -> bool:
    at = rule.next_poll_at
    return rule.enabled and not rule.pause and at is not None and now - SOON < at <= now


def _connection(rule: FetchRule) -> Iterable[str]:
    if "@" in rule.user:
        yield rule.server
    yield rule.protocol.upper()
    yield _protection(rule)


def _next_poll(rule: FetchRule, state: RuleState, usual: int, now: datetime) -> TwoLines:
    """When `rule` is polled next, and why then. `usual` is the service's interval in minutes."""
    match state:
        case RuleState.OFF:
            return TwoLines("—", _("switched off"))
        case RuleState.OWNERLESS:
            return TwoLines("—", _("nobody answers for it: its owner's account is gone"))
        case RuleState.RUNNING | RuleState.QUEUED:
            return TwoLines("—", _("after this poll"))
        case RuleState.PAUSED:
            return _paused(rule)
        case RuleState.LOCAL:
            return TwoLines(_scheduled(rule, usual, now).line, _("again and again until it is mended here"))
        case RuleState.FAILED | RuleState.WAITING | RuleState.NEVER | RuleState.ON:
            if rule.pause:
                return _paused(rule)
            return _scheduled(rule, usual, now)
    assert_never(state)


def _paused(rule: FetchRule) -> TwoLines:
    if rule.pause == Pause.BY_HAND:
        until = rule.paused_until
        return TwoLines(_("paused"), _("until %(moment)s") % {"moment": times.exact(until)} if until else _("by hand"))
    if rule.failures > 1:
        after = ngettext("after %(count)s failure in a row", "after %(count)s failures in a row", rule.failures)
        return TwoLines(_("paused"), after % {"count": rule.failures})
    return TwoLines(_("paused"), _("until the rule is mended"))


def _scheduled(rule: FetchRule, usual: int, now: datetime) -> TwoLines:
    if rule.next_poll_at is None:
        return TwoLines("—")
    line = _("now") if rule.next_poll_at <= now else times.on(rule.next_poll_at, now)
    return TwoLines(line, _reason(NextReason(rule.next_reason), rule.interval or usual))


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


def _protection(rule: FetchRule) -> str:
    """The TLS of the last connection, or before the first one what the rule asks for."""
    if rule.tls_seen == TlsLevel.WEAK:
        return _("TLS, weak")
    if rule.tls_seen == TlsLevel.UNVERIFIED:
        return _("TLS, certificate not verified")
    if rule.tls_seen == TlsLevel.VERIFIED:
        return _("TLS, pinned certificate") if rule.sslfingerprint else "TLS"
    if rule.encryption == Encryption.AUTO and rule.last_success_at is None:
        return _("STARTTLS if offered")
    return {Encryption.SSL.value: "TLS", Encryption.STARTTLS.value: "STARTTLS"}.get(rule.encryption, _("no encryption"))


def _result(rule: FetchRule) -> TwoLines:
    if rule.last_polled_at is None:
        return TwoLines("—")
    return result(rule.last_fetched, rule.last_octets, rule.last_deleted, rule.last_found, rule.last_left)


def chips_of(rule: FetchRule) -> tuple[Chip, ...]:
    """The option words of a rule. `nokeep` is shown although it is the default, because it deletes mail."""
    said = rule.as_rule(MASK)
    words = [harmless(" ".join((word, *values))) for word, values in options_of(said) if word != "skip"]
    if not rule.keep and rule.keepdays is None:
        words.insert(0, "nokeep")
    doubtful = {"nosslcertck", "plaintext"} | ({"keep", "fetchall"} if rule.keep and rule.fetchall else set())
    if said.shows_password:
        doubtful.add(f"auth {said.auth}")
    return tuple(Chip(_short(word), word in doubtful) for word in words)


def _short(word: str) -> str:
    name, blank, value = word.partition(" ")
    if name == "sslfingerprint":
        return f"{name} {value[:8]}…"
    if name == "limit":
        return f"{name} {amounts.octets(int(value))}"
    return name + blank + value


def _hours(rules: Sequence[FetchRule], now: datetime, reader: User) -> dict[int, list[Hour]]:
    """For each rule, the hours of the last 24 that have counters, in their order."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    stats = roles.visible_hours(reader).filter(rule__in=[rule.id for rule in rules], hour__gte=first)
    columns = (Gathered("hour"), Gathered("runs"), Gathered("failed"), Gathered("fetched"))
    by_rule: dict[int, list[Hour]] = defaultdict(list)
    for rule, moments, *counters in stats.order_by().values_list("rule").annotate(*columns):
        indexes = [(as_moment(moment) - first) // timedelta(hours=1) for moment in moments]
        by_rule[rule] = sorted(map(Hour, indexes, *counters), key=attrgetter("index"))
    return by_rule


def _sparkline(hours: Sequence[Hour]) -> Sparkline:
    most = max((hour.fetched for hour in hours), default=0)
    polled = [hour for hour in hours if hour.runs]
    fetched = sum(hour.fetched for hour in hours)
    failed = sum(hour.failed for hour in hours)
    words = _("in 24 hours: %(letters)s, failures: %(failed)s") % {
        "letters": amounts.letters(fetched),
        "failed": failed,
    }
    return Sparkline(
        "".join(_bar(hour, most) for hour in polled if not hour.failed),
        "".join(_bar(hour, most) for hour in polled if hour.failed),
        words,
    )


def _bar(hour: Hour, most: int) -> str:
    """One hour as part of a path. The highest bar stands for `most` letters."""
    height = 5 if hour.failed else 2
    if hour.fetched:
        height = max(2, round(_HEIGHT * hour.fetched / most))
    return f"M{hour.index * 4} {_HEIGHT - height}h3v{height}h-3z"
